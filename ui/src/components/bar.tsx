import type { Tone } from "@/lib/states";
import styles from "./bar.module.css";

export interface BarPart {
  readonly tone: Tone;
  readonly count: number;
}

/** A bar that shows parts of a whole side by side. `label` says the same for screen readers. */
export function Bar({ parts, label }: { readonly parts: readonly BarPart[]; readonly label: string }) {
  return (
    <div className={styles.bar} role="img" aria-label={label} title={label}>
      {parts.map((part) => (
        <span
          key={part.tone}
          className={styles.part}
          data-tone={part.tone}
          style={{ flexGrow: part.count }}
        />
      ))}
    </div>
  );
}
