import { useVirtualizer } from "@tanstack/react-virtual";
import { useMemo, useRef } from "react";
import { Mark } from "@/components/mark";
import { Notice } from "@/components/notice";
import { lookOf } from "@/lib/states";
import { formatDuration } from "@/lib/time";
import { ticks, timelineOf } from "./model";
import type { RunParts } from "./shared";
import styles from "./timeline-tab.module.css";

const ROW_HEIGHT = 30;

/** When each task ran, beside the others. */
export function TimelineTab({ view, plan, index, search, change, now }: RunParts) {
  const scroller = useRef<HTMLDivElement>(null);
  const timeline = useMemo(() => timelineOf(view, plan, index, now), [view, plan, index, now]);
  const rows = useVirtualizer({
    count: timeline.spans.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: 12,
  });
  if (timeline.spans.length === 0) return <Notice title="No task has started yet" />;
  const marks = ticks(timeline.length);
  return (
    <div ref={scroller} className={styles.scroller}>
      <div className={styles.axis} aria-hidden="true">
        <span className={styles.label} />
        <div className={styles.lane}>
          {marks.map((at) => (
            <span key={at} className={styles.tick} style={{ left: `${(at / timeline.length) * 100}%` }}>
              {at === 0 ? "0" : formatDuration(at)}
            </span>
          ))}
        </div>
      </div>
      <ul
        className={styles.canvas}
        style={{ height: rows.getTotalSize() }}
        aria-label="Tasks by the time they started"
      >
        <div className={styles.grid} aria-hidden="true">
          {marks.map((at) => (
            <span key={at} style={{ left: `${(at / timeline.length) * 100}%` }} />
          ))}
        </div>
        {rows.getVirtualItems().map((item) => {
          const span = timeline.spans[item.index]!;
          const { word, ...look } = lookOf(span.state);
          const words = `${span.label} ${span.place}, ${word}, ${formatDuration(span.duration)}`;
          const end = Math.max(...span.bars.map((bar) => bar.left + bar.width));
          return (
            <li key={span.path} className={styles.item} style={{ transform: `translateY(${item.start}px)` }}>
              <button
                type="button"
                className={styles.row}
                aria-label={words}
                aria-current={span.path === search.task}
                onClick={() => change({ task: span.path, attempt: undefined })}
              >
                <span className={styles.label}>
                  <Mark {...look} size={14} />
                  <span className={styles.name}>{span.label}</span>
                  {span.place && <span className={styles.place}>{span.place}</span>}
                </span>
                <span className={styles.lane}>
                  {span.bars.map((bar, at) => (
                    <span
                      key={at}
                      className={styles.bar}
                      data-tone={lookOf(bar.state).tone}
                      data-cached={span.cached}
                      style={{ left: `${bar.left * 100}%`, width: `${bar.width * 100}%` }}
                    />
                  ))}
                  <span
                    className={styles.time}
                    style={
                      end < 0.85 ? { left: `${end * 100}%` } : { right: `${(1 - span.bars[0]!.left) * 100}%` }
                    }
                  >
                    {span.cached ? "from cache" : formatDuration(span.duration)}
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
