/** The actions on a run's tasks: re-run from one, mark one as succeeded or skipped. */
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
    mutationFn: (body: Partial<RerunRun>) => postJson<RunSummary>(`${base(runId)}/rerun`, body),
    onSuccess: () => client.invalidateQueries({ queryKey: ["runs"] }),
  });
}

export function useMark(runId: string, executionId: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (body: Partial<MarkExecution>) =>
      postJson<unknown>(`${base(runId)}/executions/${encodeURIComponent(executionId)}/mark`, body),
    onSuccess: () => client.invalidateQueries({ queryKey: ["run", runId] }),
  });
}
