import { useVirtualizer } from "@tanstack/react-virtual";
import { useMemo, useRef } from "react";
import { Notice } from "@/components/notice";
import { StateIcon } from "@/components/state-icon";
import { styleOfState } from "@/lib/states";
import { formatDuration } from "@/lib/time";
import { ticks, timelineOf } from "./model";
import type { RunPageProps } from "./props";
import styles from "./timeline-tab.module.css";

const ROW_HEIGHT = 30;

/** When each task ran, on one time axis. */
export function TimelineTab({ view, plan, index, search, change, now }: RunPageProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const timeline = useMemo(() => timelineOf(view, plan, index, now), [view, plan, index, now]);
  const rows = useVirtualizer({
    count: timeline.rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: 12,
  });
  if (timeline.rows.length === 0) return <Notice title="No task has started yet" />;
  const times = ticks(timeline.length);
  return (
    <div ref={scroller} className={styles.scroller}>
      <div className={styles.axis} aria-hidden="true">
        <span className={styles.label} />
        <div className={styles.lane}>
          {times.map((at) => (
            <span key={at} className={styles.tick} style={{ left: `${(at / timeline.length) * 100}%` }}>
              {at === 0 ? "0" : formatDuration(at)}
            </span>
          ))}
        </div>
      </div>
      <ul
        className={styles.canvas}
        style={{ height: rows.getTotalSize() }}
        aria-label="Tasks in order of their start"
      >
        <div className={styles.grid} aria-hidden="true">
          {times.map((at) => (
            <span key={at} style={{ left: `${(at / timeline.length) * 100}%` }} />
          ))}
        </div>
        {rows.getVirtualItems().map((item) => {
          const row = timeline.rows[item.index]!;
          const { label: state, ...icon } = styleOfState(row.state);
          const label = `${row.label} ${row.iteration}, ${state}, ${formatDuration(row.duration)}`;
          const end = Math.max(...row.bars.map((bar) => bar.left + bar.width));
          return (
            <li key={row.path} className={styles.item} style={{ transform: `translateY(${item.start}px)` }}>
              <button
                type="button"
                className={styles.row}
                aria-label={label}
                aria-current={row.path === search.task}
                onClick={() => change({ task: row.path, attempt: undefined })}
              >
                <span className={styles.label}>
                  <StateIcon {...icon} size={14} />
                  <span className={styles.name}>{row.label}</span>
                  {row.iteration && <span className={styles.iteration}>{row.iteration}</span>}
                </span>
                <span className={styles.lane}>
                  {row.bars.map((bar, at) => (
                    <span
                      key={at}
                      className={styles.bar}
                      data-tone={styleOfState(bar.state).tone}
                      data-cached={row.cached}
                      style={{ left: `${bar.left * 100}%`, width: `${bar.width * 100}%` }}
                    />
                  ))}
                  <span
                    className={styles.time}
                    style={
                      end < 0.85 ? { left: `${end * 100}%` } : { right: `${(1 - row.bars[0]!.left) * 100}%` }
                    }
                  >
                    {row.cached ? "from cache" : formatDuration(row.duration)}
                  </span>
                </span>
              </button>
            </li>
          );
        })}
      </ul>
    </div>
  );
}
