import { SHAPES } from "@/lib/shapes";
import type { Shape, Tone } from "@/lib/states";
import styles from "./mark.module.css";

interface MarkProps {
  readonly shape: Shape;
  readonly tone: Tone;
  readonly size?: number;
}

/** A mark with its own shape and colour. It says nothing to a screen reader: a word stands beside it. */
export function Mark({ shape, tone, size = 16 }: MarkProps) {
  const { plate, glyph, hollow } = SHAPES[shape];
  return (
    <svg
      className={styles.mark}
      data-tone={tone}
      data-hollow={hollow}
      width={size}
      height={size}
      viewBox="0 0 16 16"
      aria-hidden="true"
    >
      <path className={styles.plate} d={plate} />
      <path className={styles.glyph} d={glyph} />
    </svg>
  );
}
