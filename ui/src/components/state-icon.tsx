import { SHAPES } from "@/lib/shapes";
import type { Shape, Tone } from "@/lib/states";
import styles from "./state-icon.module.css";

interface StateIconProps {
  readonly shape: Shape;
  readonly tone: Tone;
  readonly size?: number;
}

/** The icon of a state. Hidden from screen readers, so a text with the state must stand beside it. */
export function StateIcon({ shape, tone, size = 16 }: StateIconProps) {
  const { plate, glyph, hollow } = SHAPES[shape];
  return (
    <svg
      className={styles.icon}
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
