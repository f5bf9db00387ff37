import { useVirtualizer } from "@tanstack/react-virtual";
import { useMemo, useRef } from "react";
import { Mark } from "@/components/mark";
import { durationOf, isIteration, itemText } from "@/graph/model";
import { lookOf } from "@/lib/states";
import { formatDuration } from "@/lib/time";
import styles from "./iterations.module.css";
import { byUrgency, type Selection } from "./model";
import { readLoops, writeLoops } from "./search";
import type { RunParts } from "./shared";

/** A loop's iterations, failed ones first; choosing one shows its tasks in the graph. */
export function Iterations({
  selection,
  index,
  search,
  change,
  now,
}: RunParts & { readonly selection: Selection }) {
  const scroller = useRef<HTMLDivElement>(null);
  const { node } = selection;
  const choice = readLoops(search.loops);
  const chosen = choice.get(node.id);
  const iterations = useMemo(
    () => [...(index.byNode.get(node.id) ?? [])].filter(isIteration).sort(byUrgency),
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
  if (iterations.length === 0) return <p className={styles.dim}>The loop has no iterations yet.</p>;
  return (
    <>
      <p className={styles.dim}>
        Choose one to see its tasks in the graph. Choose it again to see all of them.
      </p>
      <div ref={scroller} className={styles.list}>
        <ul className={styles.canvas} style={{ height: rows.getTotalSize() }} aria-label="Iterations">
          {rows.getVirtualItems().map((item) => {
            const iteration = iterations[item.index]!;
            const { word, ...look } = lookOf(iteration.state);
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
                  <Mark {...look} size={14} />
                  <span className={styles.number}>#{iteration.iteration}</span>
                  <span className={styles.name} title={itemText(iteration.item)}>
                    {itemText(iteration.item)}
                  </span>
                  <span className={styles.dim}>{word}</span>
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
