import { type KeyboardEvent, type PointerEvent, type ReactNode, useRef, useState } from "react";
import styles from "./splitter.module.css";

interface SplitterProps {
  readonly children: ReactNode;
  /** The pane on the right, with the width that the user chose; no pane when null. */
  readonly side: ReactNode;
  readonly storageKey: string;
  readonly label: string;
}

const MIN_WIDTH = 320;
const START_WIDTH = 520;

export function Splitter({ children, side, storageKey, label }: SplitterProps) {
  const frame = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(() => Number(localStorage.getItem(storageKey)) || START_WIDTH);
  const maxWidth = (): number => Math.max(MIN_WIDTH, (frame.current?.clientWidth ?? 1200) - 280);
  const resize = (wanted: number): void => {
    const next = Math.round(Math.min(maxWidth(), Math.max(MIN_WIDTH, wanted)));
    setWidth(next);
    localStorage.setItem(storageKey, String(next));
  };
  const onPointerMove = (event: PointerEvent<HTMLDivElement>): void => {
    if (!event.currentTarget.hasPointerCapture(event.pointerId)) return;
    resize(frame.current!.getBoundingClientRect().right - event.clientX);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key === "ArrowLeft") resize(width + 32);
    else if (event.key === "ArrowRight") resize(width - 32);
    else return;
    event.preventDefault();
  };
  return (
    <div ref={frame} className={styles.frame}>
      <div className={styles.main}>{children}</div>
      {side && (
        <>
          {/* biome-ignore lint/a11y/useSemanticElements: a rule cannot be dragged */}
          <div
            className={styles.handle}
            role="separator"
            aria-orientation="vertical"
            aria-label={label}
            aria-valuenow={width}
            aria-valuemin={MIN_WIDTH}
            tabIndex={0}
            onPointerDown={(event) => event.currentTarget.setPointerCapture(event.pointerId)}
            onPointerMove={onPointerMove}
            onKeyDown={onKeyDown}
          />
          <div className={styles.side} style={{ width }}>
            {side}
          </div>
        </>
      )}
    </div>
  );
}
