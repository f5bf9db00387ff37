/** What can be done with a run's tasks: run again from one, decide what one came to. */
import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { getJson, postJson } from "./client";
import type { DocumentView, MarkExecution, RerunRun, RunSummary } from "./types";

const base = (runId: string): string => `/api/runs/${encodeURIComponent(runId)}`;

export function documentQuery(runId: string) {
  return queryOptions({
    queryKey: ["document", runId],
    queryFn: ({ signal }) => getJson<DocumentView>(`${base(runId)}/document`, {}, signal),
    staleTime: Number.POSITIVE_INFINITY,
  });
}

export function useRerun(runId: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (wanted: Partial<RerunRun>) => postJson<RunSummary>(`${base(runId)}/rerun`, wanted),
    onSuccess: () => client.invalidateQueries({ queryKey: ["runs"] }),
  });
}

export function useMark(runId: string, executionId: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (wanted: Partial<MarkExecution>) =>
      postJson<unknown>(`${base(runId)}/executions/${encodeURIComponent(executionId)}/mark`, wanted),
    onSuccess: () => client.invalidateQueries({ queryKey: ["run", runId] }),
  });
}
