import { useInfiniteQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useRef, useState } from "react";
import { runListQuery, useLiveRuns, useRunAction } from "@/api/runs";
import type { RunSummary } from "@/api/types";
import { Bar } from "@/components/bar";
import { Button } from "@/components/button";
import { Icon } from "@/components/icon";
import { Command, Notice } from "@/components/notice";
import { StateBadge } from "@/components/state-badge";
import { StateIcon } from "@/components/state-icon";
import { useNow } from "@/components/use-now";
import { isFinal, styleOfState } from "@/lib/states";
import { formatAgo, formatExact } from "@/lib/time";
import { FILTERS, progressOf, runDuration } from "./model";
import styles from "./page.module.css";
import type { ListSearch } from "./search";

const route = getRouteApi("/runs");
const ROW_HEIGHT = 52;

/** The server counts up to this number. */
const MOST_COUNTED = 10_000;

function totalText(total: number): string {
  const more = total >= MOST_COUNTED ? " or more" : "";
  return `${total.toLocaleString("en")}${more} ${total === 1 ? "run" : "runs"}`;
}

export function RunsPage() {
  const search = route.useSearch();
  const list = useInfiniteQuery(runListQuery(search));
  const stream = useLiveRuns();
  const runs = list.data?.pages.flatMap((page) => page.runs) ?? [];
  const total = list.data?.pages[0]?.total_size ?? 0;
  useEffect(() => {
    document.title = "Runs · Headrace";
  }, []);
  return (
    <div className={styles.page}>
      <div className={styles.head}>
        <h1 className={styles.title}>Runs</h1>
        <span className={styles.total}>{list.data && totalText(total)}</span>
        {stream === "lost" && (
          <span className={styles.lost}>Connection lost, reconnecting. This page may be out of date.</span>
        )}
      </div>
      <Filters search={search} />
      {list.isPending ? (
        <p className={styles.wait}>Loading…</p>
      ) : list.error !== null && list.data === undefined ? (
        <Notice title="Cannot load the list of runs" role="alert">
          <p>{list.error.message}</p>
        </Notice>
      ) : runs.length === 0 ? (
        <Empty search={search} />
      ) : (
        <Table
          runs={runs}
          more={list.hasNextPage && !list.isFetchingNextPage}
          loadMore={() => void list.fetchNextPage()}
        />
      )}
    </div>
  );
}

function Filters({ search }: { readonly search: ListSearch }) {
  const navigate = route.useNavigate();
  const [text, setText] = useState(search.search ?? "");
  useEffect(() => setText(search.search ?? ""), [search.search]);
  const apply = (next: Partial<Record<keyof ListSearch, unknown>>): void => {
    void navigate({ search: (old) => ({ ...old, ...next }) as ListSearch, replace: true });
  };
  return (
    <search className={styles.filters}>
      <label className={styles.search}>
        <Icon name="search" size={14} />
        <span className="unseen">Search by name</span>
        <input
          type="search"
          placeholder="Search by name"
          value={text}
          onChange={(event) => {
            setText(event.target.value);
            apply({ search: event.target.value || undefined });
          }}
        />
      </label>
      <fieldset className={styles.states}>
        <legend className="unseen">State</legend>
        {FILTERS.map(({ state, label }) => (
          <Button
            key={label}
            variant="quiet"
            pressed={search.state === state && !search.archived}
            onClick={() => apply({ state, archived: undefined })}
          >
            {state && <StateIcon {...styleOfState(state)} size={13} />}
            {label}
          </Button>
        ))}
      </fieldset>
      <span className={styles.space} />
      <Button
        variant="quiet"
        icon="archive"
        pressed={search.archived === true}
        onClick={() => apply({ archived: search.archived ? undefined : true, state: undefined })}
      >
        Archived
      </Button>
    </search>
  );
}

function Empty({ search }: { readonly search: ListSearch }) {
  if (search.archived) return <Notice title="No archived runs" />;
  if (search.state || search.search) {
    return (
      <Notice title="No matching runs">
        <p>
          <Link to="/runs">Show all runs</Link>
        </p>
      </Notice>
    );
  }
  return (
    <Notice title="No runs yet">
      <p>Start a run in a terminal. It appears here as soon as it starts.</p>
      <Command>headrace run examples/breast_cancer.py</Command>
    </Notice>
  );
}

interface TableProps {
  readonly runs: readonly RunSummary[];
  readonly more: boolean;
  readonly loadMore: () => void;
}

function Table({ runs, more, loadMore }: TableProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const rows = useVirtualizer({
    count: runs.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: 8,
    getItemKey: (at) => runs[at]!.run_id,
  });
  const items = rows.getVirtualItems();
  const last = items[items.length - 1]?.index ?? 0;
  const nearEnd = more && last >= runs.length - 10;
  useEffect(() => {
    if (nearEnd) loadMore();
  }, [nearEnd, loadMore]);
  const now = useNow(true);
  return (
    // biome-ignore lint/a11y/useSemanticElements: a table element cannot be virtualised by position
    <div className={styles.table} role="table" aria-label="Runs" aria-rowcount={runs.length + 1}>
      {/* biome-ignore lint/a11y/useSemanticElements: see above */}
      {/* biome-ignore lint/a11y/useFocusableInteractive: rows hold the focusable links */}
      <div className={styles.row} data-head="true" role="row" aria-rowindex={1}>
        {["State", "Name", "Tasks", "Duration", "Started", ""].map((title) => (
          // biome-ignore lint/a11y/useSemanticElements: see above
          // biome-ignore lint/a11y/useFocusableInteractive: nothing to do on a heading
          <span key={title} role="columnheader">
            {title || <span className="unseen">Actions</span>}
          </span>
        ))}
      </div>
      {/* biome-ignore lint/a11y/useSemanticElements: see above */}
      <div ref={scroller} className={styles.rows} role="rowgroup">
        <div className={styles.canvas} style={{ height: rows.getTotalSize() }}>
          {items.map((item) => (
            <Row key={item.key} run={runs[item.index]!} at={item.index} top={item.start} now={now} />
          ))}
        </div>
      </div>
    </div>
  );
}

interface RowProps {
  readonly run: RunSummary;
  readonly at: number;
  readonly top: number;
  readonly now: number;
}

function Row({ run, at, top, now }: RowProps) {
  const progress = progressOf(run.task_counts);
  const started = run.started_at ?? run.created_at;
  return (
    // biome-ignore lint/a11y/useSemanticElements: a table element cannot be virtualised by position
    // biome-ignore lint/a11y/useFocusableInteractive: the link in it takes the focus
    <div
      className={styles.row}
      role="row"
      aria-rowindex={at + 2}
      data-run={run.run_id}
      style={{ transform: `translateY(${top}px)` }}
    >
      {/* biome-ignore-start lint/a11y/useSemanticElements: cells of the table above */}
      <span role="cell">
        <StateBadge state={run.state} />
      </span>
      <span role="cell" className={styles.name}>
        <Link to="/runs/$runId" params={{ runId: run.run_id }} className={styles.link}>
          {run.display_name || run.run_id}
        </Link>
        <span className={styles.sub}>
          {run.pipeline_name}
          {run.experiment_name && <span className={styles.experiment}>{run.experiment_name}</span>}
        </span>
      </span>
      <span role="cell" className={styles.progress}>
        <Bar parts={progress.parts} label={progress.text} />
        <span className={styles.count}>{progress.total > 0 && `${progress.done}/${progress.total}`}</span>
      </span>
      <span role="cell" className={styles.number}>
        {runDuration(run, now)}
      </span>
      <span role="cell" className={styles.dim}>
        <time dateTime={started} title={formatExact(started)}>
          {formatAgo(started, now)}
        </time>
      </span>
      <span role="cell" className={styles.actions}>
        <RowActions run={run} />
      </span>
      {/* biome-ignore-end lint/a11y/useSemanticElements: cells of the table above */}
    </div>
  );
}

function RowActions({ run }: { readonly run: RunSummary }) {
  const { mutate, isPending } = useRunAction();
  const act = (action: "terminate" | "archive" | "unarchive"): void => mutate({ runId: run.run_id, action });
  if (!isFinal(run.state)) {
    return (
      <Button
        variant="quiet"
        icon="stop"
        disabled={isPending || run.state === "CANCELING"}
        aria-label={`Terminate ${run.display_name}`}
        title="Terminate this run"
        onClick={() => act("terminate")}
      />
    );
  }
  const archived = run.storage_state === "ARCHIVED";
  const label = archived ? "Unarchive" : "Archive";
  return (
    <Button
      variant="quiet"
      icon="archive"
      disabled={isPending}
      aria-label={`${label}: ${run.display_name}`}
      title={label}
      onClick={() => act(archived ? "unarchive" : "archive")}
    />
  );
}
