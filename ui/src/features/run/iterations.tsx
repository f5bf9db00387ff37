import { useVirtualizer } from "@tanstack/react-virtual";
import { useMemo, useRef } from "react";
import { StateIcon } from "@/components/state-icon";
import { isIteration, itemText } from "@/graph/model";
import { styleOfState } from "@/lib/states";
import { durationOf, formatDuration } from "@/lib/time";
import styles from "./iterations.module.css";
import { failedFirst, type Selection } from "./model";
import type { RunPageProps } from "./props";
import { readLoops, writeLoops } from "./search";

/** A loop's iterations, failed ones first. Selecting one shows its tasks in the graph. */
export function Iterations({
  selection,
  index,
  search,
  change,
  now,
}: RunPageProps & { readonly selection: Selection }) {
  const scroller = useRef<HTMLDivElement>(null);
  const { node } = selection;
  const choice = readLoops(search.loops);
  const chosen = choice.get(node.id);
  const iterations = useMemo(
    () => [...(index.byNode.get(node.id) ?? [])].filter(isIteration).sort(failedFirst),
    [index, node.id],
  );
  const rows = useVirtualizer({
    count: iterations.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => 34,
    overscan: 10,
  });
  const choose = (iteration: number): void => {
    const next = new Map(choice);
    if (chosen === iteration) next.delete(node.id);
    else next.set(node.id, iteration);
    change({ loops: writeLoops(next) });
  };
  if (iterations.length === 0) return <p className={styles.dim}>This loop has no iterations yet.</p>;
  return (
    <>
      <p className={styles.dim}>
        Select an iteration to see only its tasks in the graph. Select it again to see all iterations.
      </p>
      <div ref={scroller} className={styles.list}>
        <ul className={styles.canvas} style={{ height: rows.getTotalSize() }} aria-label="Iterations">
          {rows.getVirtualItems().map((item) => {
            const iteration = iterations[item.index]!;
            const { label, ...icon } = styleOfState(iteration.state);
            const time = durationOf(iteration, now);
            return (
              <li
                key={iteration.path}
                className={styles.item}
                style={{ transform: `translateY(${item.start}px)` }}
              >
                <button
                  type="button"
                  className={styles.row}
                  aria-pressed={chosen === iteration.iteration}
                  onClick={() => choose(iteration.iteration ?? 0)}
                >
                  <StateIcon {...icon} size={14} />
                  <span className={styles.number}>#{iteration.iteration}</span>
                  <span className={styles.name} title={itemText(iteration.item)}>
                    {itemText(iteration.item)}
                  </span>
                  <span className={styles.dim}>{label}</span>
                  <span className={styles.dim}>{time === null ? "" : formatDuration(time)}</span>
                </button>
              </li>
            );
          })}
        </ul>
      </div>
    </>
  );
}
