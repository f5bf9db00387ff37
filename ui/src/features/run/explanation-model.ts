/** The texts of an explanation. */
import type { CacheUse, Explanation, FailureView, TaskRef } from "@/api/types";
import { formatExact } from "@/lib/time";

/** `train in run monday` for a task of another run; only its path for a task of this run. */
export function taskRefText(ref: TaskRef, runId: string): string {
  const path = ref.path || "a deleted task";
  if (ref.run_id === "" || ref.run_id === runId) return path;
  return `${path} in run ${ref.run_name || ref.run_id.slice(0, 8)}`;
}

/** `fit.py:12 in train`: where the code failed; "" when that is not known. */
export function failureLocation(failure: FailureView): string {
  if (failure.line === null || failure.line === undefined) return "";
  const location = failure.file ? `${failure.file}:${failure.line}` : `line ${failure.line}`;
  return failure.function ? `${location} in ${failure.function}` : location;
}

/** The line that failed, between its neighbours with their numbers where these are known. */
export function failureLines({ lines, line, source_line }: FailureView): string {
  if (lines.length < 2) return source_line.trim();
  const width = String(lines[lines.length - 1]?.number ?? "").length;
  return lines
    .map(({ number, text }) =>
      `${number === line ? ">" : " "} ${String(number).padStart(width)} | ${text}`.trimEnd(),
    )
    .join("\n");
}

/** `1 of 3, at 2026-11-23 10:00:00`; "" without a retry. */
export function retryText({ retry }: Explanation): string {
  if (!retry) return "";
  const words = retry.number > 0 ? [`${retry.number} of ${retry.at_most}`] : [];
  if (retry.due_at) words.push(`at ${formatExact(retry.due_at)}`);
  if (retry.lost > 0)
    words.push(
      `${retry.lost} ${retry.lost === 1 ? "attempt" : "attempts"} lost with the server or machine, retried at once`,
    );
  return words.join(", ");
}

const CACHE_TEXTS: Record<CacheUse["use"], string> = {
  HIT: "Reused from the cache",
  MISS: "Not in the cache",
  WAITING: "Waiting for an identical task",
  OFF: "Caching is off",
  NOT_ASKED: "Not checked yet",
};

export function cacheText(use: CacheUse): string {
  return CACHE_TEXTS[use.use];
}

/** Whether the overview shows the cache section: only when the cache was asked and its answer matters. */
export function showsCache({ cache, state }: Explanation): boolean {
  // A task that waits for an identical task shows that as its reason.
  if (!cache || cache.use === "NOT_ASKED" || cache.use === "WAITING") return false;
  return cache.use !== "OFF" || !["PENDING", "SKIPPED", "CANCELED"].includes(state);
}
