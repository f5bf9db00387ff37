/** What a run's page shows, computed from the run's view. */

import type { AttemptView, ExecutionView, MarkView, ReasonView, RunView } from "@/api/types";
import {
  executionToOpen,
  isIteration,
  itemText,
  nodeOf,
  type Plan,
  type PlanNode,
  type RunIndex,
} from "@/graph/model";
import { isFinal, type State, styleOfState } from "@/lib/states";
import { durationOf, endOf, formatDuration, formatExact, parseTime } from "@/lib/time";

export interface Selection {
  readonly node: PlanNode;
  /** Null until the task starts. */
  readonly execution: ExecutionView | null;
  /** All executions of this node of the plan, in order of their iterations. */
  readonly siblings: readonly ExecutionView[];
}

/** The selection that `task` in the address stands for: the path of an execution, or the ID of a node of the plan. */
export function select(plan: Plan, index: RunIndex, task: string | undefined): Selection | null {
  if (task === undefined) return null;
  const node = plan.nodes.get(nodeOf(task));
  if (node === undefined) return null;
  const all = index.byNode.get(node.id) ?? [];
  const exact = index.byPath.get(task) ?? null;
  const loop = node.plan.kind === "LOOP";
  // A loop and its iterations belong to the same node. Show a loop among loops, an iteration among iterations.
  const wantIterations = loop && exact !== null && isIteration(exact);
  const siblings = loop ? all.filter((other) => isIteration(other) === wantIterations) : all;
  return { node, execution: exact ?? executionToOpen(siblings), siblings: [...siblings].sort(byPath) };
}

function byPath(a: ExecutionView, b: ExecutionView): number {
  return a.path.localeCompare(b.path, "en", { numeric: true });
}

/** `#3 · lr=0.1` for an execution inside a loop; "" outside of loops. */
export function iterationLabel(path: string, index: RunIndex): string {
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

/** The tasks that failed, the earliest failure first. Groups are left out: they fail because of their tasks. */
export function failuresOf(view: RunView, plan: Plan, index: RunIndex): Failure[] {
  return view.executions
    .filter((execution) => execution.state === "FAILED" && isTask(execution))
    .sort((a, b) => (parseTime(a.ended_at) ?? 0) - (parseTime(b.ended_at) ?? 0))
    .map((execution) => {
      const name = plan.nodes.get(execution.node)?.plan.display_name || execution.task;
      const iteration = iterationLabel(execution.path, index);
      return {
        execution,
        label: iteration === "" ? name : `${name} (${iteration})`,
        reason: reasonOf(execution) ?? { code: "FAILED", message: "The task failed.", details: {} },
      };
    });
}

/** Whether this is a task or an importer, and not a group, a loop or the run itself. */
export function isTask(execution: ExecutionView): boolean {
  return execution.kind === "TASK" || execution.kind === "IMPORTER";
}

/** The error of the last attempt if it has one, because it is closest to the cause; else the execution's reason. */
export function reasonOf(execution: ExecutionView): ReasonView | null {
  const last = execution.attempts[execution.attempts.length - 1];
  return last?.error ?? execution.reason ?? null;
}

/** One sentence that says what happened to an execution. */
export function stateSentence(execution: ExecutionView): string {
  const attempts = execution.attempts.length;
  const afterAttempts = attempts > 1 ? ` after ${attempts} attempts` : "";
  switch (execution.state) {
    case "SUCCEEDED":
      if (execution.cached_from !== null)
        return "Reused from the cache: an earlier task with the same inputs has these outputs. Nothing ran.";
      if (execution.reused_from !== null)
        return "Reused from the earlier run that this run re-runs. Nothing ran.";
      if (execution.marked !== null) return "Marked as succeeded by hand.";
      return `Succeeded${afterAttempts}.`;
    case "FAILED":
      return attempts === 0 ? "Failed before it could start." : `Failed${afterAttempts}.`;
    case "SKIPPED":
      return execution.marked === null ? "Skipped." : "Marked as skipped by hand.";
    case "RUNNING":
      return attempts > 1 ? `Attempt ${attempts} is running.` : "Running.";
    case "PENDING":
      return execution.retry_at !== null ? "Failed. Waiting for the next attempt." : "Waiting to start.";
    case "CANCELING":
      return execution.marked === null
        ? "Being stopped."
        : `Being stopped, because it was marked as ${execution.marked.state.toLowerCase()}.`;
    case "CANCELED":
      return "Canceled.";
    case "PAUSED":
      return "Paused.";
  }
}

/** `ann, 2026-11-23 10:00:00: no data`: who marked a task, when, and the note. */
export function markText(mark: MarkView): string {
  const who = mark.by || "unknown user";
  return `${who}, ${formatExact(mark.at)}${mark.note === "" ? "" : `: ${mark.note}`}`;
}

export function attemptDuration(attempt: AttemptView, now: number): string {
  const duration = durationOf(attempt, now);
  return duration === null ? "" : formatDuration(duration);
}

export interface TaskRow {
  readonly key: string;
  /** What to select: the path of an execution, or the ID of a node that has not started. */
  readonly path: string;
  readonly depth: number;
  readonly label: string;
  readonly note: string;
  readonly state: State;
  /** False while the plan's node has no execution. */
  readonly started: boolean;
  readonly execution: ExecutionView | null;
}

/** The run as an indented list. A loop is followed by its iterations, failed ones first. */
export function taskRows(plan: Plan, index: RunIndex, runState: State): TaskRow[] {
  const rows: TaskRow[] = [];
  const over = isFinal(runState);
  const walk = (nodes: readonly PlanNode[], prefix: string, depth: number): void => {
    for (const node of nodes) {
      const path = prefix === "" ? node.plan.name : `${prefix}/${node.plan.name}`;
      const execution = index.byPath.get(path) ?? null;
      const state = execution?.state ?? (over ? "SKIPPED" : "PENDING");
      const label = node.plan.display_name || node.plan.name;
      rows.push({ key: path, path, depth, label, note: "", state, started: execution !== null, execution });
      if (node.plan.kind !== "LOOP") {
        walk(node.children, path, depth + 1);
        continue;
      }
      const iterations = (index.byNode.get(node.id) ?? [])
        .filter((other) => isIteration(other) && other.parent === path)
        .sort(failedFirst);
      for (const iteration of iterations) {
        rows.push({
          key: iteration.path,
          path: iteration.path,
          depth: depth + 1,
          label: `#${iteration.iteration}`,
          note: itemText(iteration.item),
          state: iteration.state,
          started: true,
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
export function failedFirst(a: ExecutionView, b: ExecutionView): number {
  const failed = Number(b.state === "FAILED") - Number(a.state === "FAILED");
  return failed || (a.iteration ?? 0) - (b.iteration ?? 0);
}

export interface TimelineRow {
  readonly path: string;
  readonly label: string;
  /** Iteration and item inside loops; "" outside. */
  readonly iteration: string;
  readonly state: State;
  readonly start: number;
  readonly duration: number;
  /** One bar for each attempt; `left` and `width` are fractions (0 to 1) of the timeline's length. */
  readonly bars: readonly { readonly left: number; readonly width: number; readonly state: State }[];
  readonly cached: boolean;
}

export interface Timeline {
  /** Milliseconds since the epoch. */
  readonly start: number;
  /** Milliseconds, at least 1. */
  readonly length: number;
  readonly rows: readonly TimelineRow[];
}

export function timelineOf(view: RunView, plan: Plan, index: RunIndex, now: number): Timeline {
  const started = view.executions.filter((execution) => execution.started_at !== null && isTask(execution));
  const times = started.flatMap((execution) => {
    const from = parseTime(execution.started_at)!;
    return [from, endOf(execution, now) ?? from];
  });
  const start = minimum(times, parseTime(view.run.started_at) ?? now);
  const end = Math.max(
    parseTime(view.run.finished_at) ?? (isFinal(view.run.state) ? start : now),
    maximum(times, start),
  );
  const length = Math.max(1, end - start);
  const rows = started.map((execution): TimelineRow => {
    const from = parseTime(execution.started_at)!;
    const attempts = execution.attempts.filter((attempt) => attempt.started_at !== null);
    const pieces = attempts.length > 0 ? attempts : [execution];
    return {
      path: execution.path,
      label: plan.nodes.get(execution.node)?.plan.display_name || execution.task,
      iteration: iterationLabel(execution.path, index),
      state: execution.state,
      start: from,
      duration: durationOf(execution, now) ?? 0,
      cached: execution.cached_from !== null,
      bars: pieces.map((piece) => {
        const left = parseTime(piece.started_at)!;
        const right = endOf(piece, now) ?? left;
        return { left: (left - start) / length, width: (right - left) / length, state: piece.state };
      }),
    };
  });
  rows.sort((a, b) => a.start - b.start || a.path.localeCompare(b.path, "en", { numeric: true }));
  return { start, length, rows };
}

function minimum(values: readonly number[], otherwise: number): number {
  return values.reduce((least, value) => Math.min(least, value), otherwise);
}

function maximum(values: readonly number[], otherwise: number): number {
  return values.reduce((most, value) => Math.max(most, value), otherwise);
}

/** Times (ms from the start) of the labels of a time axis that is `length` ms long: round steps, at most `count` steps. */
export function ticks(length: number, count = 6): number[] {
  const steps = [
    10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 15e3, 3e4, 6e4, 12e4, 3e5, 6e5, 18e5, 36e5, 72e5, 216e5,
    864e5,
  ];
  const step = steps.find((each) => length / each <= count) ?? 864e5 * Math.ceil(length / (864e5 * count));
  return Array.from({ length: Math.floor(length / step) + 1 }, (_, at) => at * step);
}

/** `Graph of 7 tasks: 4 succeeded, 1 failed`: the graph's label for screen readers. */
export function graphLabel(plan: Plan, rows: readonly TaskRow[]): string {
  const counts = new Map<State, number>();
  const leaves = rows.filter((row) => row.execution !== null && isTask(row.execution));
  for (const row of leaves) counts.set(row.state, (counts.get(row.state) ?? 0) + 1);
  const words = [...counts].map(([state, count]) => `${count} ${styleOfState(state).label.toLowerCase()}`);
  const planned = [...plan.nodes.values()].filter((node) => node.children.length === 0).length;
  return `Graph of ${planned} tasks${words.length > 0 ? `: ${words.join(", ")}` : ""}`;
}
