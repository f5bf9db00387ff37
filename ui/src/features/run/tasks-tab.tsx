import { useVirtualizer } from "@tanstack/react-virtual";
import { useMemo, useRef } from "react";
import { StateIcon } from "@/components/state-icon";
import { styleOfState } from "@/lib/states";
import { durationOf, formatDuration, formatExact } from "@/lib/time";
import { type TaskRow, taskRows } from "./model";
import type { RunPageProps } from "./props";
import styles from "./tasks-tab.module.css";

const ROW_HEIGHT = 34;

/** The graph as a list, for the keyboard and for screen readers. */
export function TasksTab({ view, plan, index, search, change, now }: RunPageProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const rows = useMemo(() => taskRows(plan, index, view.run.state), [plan, index, view.run.state]);
  const shown = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: 12,
    getItemKey: (at) => rows[at]!.key,
  });
  return (
    <div ref={scroller} className={styles.list}>
      <ul className={styles.canvas} style={{ height: shown.getTotalSize() }} aria-label="Tasks">
        {shown.getVirtualItems().map((item) => {
          const row = rows[item.index]!;
          return (
            <li
              key={item.key}
              className={styles.item}
              style={{ transform: `translateY(${item.start}px)` }}
              aria-setsize={rows.length}
              aria-posinset={item.index + 1}
            >
              <button
                type="button"
                className={styles.row}
                aria-current={row.path === search.task}
                onClick={() => change({ task: row.path, attempt: undefined })}
              >
                <Row row={row} now={now} />
              </button>
            </li>
          );
        })}
      </ul>
    </div>
  );
}

function Row({ row, now }: { readonly row: TaskRow; readonly now: number }) {
  const { label, ...icon } = styleOfState(row.state);
  const time = row.execution && durationOf(row.execution, now);
  const attempts = row.execution?.attempts.length ?? 0;
  return (
    <>
      <span className={styles.name} style={{ paddingLeft: row.depth * 20 }}>
        <StateIcon {...icon} size={15} />
        <span className={styles.label} data-started={row.started}>
          {row.label}
        </span>
        {row.note && <span className={styles.note}>{row.note}</span>}
        {attempts > 1 && <span className={styles.note}>×{attempts}</span>}
        {row.execution?.reused_from && <span className={styles.note}>reused</span>}
        {row.execution?.marked && (
          <span className={styles.note}>marked as {row.execution.marked.state.toLowerCase()}</span>
        )}
        {row.execution?.cached_from && <span className={styles.note}>from cache</span>}
      </span>
      <span className={styles.word} data-tone={icon.tone}>
        {row.started ? label : row.state === "PENDING" ? "Waiting" : "Did not run"}
      </span>
      <span className={styles.time}>{time !== null && time !== undefined ? formatDuration(time) : ""}</span>
      <span className={styles.time}>{formatExact(row.execution?.started_at ?? null).slice(11)}</span>
    </>
  );
}
