/** From a run's view to what its page says. */

import type { AttemptView, ExecutionView, MarkView, ReasonView, RunView } from "@/api/types";
import {
  durationOf,
  isIteration,
  itemText,
  leadOf,
  nodeOf,
  type Plan,
  type PlanNode,
  type RunIndex,
} from "@/graph/model";
import { isFinal, lookOf, type StateWord } from "@/lib/states";
import { formatDuration, formatExact, parseTime } from "@/lib/time";

export interface Selection {
  readonly node: PlanNode;
  /** Null while nothing of it has begun. */
  readonly execution: ExecutionView | null;
  /** All executions of the same place in the plan, in order. */
  readonly siblings: readonly ExecutionView[];
}

/** What `task` in the address means: an execution's path, or a place in the plan. */
export function select(plan: Plan, index: RunIndex, task: string | undefined): Selection | null {
  if (task === undefined) return null;
  const node = plan.nodes.get(nodeOf(task));
  if (node === undefined) return null;
  const all = index.byNode.get(node.id) ?? [];
  const exact = index.byPath.get(task) ?? null;
  const loop = node.plan.kind === "LOOP";
  // A loop and its iterations share a place; each is shown among its own kind.
  const wantIterations = loop && exact !== null && isIteration(exact);
  const siblings = loop ? all.filter((other) => isIteration(other) === wantIterations) : all;
  return { node, execution: exact ?? leadOf(siblings), siblings: [...siblings].sort(byPlace) };
}

function byPlace(a: ExecutionView, b: ExecutionView): number {
  return a.path.localeCompare(b.path, "en", { numeric: true });
}

/** `#3 · lr=0.1` for an execution within a loop; "" elsewhere. */
export function placeWords(path: string, index: RunIndex): string {
  const words: string[] = [];
  for (const match of path.matchAll(/\[(\d+)\]/g)) {
    const iteration = index.byPath.get(path.slice(0, match.index + match[0].length));
    const item = itemText(iteration?.item);
    words.push(item === "" ? `#${match[1]}` : `#${match[1]} · ${item}`);
  }
  return words.join(" / ");
}

export interface Failure {
  readonly execution: ExecutionView;
  readonly label: string;
  readonly reason: ReasonView;
}

/** The tasks that failed by themselves, first one first; what fell with them is left out. */
export function failuresOf(view: RunView, plan: Plan, index: RunIndex): Failure[] {
  return view.executions
    .filter((execution) => execution.state === "FAILED" && isTask(execution))
    .sort((a, b) => (parseTime(a.ended_at) ?? 0) - (parseTime(b.ended_at) ?? 0))
    .map((execution) => {
      const name = plan.nodes.get(execution.node)?.plan.display_name || execution.task;
      const place = placeWords(execution.path, index);
      return {
        execution,
        label: place === "" ? name : `${name} (${place})`,
        reason: reasonOf(execution) ?? { code: "FAILED", message: "The task failed.", details: {} },
      };
    });
}

/** Something that can fail by itself, and not a group that fails with what is in it. */
export function isTask(execution: ExecutionView): boolean {
  return execution.kind === "TASK" || execution.kind === "IMPORTER";
}

/** The last attempt's own words first: they are nearest to the cause. */
export function reasonOf(execution: ExecutionView): ReasonView | null {
  const last = execution.attempts[execution.attempts.length - 1];
  return last?.error ?? execution.reason ?? null;
}

/** A sentence on the state of an execution. */
export function explain(execution: ExecutionView): string {
  const attempts = execution.attempts.length;
  const tries = attempts > 1 ? ` after ${attempts} attempts` : "";
  switch (execution.state) {
    case "SUCCEEDED":
      if (execution.cached_from !== null)
        return "Its result was in the cache, from an earlier task with the same inputs. Nothing ran.";
      if (execution.reused_from !== null)
        return "Its result was taken over from the run that this one was made from. Nothing ran.";
      if (execution.marked !== null) return "Somebody decided that it succeeded.";
      return `It succeeded${tries}.`;
    case "FAILED":
      return attempts === 0 ? "It failed before it could start." : `It failed${tries}.`;
    case "SKIPPED":
      return execution.marked === null ? "It was skipped." : "Somebody decided that it is skipped.";
    case "RUNNING":
      return attempts > 1 ? `Attempt ${attempts} is running.` : "It is running.";
    case "PENDING":
      return execution.retry_at !== null ? "It failed and will be tried again." : "It waits.";
    case "CANCELING":
      return execution.marked === null
        ? "It is being stopped."
        : "It is being stopped, because somebody decided its outcome.";
    case "CANCELED":
      return "It was canceled.";
    case "PAUSED":
      return "It is paused.";
  }
}

/** Who decided what a task came to, when, and why. */
export function markWords(mark: MarkView): string {
  const who = mark.by || "somebody";
  return `${who}, ${formatExact(mark.at)}${mark.note === "" ? "" : `: ${mark.note}`}`;
}

export function attemptDuration(attempt: AttemptView, now: number): string {
  const start = parseTime(attempt.started_at);
  return start === null ? "" : formatDuration((parseTime(attempt.ended_at) ?? now) - start);
}

export interface TaskRow {
  readonly key: string;
  /** What to select: an execution's path, or a place in the plan. */
  readonly path: string;
  readonly depth: number;
  readonly label: string;
  readonly note: string;
  readonly state: StateWord;
  readonly begun: boolean;
  readonly execution: ExecutionView | null;
}

/** The run as an indented list: each loop with its iterations, failed ones first. */
export function taskRows(plan: Plan, index: RunIndex, runState: StateWord): TaskRow[] {
  const rows: TaskRow[] = [];
  const over = isFinal(runState);
  const walk = (nodes: readonly PlanNode[], prefix: string, depth: number): void => {
    for (const node of nodes) {
      const path = prefix === "" ? node.plan.name : `${prefix}/${node.plan.name}`;
      const execution = index.byPath.get(path) ?? null;
      const state = execution?.state ?? (over ? "SKIPPED" : "PENDING");
      const label = node.plan.display_name || node.plan.name;
      rows.push({ key: path, path, depth, label, note: "", state, begun: execution !== null, execution });
      if (node.plan.kind !== "LOOP") {
        walk(node.children, path, depth + 1);
        continue;
      }
      const iterations = (index.byNode.get(node.id) ?? [])
        .filter((other) => isIteration(other) && other.parent === path)
        .sort(byUrgency);
      for (const iteration of iterations) {
        rows.push({
          key: iteration.path,
          path: iteration.path,
          depth: depth + 1,
          label: `#${iteration.iteration}`,
          note: itemText(iteration.item),
          state: iteration.state,
          begun: true,
          execution: iteration,
        });
        walk(node.children, iteration.path, depth + 2);
      }
      if (iterations.length === 0) walk(node.children, path, depth + 1);
    }
  };
  walk(plan.roots, "", 0);
  return rows;
}

/** Failed iterations first, then in order. */
export function byUrgency(a: ExecutionView, b: ExecutionView): number {
  const failed = Number(b.state === "FAILED") - Number(a.state === "FAILED");
  return failed || (a.iteration ?? 0) - (b.iteration ?? 0);
}

export interface Span {
  readonly path: string;
  readonly label: string;
  readonly place: string;
  readonly state: StateWord;
  readonly start: number;
  readonly duration: number;
  /** One bar an attempt, as parts of the whole time of the run. */
  readonly bars: readonly { readonly left: number; readonly width: number; readonly state: StateWord }[];
  readonly cached: boolean;
}

export interface Timeline {
  readonly start: number;
  readonly length: number;
  readonly spans: readonly Span[];
}

export function timelineOf(view: RunView, plan: Plan, index: RunIndex, now: number): Timeline {
  const begun = view.executions.filter((execution) => execution.started_at !== null && isTask(execution));
  const times = begun.flatMap((execution) => [
    parseTime(execution.started_at)!,
    parseTime(execution.ended_at) ?? now,
  ]);
  const start = minimum(times, parseTime(view.run.started_at) ?? now);
  const end = Math.max(
    parseTime(view.run.finished_at) ?? (isFinal(view.run.state) ? start : now),
    maximum(times, start),
  );
  const length = Math.max(1, end - start);
  const spans = begun.map((execution): Span => {
    const from = parseTime(execution.started_at)!;
    const attempts = execution.attempts.filter((attempt) => attempt.started_at !== null);
    const pieces = attempts.length > 0 ? attempts : [execution];
    return {
      path: execution.path,
      label: plan.nodes.get(execution.node)?.plan.display_name || execution.task,
      place: placeWords(execution.path, index),
      state: execution.state,
      start: from,
      duration: durationOf(execution, now) ?? 0,
      cached: execution.cached_from !== null,
      bars: pieces.map((piece) => {
        const left = parseTime(piece.started_at)!;
        const right = parseTime(piece.ended_at) ?? (isFinal(piece.state) ? left : now);
        return { left: (left - start) / length, width: (right - left) / length, state: piece.state };
      }),
    };
  });
  spans.sort((a, b) => a.start - b.start || a.path.localeCompare(b.path, "en", { numeric: true }));
  return { start, length, spans };
}

function minimum(values: readonly number[], otherwise: number): number {
  return values.reduce((least, value) => Math.min(least, value), otherwise);
}

function maximum(values: readonly number[], otherwise: number): number {
  return values.reduce((most, value) => Math.max(most, value), otherwise);
}

/** Round steps for a time axis of this many milliseconds: about `count` of them. */
export function ticks(length: number, count = 6): number[] {
  const steps = [
    10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 15e3, 3e4, 6e4, 12e4, 3e5, 6e5, 18e5, 36e5, 72e5, 216e5,
    864e5,
  ];
  const step = steps.find((each) => length / each <= count) ?? 864e5 * Math.ceil(length / (864e5 * count));
  return Array.from({ length: Math.floor(length / step) + 1 }, (_, at) => at * step);
}

/** `7 tasks: 4 succeeded, 1 failed`: what a reader of the graph is told first. */
export function graphWords(plan: Plan, rows: readonly TaskRow[]): string {
  const counts = new Map<StateWord, number>();
  const leaves = rows.filter((row) => row.execution !== null && isTask(row.execution));
  for (const row of leaves) counts.set(row.state, (counts.get(row.state) ?? 0) + 1);
  const words = [...counts].map(([state, count]) => `${count} ${lookOf(state).word.toLowerCase()}`);
  const planned = [...plan.nodes.values()].filter((node) => node.children.length === 0).length;
  return `Graph of ${planned} tasks${words.length > 0 ? `: ${words.join(", ")}` : ""}`;
}
