import { queryOptions } from "@tanstack/react-query";
import { getJson } from "./client";
import type { CodePage, Explanation, RunExplanation } from "./types";

/** Why something waits may change without an event of its own: another run ends, time passes. */
const AGAIN_MS = 2000;
/** Large runs take longer to explain. */
const AGAIN_MS_PER_TASK = 2;

/** Why an execution is in its state. `mark` changes whenever the execution does. */
export function explanationQuery(executionId: string, mark: string, over: boolean) {
  return queryOptions<Explanation, Error, Explanation, readonly string[]>({
    queryKey: ["explain", executionId, mark],
    queryFn: ({ signal }) =>
      getJson<Explanation>(`/api/executions/${encodeURIComponent(executionId)}/explain`, {}, signal),
    staleTime: over ? Number.POSITIVE_INFINITY : 0,
    refetchInterval: over ? false : AGAIN_MS,
    placeholderData: (previous: Explanation | undefined) =>
      previous?.execution_id === executionId ? previous : undefined,
  });
}

/** Why a run of so many tasks is in its state, without these. */
export function runExplanationQuery(runId: string, state: string, tasks: number, over: boolean) {
  return queryOptions<RunExplanation, Error, RunExplanation, readonly string[]>({
    queryKey: ["explain-run", runId, state],
    queryFn: ({ signal }) =>
      getJson<RunExplanation>(`/api/runs/${encodeURIComponent(runId)}/explain`, { limit: 0 }, signal),
    staleTime: over ? Number.POSITIVE_INFINITY : 0,
    refetchInterval: over ? false : Math.max(AGAIN_MS, tasks * AGAIN_MS_PER_TASK),
    placeholderData: (previous: RunExplanation | undefined) =>
      previous?.run_id === runId ? previous : undefined,
  });
}

/** What an error code means. */
export function codeQuery(code: string) {
  return queryOptions({
    queryKey: ["code", code],
    queryFn: ({ signal }) => getJson<CodePage>(`/api/codes/${encodeURIComponent(code)}`, {}, signal),
    staleTime: Number.POSITIVE_INFINITY,
    retry: false,
  });
}
