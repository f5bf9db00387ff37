/** What the re-run form and the mark form show and send. */
import type { DocumentView, ExecutionView, GraphNode, RunView } from "@/api/types";
import { valueText } from "@/components/value";
import { isFinal } from "@/lib/states";

/** Whether the UI offers to mark this task as succeeded or skipped. The server checks again. */
export function canMark(execution: ExecutionView, view: RunView): boolean {
  if (execution.kind !== "TASK" && execution.kind !== "IMPORTER") return false;
  if (execution.state === "SUCCEEDED" || execution.marked !== null) return false;
  return view.run.state === "FAILED" || (!isFinal(view.run.state) && view.run.state !== "CANCELING");
}

/** The value that a field's text stands for: a text as it is, any other type as JSON. Throws an error that says how to write it. */
export function parseField(text: string, isText: boolean): unknown {
  if (isText) return text;
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(
      `${text === "" ? "An empty field" : text} is not valid JSON. Write a value such as 3, 0.5, true, [1, 2] or {"a": 1}.`,
    );
  }
}

/** Parameter name -> the text of its field. */
export function parameterTexts(view: RunView): Record<string, string> {
  return Object.fromEntries(Object.entries(view.parameters).map(([name, value]) => [name, fieldText(value)]));
}

function fieldText(value: unknown): string {
  return typeof value === "string" ? value : valueText(value);
}

/** Parameter name -> new value, for the parameters that the user changed. */
export function changedParameters(
  view: RunView,
  texts: Readonly<Record<string, string>>,
): Record<string, unknown> {
  const changed: Record<string, unknown> = {};
  for (const [name, old] of Object.entries(view.parameters)) {
    const text = texts[name];
    if (text === undefined || text === fieldText(old)) continue;
    changed[name] = parseField(text, typeof old === "string");
  }
  return changed;
}

export interface Output {
  readonly name: string;
  readonly kind: "parameter" | "artifact";
  /** STRING, NUMBER_INTEGER, … or the artifact's type. */
  readonly type: string;
}

interface OutputDefinitions {
  readonly parameters?: Readonly<Record<string, { readonly parameterType?: string }>>;
  readonly artifacts?: Readonly<
    Record<string, { readonly artifactType?: { readonly schemaTitle?: string } }>
  >;
}

/** The outputs that the task's component declares. */
export function declaredOutputs(document: DocumentView, plan: GraphNode): Output[] {
  const spec = document.pipeline_spec as {
    readonly components?: Readonly<Record<string, { readonly outputDefinitions?: OutputDefinitions }>>;
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

/** The outputs that the user entered, in the shape of the mark request. Empty fields are left out. */
export function enteredOutputs(
  outputs: readonly Output[],
  texts: Readonly<Record<string, string>>,
): { parameters: Record<string, unknown>; artifacts: Record<string, string[]> } {
  const parameters: Record<string, unknown> = {};
  const artifacts: Record<string, string[]> = {};
  for (const { name, kind, type } of outputs) {
    const text = texts[name] ?? "";
    if (text.trim() === "") continue;
    if (kind === "parameter") parameters[name] = parseField(text, type === "STRING");
    else artifacts[name] = text.split(",").map((id) => id.trim());
  }
  return { parameters, artifacts };
}
