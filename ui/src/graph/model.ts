/** What the graph shows: the plan from the document joined with what the run has done so far. */

import type { ExecutionView, GraphNode } from "@/api/types";
import { isFinal, mostUrgent, type StateWord } from "@/lib/states";
import { formatDuration, parseTime } from "@/lib/time";
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
  /** In document order, parents first. */
  readonly nodes: ReadonlyMap<string, PlanNode>;
}

/** Which iteration of each loop is looked at; a loop that is absent shows all of them together. */
export type LoopChoice = ReadonlyMap<string, number>;

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
  /** Document path up to here. */
  readonly node: string;
  readonly iteration: number | null;
}

/** `train/for-loop-1[3]/evaluate`, step by step. */
export function stepsOf(path: string): PathStep[] {
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

/** The executions of a run, found by path and by their place in the plan. */
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

/** Iterations of a loop in order, within what is chosen of the loops around it. */
export function iterationsOf(node: PlanNode, index: RunIndex, choice: LoopChoice): ExecutionView[] {
  const outer = new Map([...choice].filter(([loop]) => loop !== node.id));
  return (index.byNode.get(node.id) ?? [])
    .filter((execution) => isIteration(execution) && isChosen(execution, outer))
    .sort((a, b) => (a.iteration ?? 0) - (b.iteration ?? 0));
}

/** The executions a node of the graph stands for. */
export function executionsOf(node: PlanNode, index: RunIndex, choice: LoopChoice): ExecutionView[] {
  const all = index.byNode.get(node.id) ?? [];
  const loop = node.plan.kind === "LOOP";
  return all.filter((execution) => !(loop && isIteration(execution)) && isChosen(execution, choice));
}

function isChosen(execution: ExecutionView, choice: LoopChoice): boolean {
  if (choice.size === 0 || !execution.path.includes("[")) return true;
  return stepsOf(execution.path).every(({ node, iteration }) => {
    const wanted = choice.get(node);
    return iteration === null || wanted === undefined || wanted === iteration;
  });
}

/** Of several executions of a node, the one to open first: what failed, then what runs. */
export function leadOf(executions: readonly ExecutionView[]): ExecutionView | null {
  const state = mostUrgent(executions.map((execution) => execution.state));
  return executions.find((execution) => execution.state === state) ?? null;
}

export interface NodeLook {
  readonly id: string;
  readonly label: string;
  readonly state: StateWord;
  /** False while nothing is recorded: the state is then what follows from what is around it. */
  readonly begun: boolean;
  /** Second line: duration, attempts, cache. */
  readonly detail: string;
  readonly attempts: number;
  readonly cached: boolean;
  /** `loop`, `if`, … for groups; "" for tasks. */
  readonly tag: string;
  /** Condition in words, item of the chosen iteration. */
  readonly note: string;
  /** For a loop: its iterations' states in order. */
  readonly strip: readonly StateWord[];
  readonly chosen: number | null;
  /** More than one execution behind this node: their states, by count. */
  readonly counts: ReadonlyMap<StateWord, number> | null;
}

export function lookAt(
  plan: Plan,
  index: RunIndex,
  choice: LoopChoice,
  run: { readonly state: StateWord },
  now: number,
): Map<string, NodeLook> {
  const looks = new Map<string, NodeLook>();
  const runOver = isFinal(run.state);
  for (const node of plan.nodes.values()) {
    const around = node.parent === null ? null : looks.get(node.parent)!;
    looks.set(node.id, lookAtNode(node, index, choice, now, around, runOver));
  }
  return looks;
}

function lookAtNode(
  node: PlanNode,
  index: RunIndex,
  choice: LoopChoice,
  now: number,
  around: NodeLook | null,
  runOver: boolean,
): NodeLook {
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
    begun: executions.length > 0,
    detail: detailOf(executions, iterations, only, over, now),
    attempts: Math.max(0, ...executions.map((execution) => execution.attempts.length)),
    cached: executions.length > 0 && executions.every(isTaken),
    tag: tagOf(node.plan),
    note: chosen === null ? wordCondition(node.plan.condition) : itemText(item),
    strip: iterations.map((iteration) => iteration.state),
    chosen,
    counts: only === null && executions.length > 0 ? countStates(states) : null,
  };
}

/** Nothing ran: its outputs are those of an earlier task. */
function isTaken(execution: ExecutionView): boolean {
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
  if (iterations.length > 0) return rollUp(iterations);
  if (only === null) return rollUp(executions);
  const parts: string[] = [];
  if (only.cached_from !== null) parts.push("From cache");
  else if (only.reused_from !== null) parts.push("Taken over");
  else if (only.state === "SKIPPED") parts.push("Skipped");
  else if (only.state === "PENDING") parts.push(waitingText(only));
  const time = durationOf(only, now);
  if (time !== null && !isTaken(only) && only.state !== "SKIPPED" && only.state !== "PENDING") {
    parts.push(formatDuration(time));
  }
  return parts.join(" · ");
}

/** `3 of 12 done`, `12 done`, `1 failed, 11 done`. */
export function rollUp(executions: readonly ExecutionView[]): string {
  const failed = executions.filter((execution) => execution.state === "FAILED").length;
  const done = executions.filter((execution) => isFinal(execution.state)).length - failed;
  const total = executions.length;
  const rest = done + failed === total ? `${done} done` : `${done + failed} of ${total} done`;
  return failed > 0 ? `${failed} failed, ${rest}` : rest;
}

function waitingText(execution: ExecutionView): string {
  const attempt = execution.attempts[execution.attempts.length - 1];
  if (execution.retry_at !== null) return "Will be tried again";
  if (attempt?.waiting) return attempt.waiting.message;
  return execution.reason?.message ?? "Waiting";
}

export function durationOf(execution: ExecutionView, now: number): number | null {
  const start = parseTime(execution.started_at);
  if (start === null) return null;
  return (parseTime(execution.ended_at) ?? now) - start;
}

export function countStates(states: readonly StateWord[]): Map<StateWord, number> {
  const counts = new Map<StateWord, number>();
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

/** A condition's CEL text without its wrapping: `train-accuracy > 0.9`. */
export function wordCondition(condition: string | null): string {
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

/** What the layout needs: the plan without what is collapsed. States never change where things are. */
export function layoutItems(plan: Plan, collapsed: ReadonlySet<string>): LayoutItem[] {
  const convert = (node: PlanNode): LayoutItem => {
    const open = node.children.length > 0 && !collapsed.has(node.id);
    const prefix = node.parent === null ? "" : `${node.parent}/`;
    return {
      id: node.id,
      after: node.plan.depends_on.map((name) => prefix + name),
      width: open
        ? roomFor(node, GROUP_WIDTH, 104 + tagOf(node.plan).length * 8)
        : roomFor(node, TASK_WIDTH, 66),
      height: TASK_HEIGHT,
      header: hasNote(node.plan) ? HEADER_WITH_NOTE : HEADER,
      children: open ? node.children.map(convert) : [],
    };
  };
  return plan.roots.map(convert);
}

const LETTER = 7.6;
const WIDEST = 420;

/** As wide as all others unless the name is long; names decide, never states. */
function roomFor(node: PlanNode, least: number, besides: number): number {
  const letters = (node.plan.display_name || node.plan.name).length;
  return Math.min(WIDEST, Math.max(least, Math.ceil(letters * LETTER + besides)));
}

export function hasNote(plan: GraphNode): boolean {
  return plan.kind === "LOOP" || plan.condition !== null;
}
