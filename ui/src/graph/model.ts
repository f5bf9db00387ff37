/** What the graph shows: the plan from the document, joined with the executions of the run. */

import type { ExecutionView, GraphNode } from "@/api/types";
import { isFinal, mostUrgent, type State } from "@/lib/states";
import { durationOf, formatDuration } from "@/lib/time";
import type { LayoutItem } from "./layout";

export interface PlanNode {
  /** Path in the document: `train/for-loop-1/evaluate`. */
  readonly id: string;
  readonly parent: string | null;
  readonly plan: GraphNode;
  readonly children: readonly PlanNode[];
}

export interface Plan {
  readonly roots: readonly PlanNode[];
  /** ID -> node, in document order, parents first. */
  readonly nodes: ReadonlyMap<string, PlanNode>;
}

/** Loop ID -> index of the selected iteration. A loop that is not in the map shows all its iterations together. */
export type SelectedIterations = ReadonlyMap<string, number>;

export function buildPlan(graph: readonly GraphNode[]): Plan {
  const nodes = new Map<string, PlanNode>();
  const build = (plan: GraphNode, parent: string | null): PlanNode => {
    const id = parent === null ? plan.name : `${parent}/${plan.name}`;
    const children: PlanNode[] = [];
    const node = { id, parent, plan, children };
    nodes.set(id, node);
    for (const child of plan.children) children.push(build(child, id));
    return node;
  };
  const roots = graph.map((plan) => build(plan, null));
  return { roots, nodes };
}

export interface PathStep {
  /** Path in the document up to this step. */
  readonly node: string;
  readonly iteration: number | null;
}

/** The steps of a path such as `train/for-loop-1[3]/evaluate`. */
export function pathSteps(path: string): PathStep[] {
  const steps: PathStep[] = [];
  let node = "";
  for (const part of path.split("/")) {
    const match = /^(.*)\[(\d+)\]$/.exec(part);
    const name = match?.[1] ?? part;
    node = node === "" ? name : `${node}/${name}`;
    steps.push({ node, iteration: match ? Number(match[2]) : null });
  }
  return steps;
}

export function nodeOf(path: string): string {
  return path.replace(/\[\d+\](?=\/|$)/g, "");
}

/** The executions of a run by path and by node of the plan. */
export interface RunIndex {
  readonly byPath: ReadonlyMap<string, ExecutionView>;
  readonly byNode: ReadonlyMap<string, readonly ExecutionView[]>;
}

export function indexRun(executions: readonly ExecutionView[]): RunIndex {
  const byPath = new Map<string, ExecutionView>();
  const byNode = new Map<string, ExecutionView[]>();
  for (const execution of executions) {
    byPath.set(execution.path, execution);
    const list = byNode.get(execution.node);
    if (list === undefined) byNode.set(execution.node, [execution]);
    else list.push(execution);
  }
  return { byPath, byNode };
}

export function isIteration(execution: ExecutionView): boolean {
  return execution.path.endsWith("]");
}

/** A loop's iterations in order; only those inside the selected iterations of the loops around it. */
export function iterationsOf(node: PlanNode, index: RunIndex, choice: SelectedIterations): ExecutionView[] {
  const outer = new Map([...choice].filter(([loop]) => loop !== node.id));
  return (index.byNode.get(node.id) ?? [])
    .filter((execution) => isIteration(execution) && isChosen(execution, outer))
    .sort((a, b) => (a.iteration ?? 0) - (b.iteration ?? 0));
}

/** The executions that a node of the graph stands for. */
export function executionsOf(node: PlanNode, index: RunIndex, choice: SelectedIterations): ExecutionView[] {
  const all = index.byNode.get(node.id) ?? [];
  const loop = node.plan.kind === "LOOP";
  return all.filter((execution) => !(loop && isIteration(execution)) && isChosen(execution, choice));
}

function isChosen(execution: ExecutionView, choice: SelectedIterations): boolean {
  if (choice.size === 0 || !execution.path.includes("[")) return true;
  return pathSteps(execution.path).every(({ node, iteration }) => {
    const wanted = choice.get(node);
    return iteration === null || wanted === undefined || wanted === iteration;
  });
}

/** The execution that opens when the user selects a node: a failed one first, then a running one. */
export function executionToOpen(executions: readonly ExecutionView[]): ExecutionView | null {
  const state = mostUrgent(executions.map((execution) => execution.state));
  return executions.find((execution) => execution.state === state) ?? null;
}

export interface NodeDisplay {
  readonly id: string;
  readonly label: string;
  readonly state: State;
  /** False while there is no execution. The state then follows from the group around it. */
  readonly started: boolean;
  /** Second line: duration, attempts, cache. */
  readonly detail: string;
  readonly attempts: number;
  readonly cached: boolean;
  /** `loop`, `if`, … for groups; "" for tasks. */
  readonly tag: string;
  /** The condition, or the item of the selected iteration. */
  readonly note: string;
  /** For a loop: the states of its iterations, in order. */
  readonly strip: readonly State[];
  readonly chosen: number | null;
  /** When the node stands for several executions: state -> number of executions. */
  readonly counts: ReadonlyMap<State, number> | null;
}

export function displayNodes(
  plan: Plan,
  index: RunIndex,
  choice: SelectedIterations,
  run: { readonly state: State },
  now: number,
): Map<string, NodeDisplay> {
  const displays = new Map<string, NodeDisplay>();
  const runOver = isFinal(run.state);
  for (const node of plan.nodes.values()) {
    const around = node.parent === null ? null : displays.get(node.parent)!;
    displays.set(node.id, displayNode(node, index, choice, now, around, runOver));
  }
  return displays;
}

function displayNode(
  node: PlanNode,
  index: RunIndex,
  choice: SelectedIterations,
  now: number,
  around: NodeDisplay | null,
  runOver: boolean,
): NodeDisplay {
  const executions = executionsOf(node, index, choice);
  const states = executions.map((execution) => execution.state);
  const over = runOver || (around !== null && isFinal(around.state));
  const state = mostUrgent(states) ?? (over ? "SKIPPED" : "PENDING");
  const only = executions.length === 1 ? executions[0]! : null;
  const iterations = node.plan.kind === "LOOP" ? iterationsOf(node, index, choice) : [];
  const chosen = choice.get(node.id) ?? null;
  const item = iterations.find((iteration) => iteration.iteration === chosen)?.item;
  return {
    id: node.id,
    label: node.plan.display_name || node.plan.name,
    state,
    started: executions.length > 0,
    detail: detailOf(executions, iterations, only, over, now),
    attempts: Math.max(0, ...executions.map((execution) => execution.attempts.length)),
    cached: executions.length > 0 && executions.every(isReused),
    tag: tagOf(node.plan),
    note: chosen === null ? conditionText(node.plan.condition) : itemText(item),
    strip: iterations.map((iteration) => iteration.state),
    chosen,
    counts: only === null && executions.length > 0 ? countStates(states) : null,
  };
}

/** Whether its outputs were reused from an earlier task, so that nothing ran. */
function isReused(execution: ExecutionView): boolean {
  return execution.cached_from !== null || execution.reused_from !== null;
}

function detailOf(
  executions: readonly ExecutionView[],
  iterations: readonly ExecutionView[],
  only: ExecutionView | null,
  over: boolean,
  now: number,
): string {
  if (executions.length === 0) return over ? "Did not run" : "";
  if (iterations.length > 0) return progressText(iterations);
  if (only === null) return progressText(executions);
  const parts: string[] = [];
  if (only.cached_from !== null) parts.push("From cache");
  else if (only.reused_from !== null) parts.push("Reused");
  else if (only.state === "SKIPPED") parts.push("Skipped");
  else if (only.state === "PENDING" || only.attempts.at(-1)?.waiting) parts.push(waitingText(only));
  const time = durationOf(only, now);
  if (time !== null && !isReused(only) && only.state !== "SKIPPED" && only.state !== "PENDING") {
    parts.push(formatDuration(time));
  }
  return parts.join(" · ");
}

/** `3 of 12 done`, `12 done`, `1 failed, 11 done`. */
export function progressText(executions: readonly ExecutionView[]): string {
  const failed = executions.filter((execution) => execution.state === "FAILED").length;
  const done = executions.filter((execution) => isFinal(execution.state)).length - failed;
  const total = executions.length;
  const rest = done + failed === total ? `${done} done` : `${done + failed} of ${total} done`;
  return failed > 0 ? `${failed} failed, ${rest}` : rest;
}

function waitingText(execution: ExecutionView): string {
  const attempt = execution.attempts[execution.attempts.length - 1];
  if (execution.retry_at !== null) return "Waiting for retry";
  if (attempt?.waiting) return attempt.waiting.message;
  return execution.reason?.message ?? "Waiting";
}

export function countStates(states: readonly State[]): Map<State, number> {
  const counts = new Map<State, number>();
  for (const state of states) counts.set(state, (counts.get(state) ?? 0) + 1);
  return counts;
}

export function tagOf(plan: GraphNode): string {
  if (plan.kind === "LOOP") return "loop";
  switch (plan.group) {
    case "condition":
      return "if";
    case "condition-branches":
      return "one of";
    case "exit-handler":
      return "exit handler";
    case "for-loop":
      return "loop";
    case "pipeline":
      return "pipeline";
    default:
      return plan.kind === "DAG" ? "group" : plan.kind === "IMPORTER" ? "importer" : "";
  }
}

/** A condition's CEL expression in short form: `train-accuracy > 0.9`. */
export function conditionText(condition: string | null): string {
  if (!condition) return "";
  return condition
    .replace(/inputs\.parameter_values\[\s*(['"])(.*?)\1\s*\]/g, (_, __, name: string) =>
      name.replace(/^pipelinechannel--/, ""),
    )
    .replace(/\b(?:int|double|string|bool)\(([\w.-]+)\)/g, "$1")
    .replace(/\s*==\s*true\b/g, "")
    .trim();
}

export function itemText(item: unknown): string {
  if (item === undefined || item === null) return "";
  if (typeof item !== "object") return String(item);
  if (Array.isArray(item)) return JSON.stringify(item);
  return Object.entries(item)
    .map(([key, value]) => `${key}=${typeof value === "object" ? JSON.stringify(value) : String(value)}`)
    .join(", ");
}

export const TASK_WIDTH = 216;
export const TASK_HEIGHT = 56;
const HEADER = 44;
const HEADER_WITH_NOTE = 64;
const GROUP_WIDTH = 264;

/** The items to lay out: the plan without the children of collapsed groups. They do not depend on states, so the graph does not move while a run progresses. */
export function layoutItems(plan: Plan, collapsed: ReadonlySet<string>): LayoutItem[] {
  const convert = (node: PlanNode): LayoutItem => {
    const open = node.children.length > 0 && !collapsed.has(node.id);
    const prefix = node.parent === null ? "" : `${node.parent}/`;
    return {
      id: node.id,
      after: node.plan.depends_on.map((name) => prefix + name),
      width: open
        ? widthFor(node, GROUP_WIDTH, 104 + tagOf(node.plan).length * 8)
        : widthFor(node, TASK_WIDTH, 66),
      height: TASK_HEIGHT,
      header: hasNote(node.plan) ? HEADER_WITH_NOTE : HEADER,
      children: open ? node.children.map(convert) : [],
    };
  };
  return plan.roots.map(convert);
}

const LETTER_WIDTH = 7.6;
const MAX_WIDTH = 420;

/** The default width, or more for a long name. */
function widthFor(node: PlanNode, minWidth: number, otherWidth: number): number {
  const letters = (node.plan.display_name || node.plan.name).length;
  return Math.min(MAX_WIDTH, Math.max(minWidth, Math.ceil(letters * LETTER_WIDTH + otherWidth)));
}

export function hasNote(plan: GraphNode): boolean {
  return plan.kind === "LOOP" || plan.condition !== null;
}
