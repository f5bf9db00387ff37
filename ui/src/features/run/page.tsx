import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { type ReactNode, useCallback, useEffect, useMemo } from "react";
import { ApiError } from "@/api/client";
import { isComplete, runQuery, useLiveRun } from "@/api/runs";
import type { RunView } from "@/api/types";
import { Button } from "@/components/button";
import { Notice } from "@/components/notice";
import { Splitter } from "@/components/splitter";
import { Tabs } from "@/components/tabs";
import { useNow } from "@/components/use-now";
import { buildPlan, indexRun } from "@/graph/model";
import { isFinal } from "@/lib/states";
import { Details } from "./details";
import { WaitingList } from "./explanation";
import { FailureSummary } from "./failure";
import { GraphTab } from "./graph-tab";
import { Header } from "./header";
import { select } from "./model";
import styles from "./page.module.css";
import { TaskPanel } from "./panel";
import type { RunSearch, TabId } from "./search";
import { TasksTab } from "./tasks-tab";
import { TimelineTab } from "./timeline-tab";

const route = getRouteApi("/runs/$runId");

const TAB_LABELS: readonly { id: TabId; label: string }[] = [
  { id: "graph", label: "Graph" },
  { id: "timeline", label: "Timeline" },
  { id: "tasks", label: "Tasks" },
  { id: "details", label: "Details" },
];

export function RunPage() {
  const { runId } = route.useParams();
  const run = useQuery(runQuery(runId));
  const stream = useLiveRun(runId, run.data);
  useEffect(() => {
    document.title = run.data ? `${run.data.run.display_name} · Headrace` : "Run · Headrace";
  }, [run.data]);
  if (run.data !== undefined) {
    const loading = !isComplete(run.data) && (
      <Loading view={run.data} problem={run.error} retry={() => void run.refetch()} />
    );
    return <Run view={run.data} lost={stream === "lost"} loading={loading} />;
  }
  if (run.error === null) return <p className={styles.wait}>Loading…</p>;
  const missing = run.error instanceof ApiError && run.error.status === 404;
  return (
    <Notice title={missing ? "Run not found" : "Cannot load this run"} role="alert">
      <p>{run.error.message}</p>
      <p>
        <Link to="/runs">Show all runs</Link>
      </p>
    </Notice>
  );
}

interface LoadingProps {
  readonly view: RunView;
  readonly problem: Error | null;
  readonly retry: () => void;
}

/** Of a large run, how much is there already. */
function Loading({ view, problem, retry }: LoadingProps) {
  const loaded = view.executions.length.toLocaleString("en");
  if (problem === null) {
    return (
      <p className={styles.loading} role="status">
        Loading: {loaded} task executions so far…
      </p>
    );
  }
  return (
    <p className={styles.loading} role="alert">
      Only {loaded} task executions could be loaded: {problem.message}{" "}
      <Button onClick={retry}>Try again</Button>
    </p>
  );
}

interface RunProps {
  readonly view: RunView;
  readonly lost: boolean;
  /** While not all of the run's executions are loaded. */
  readonly loading: ReactNode;
}

function Run({ view, lost, loading }: RunProps) {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const change = useCallback(
    (next: { readonly [K in keyof RunSearch]?: RunSearch[K] | undefined }): void => {
      void navigate({ search: (old) => ({ ...old, ...next }) as RunSearch, replace: true });
    },
    [navigate],
  );
  const plan = useMemo(() => buildPlan(view.graph), [view.graph]);
  const index = useMemo(() => indexRun(view.executions), [view.executions]);
  const selection = useMemo(() => select(plan, index, search.task), [plan, index, search.task]);
  const now = useNow(!isFinal(view.run.state));
  const tab = search.tab ?? "graph";
  const shared = { view, plan, index, selection, search, change, now };
  return (
    <div className={styles.page}>
      <Header run={view.run} warnings={view.warnings} now={now} lost={lost} />
      {loading}
      <WaitingList run={view.run} change={change} />
      <FailureSummary {...shared} />
      <div className={styles.tabs}>
        <Tabs
          label="Views of this run"
          tabs={TAB_LABELS}
          current={tab}
          panelId="run-view"
          onChange={(id) => change({ tab: id === "graph" ? undefined : id })}
        />
      </div>
      <Splitter
        storageKey="headrace.panel"
        label="Width of the task panel"
        side={selection && <TaskPanel key={selection.node.id} {...shared} selection={selection} />}
      >
        <div id="run-view" role="tabpanel" className={styles.view}>
          {tab === "graph" && <GraphTab {...shared} />}
          {tab === "timeline" && <TimelineTab {...shared} />}
          {tab === "tasks" && <TasksTab {...shared} />}
          {tab === "details" && <Details view={view} />}
        </div>
      </Splitter>
    </div>
  );
}
