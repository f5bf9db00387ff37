import {
  type InfiniteData,
  infiniteQueryOptions,
  type QueryClient,
  queryOptions,
  useMutation,
  useQueryClient,
} from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { isFinal } from "@/lib/states";
import { getJson, postJson } from "./client";
import { openStream, type StreamState } from "./stream";
import type {
  ExecutionPage,
  ExecutionView,
  ListChange,
  RunChange,
  RunList,
  RunSummary,
  RunView,
} from "./types";

export interface RunFilter {
  readonly state?: string | undefined;
  readonly search?: string | undefined;
  readonly archived?: boolean | undefined;
}

const PAGE_SIZE = 50;
/** How often to load the data again while the event stream is disconnected. */
const POLL_MS = 4000;

const keys = {
  lists: ["runs"] as const,
  list: (filter: RunFilter) => [...keys.lists, filter] as const,
  run: (runId: string) => ["run", runId] as const,
};

export function runListQuery(filter: RunFilter) {
  return infiniteQueryOptions({
    queryKey: keys.list(filter),
    queryFn: ({ pageParam, signal }) =>
      getJson<RunList>(
        "/api/runs",
        {
          page_size: PAGE_SIZE,
          page_token: pageParam,
          state: filter.state,
          search: filter.search,
          storage_state: filter.archived ? "ARCHIVED" : "AVAILABLE",
        },
        signal,
      ),
    initialPageParam: "",
    getNextPageParam: (last) => last.next_page_token || undefined,
  });
}

export function runQuery(runId: string) {
  return queryOptions({
    queryKey: keys.run(runId),
    queryFn: ({ signal, client }) => loadRun(runId, signal, (part) => showPart(client, runId, part)),
  });
}

/** The whole view of a run. Of a large run, `shown` gets what is there after each page but the last. */
export async function loadRun(
  runId: string,
  signal: AbortSignal,
  shown: (part: RunView) => void,
): Promise<RunView> {
  const path = `/api/runs/${encodeURIComponent(runId)}`;
  let view = await getJson<RunView>(path, {}, signal);
  while (view.next_page_token !== "") {
    shown(view);
    const page = await getJson<ExecutionPage>(
      `${path}/executions`,
      { page_token: view.next_page_token },
      signal,
    );
    view = {
      ...view,
      executions: [...view.executions, ...page.executions],
      next_page_token: page.next_page_token,
    };
  }
  return view;
}

/** A view that is being loaded again stays as it is until the new one is complete. */
function showPart(client: QueryClient, runId: string, part: RunView): void {
  const key = keys.run(runId);
  const old = client.getQueryData<RunView>(key);
  if (old === undefined || !isComplete(old)) client.setQueryData<RunView>(key, part);
}

/** Whether all executions of the run are loaded. */
export function isComplete(view: RunView): boolean {
  return view.next_page_token === "";
}

/** Keeps all cached lists of runs up to date with the server's events until the component unmounts. */
export function useLiveRuns(): StreamState {
  const client = useQueryClient();
  const [state, setState] = useState<StreamState>("connecting");
  useEffect(() => {
    let stale: ReturnType<typeof setTimeout> | undefined;
    const refetchSoon = (): void => {
      clearTimeout(stale);
      stale = setTimeout(() => void client.invalidateQueries({ queryKey: keys.lists }), 300);
    };
    const close = openStream(() => "/api/events", {
      on: {
        runs: (data) => {
          if (patchLists(client, (data as ListChange).runs)) refetchSoon();
        },
      },
      onState: (next) => {
        // Load the lists once more: runs may have changed before the stream was connected.
        if (next === "live") refetchSoon();
        setState(next);
      },
    });
    return () => {
      clearTimeout(stale);
      close();
    };
  }, [client]);
  useEffect(() => {
    if (state !== "lost") return;
    const timer = setInterval(() => void client.invalidateQueries({ queryKey: keys.lists }), POLL_MS);
    return () => clearInterval(timer);
  }, [client, state]);
  return state;
}

/** Applies changed runs to the cached lists. Returns true when a list must be loaded again because a run may have entered or left it. */
function patchLists(client: QueryClient, changed: readonly RunSummary[]): boolean {
  let moved = false;
  for (const [key, data] of client.getQueriesData<InfiniteData<RunList>>({ queryKey: keys.lists })) {
    if (data === undefined) {
      // The list is still loading, and its answer may be older than this change.
      moved = true;
      continue;
    }
    const patched = patchPages(data.pages, changed);
    moved ||= patched.moved;
    client.setQueryData(key, { ...data, pages: patched.pages });
  }
  return moved;
}

export function patchPages(
  pages: readonly RunList[],
  changed: readonly RunSummary[],
): { pages: RunList[]; moved: boolean } {
  const changes = new Map(changed.map((run) => [run.run_id, run]));
  let moved = false;
  const patched = pages.map((page) => ({
    ...page,
    runs: page.runs.map((run) => {
      const next = changes.get(run.run_id);
      if (next === undefined) return run;
      changes.delete(run.run_id);
      moved ||= next.state !== run.state || next.storage_state !== run.storage_state;
      return next.version >= run.version ? next : run;
    }),
  }));
  return { pages: patched, moved: moved || changes.size > 0 };
}

/** Keeps a run's cached view up to date with the server's events until the run ends. */
export function useLiveRun(runId: string, view: RunView | undefined): StreamState {
  const client = useQueryClient();
  const [state, setState] = useState<StreamState>("connecting");
  const watching = view !== undefined && isComplete(view) && !isFinal(view.run.state);
  useEffect(() => {
    if (!watching) return;
    const key = keys.run(runId);
    return openStream(() => `/api/runs/${encodeURIComponent(runId)}/events`, {
      // Pages after the first one may be newer than its version, none is older.
      after: () => String(client.getQueryData<RunView>(key)?.run.version ?? ""),
      on: {
        change: (data) => {
          client.setQueryData<RunView>(key, (old) => old && applyChange(old, data as RunChange));
          // Only the full view has the run's outputs.
          if (isFinal((data as RunChange).run.state)) void client.invalidateQueries({ queryKey: key });
        },
        end: () => void client.invalidateQueries({ queryKey: key }),
      },
      onState: setState,
    });
  }, [client, runId, watching]);
  useEffect(() => {
    if (!watching || state !== "lost") return;
    const timer = setInterval(() => void client.invalidateQueries({ queryKey: keys.run(runId) }), POLL_MS);
    return () => clearInterval(timer);
  }, [client, runId, state, watching]);
  return watching ? state : "ended";
}

/** The view after a change. Executions that did not change stay the same objects. */
export function applyChange(view: RunView, change: RunChange): RunView {
  if (change.version < view.run.version) return view;
  const changes = new Map(change.executions.map((execution) => [execution.execution_id, execution]));
  const executions: ExecutionView[] = view.executions.map((execution) => {
    const next = changes.get(execution.execution_id);
    changes.delete(execution.execution_id);
    return next ?? execution;
  });
  return { ...view, run: change.run, executions: [...executions, ...changes.values()] };
}

export type RunAction = "terminate" | "retry" | "pause" | "resume" | "archive" | "unarchive";

export function useRunAction() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ runId, action }: { runId: string; action: RunAction }) =>
      postJson<unknown>(`/api/runs/${encodeURIComponent(runId)}/${action}`),
    onSettled: (_, __, { runId }) =>
      Promise.all([
        client.invalidateQueries({ queryKey: keys.run(runId) }),
        client.invalidateQueries({ queryKey: keys.lists }),
      ]),
  });
}
