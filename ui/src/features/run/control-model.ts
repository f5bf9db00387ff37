/** What the forms for running again and for marking show and send, without any of their looks. */
import type { DocumentView, ExecutionView, GraphNode, RunView } from "@/api/types";
import { valueText } from "@/components/value";
import { isFinal } from "@/lib/states";

/** Whether somebody may still decide what this task came to; the server has the last word. */
export function canMark(execution: ExecutionView, view: RunView): boolean {
  if (execution.kind !== "TASK" && execution.kind !== "IMPORTER") return false;
  if (execution.state === "SUCCEEDED" || execution.marked !== null) return false;
  return view.run.state === "FAILED" || (!isFinal(view.run.state) && view.run.state !== "CANCELING");
}

/** The text of a field as a value: texts as they are, all else as JSON. Throws what to do about it. */
export function typed(text: string, isText: boolean): unknown {
  if (isText) return text;
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`${text === "" ? "Nothing" : text} is not JSON: write 3, 0.5, true, [1, 2] or {"a": 1}.`);
  }
}

/** The fields of the run's parameters, by name. */
export function parameterTexts(view: RunView): Record<string, string> {
  return Object.fromEntries(Object.entries(view.parameters).map(([name, value]) => [name, fieldText(value)]));
}

function fieldText(value: unknown): string {
  return typeof value === "string" ? value : valueText(value);
}

/** Values of those parameters whose fields were changed. */
export function changedParameters(
  view: RunView,
  texts: Readonly<Record<string, string>>,
): Record<string, unknown> {
  const changed: Record<string, unknown> = {};
  for (const [name, old] of Object.entries(view.parameters)) {
    const text = texts[name];
    if (text === undefined || text === fieldText(old)) continue;
    changed[name] = typed(text, typeof old === "string");
  }
  return changed;
}

export interface Output {
  readonly name: string;
  readonly kind: "parameter" | "artifact";
  /** STRING, NUMBER_INTEGER, … or the artifact's type. */
  readonly type: string;
}

interface Declared {
  readonly parameters?: Readonly<Record<string, { readonly parameterType?: string }>>;
  readonly artifacts?: Readonly<
    Record<string, { readonly artifactType?: { readonly schemaTitle?: string } }>
  >;
}

/** What the task's component declares to produce. */
export function outputsOf(document: DocumentView, plan: GraphNode): Output[] {
  const spec = document.pipeline_spec as {
    readonly components?: Readonly<Record<string, { readonly outputDefinitions?: Declared }>>;
  };
  const declared = spec.components?.[plan.component]?.outputDefinitions;
  return [
    ...Object.entries(declared?.parameters ?? {}).map(
      ([name, one]): Output => ({ name, kind: "parameter", type: one.parameterType ?? "STRING" }),
    ),
    ...Object.entries(declared?.artifacts ?? {}).map(
      ([name, one]): Output => ({
        name,
        kind: "artifact",
        type: one.artifactType?.schemaTitle ?? "system.Artifact",
      }),
    ),
  ];
}

/** The outputs that were filled in, as a mark sends them. */
export function givenOutputs(
  outputs: readonly Output[],
  texts: Readonly<Record<string, string>>,
): { parameters: Record<string, unknown>; artifacts: Record<string, string[]> } {
  const parameters: Record<string, unknown> = {};
  const artifacts: Record<string, string[]> = {};
  for (const { name, kind, type } of outputs) {
    const text = texts[name] ?? "";
    if (text.trim() === "") continue;
    if (kind === "parameter") parameters[name] = typed(text, type === "STRING");
    else artifacts[name] = text.split(",").map((id) => id.trim());
  }
  return { parameters, artifacts };
}
