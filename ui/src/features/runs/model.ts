import type { RunSummary } from "@/api/types";
import type { BarPart } from "@/components/bar";
import { BY_PROGRESS, isFinal, type State, styleOfState } from "@/lib/states";
import { elapsed } from "@/lib/time";

export interface Progress {
  readonly parts: readonly BarPart[];
  readonly done: number;
  readonly total: number;
  /** `4 succeeded, 1 failed, 2 running; 7 tasks` */
  readonly text: string;
}

export function progressOf(counts: RunSummary["task_counts"]): Progress {
  const states = BY_PROGRESS.filter((state) => (counts[state] ?? 0) > 0);
  const total = states.reduce((sum, state) => sum + counts[state]!, 0);
  const done = states.filter(isFinal).reduce((sum, state) => sum + counts[state]!, 0);
  const parts: BarPart[] = [];
  for (const state of states) {
    const { tone } = styleOfState(state);
    const at = parts.findIndex((part) => part.tone === tone);
    if (at < 0) parts.push({ tone, count: counts[state]! });
    else parts[at] = { tone, count: parts[at]!.count + counts[state]! };
  }
  const text = states
    .map((state) => `${counts[state]} ${styleOfState(state).label.toLowerCase()}`)
    .join(", ");
  return {
    parts,
    done,
    total,
    text: total === 0 ? "No tasks yet" : `${text}; ${total} ${total === 1 ? "task" : "tasks"}`,
  };
}

export function runDuration(run: RunSummary, now: number): string {
  return elapsed(run.started_at ?? null, run.finished_at, now) || "–";
}

export const FILTERS: readonly { readonly state: State | undefined; readonly label: string }[] = [
  { state: undefined, label: "All" },
  { state: "RUNNING", label: "Running" },
  { state: "PAUSED", label: "Paused" },
  { state: "FAILED", label: "Failed" },
  { state: "SUCCEEDED", label: "Succeeded" },
  { state: "PENDING", label: "Pending" },
  { state: "CANCELED", label: "Canceled" },
];
