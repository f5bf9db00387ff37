/** From an explanation to what the page says. */
import type { CacheUse, Explanation, FailureView, TaskRef } from "@/api/types";
import { formatExact } from "@/lib/time";

/** `train of run monday` for an execution of another run; its path for one of this run. */
export function refWords(ref: TaskRef, runId: string): string {
  const path = ref.path || "a task that is gone";
  if (ref.run_id === "" || ref.run_id === runId) return path;
  return `${path} of ${ref.run_name || `run ${ref.run_id.slice(0, 8)}`}`;
}

/** `ephemeral_component.py:12 in train`; "" when nobody knows. */
export function placeOf(failure: FailureView): string {
  if (failure.line === null || failure.line === undefined) return "";
  const place = failure.file ? `${failure.file}:${failure.line}` : `line ${failure.line}`;
  return failure.function ? `${place} in ${failure.function}` : place;
}

/** `Retry 1 of 3, due at …`; "" when there was none. */
export function retryWords({ retry }: Explanation): string {
  if (!retry) return "";
  const words = retry.number > 0 ? [`${retry.number} of ${retry.at_most}`] : [];
  if (retry.due_at) words.push(`due at ${formatExact(retry.due_at)}`);
  if (retry.lost > 0) words.push(`${retry.lost} lost to the machine and tried again at once`);
  return words.join(", ");
}

const WORDS: Record<CacheUse["use"], string> = {
  HIT: "Taken from the cache",
  MISS: "Not in the cache",
  WAITING: "Waits for the same task",
  OFF: "Not cached",
  NOT_ASKED: "Not asked yet",
};

export function cacheWords(use: CacheUse): string {
  return WORDS[use.use];
}

/** Whether the last word on the cache is worth a place on the overview. */
export function tellsOfCache({ cache, state }: Explanation): boolean {
  // Who waits for the same task elsewhere is told so as its reason.
  if (!cache || cache.use === "NOT_ASKED" || cache.use === "WAITING") return false;
  return cache.use !== "OFF" || !["PENDING", "SKIPPED", "CANCELED"].includes(state);
}
