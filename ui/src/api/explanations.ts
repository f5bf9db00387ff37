import { queryOptions } from "@tanstack/react-query";
import { getJson } from "./client";
import type { CodePage, Explanation, RunExplanation } from "./types";

/** The reason why a task waits can change without an event of its run: another run ends, time passes. */
const REFETCH_MS = 2000;
/** Large runs take longer to explain, so the page asks less often. */
const REFETCH_MS_PER_TASK = 2;

/** Why an execution is in its state. `revision` changes whenever the execution does. */
export function explanationQuery(executionId: string, revision: string, over: boolean) {
  return queryOptions<Explanation, Error, Explanation, readonly string[]>({
    queryKey: ["explain", executionId, revision],
    queryFn: ({ signal }) =>
      getJson<Explanation>(`/api/executions/${encodeURIComponent(executionId)}/explain`, {}, signal),
    staleTime: over ? Number.POSITIVE_INFINITY : 0,
    refetchInterval: over ? false : REFETCH_MS,
    placeholderData: (previous: Explanation | undefined) =>
      previous?.execution_id === executionId ? previous : undefined,
  });
}

/** Why a run of `tasks` tasks is in its state, without the explanations of its tasks. */
export function runExplanationQuery(runId: string, state: string, tasks: number, over: boolean) {
  return queryOptions<RunExplanation, Error, RunExplanation, readonly string[]>({
    queryKey: ["explain-run", runId, state],
    queryFn: ({ signal }) =>
      getJson<RunExplanation>(`/api/runs/${encodeURIComponent(runId)}/explain`, { limit: 0 }, signal),
    staleTime: over ? Number.POSITIVE_INFINITY : 0,
    refetchInterval: over ? false : Math.max(REFETCH_MS, tasks * REFETCH_MS_PER_TASK),
    placeholderData: (previous: RunExplanation | undefined) =>
      previous?.run_id === runId ? previous : undefined,
  });
}

/** The documentation of a code. */
export function codeQuery(code: string) {
  return queryOptions({
    queryKey: ["code", code],
    queryFn: ({ signal }) => getJson<CodePage>(`/api/codes/${encodeURIComponent(code)}`, {}, signal),
    staleTime: Number.POSITIVE_INFINITY,
    retry: false,
  });
}
