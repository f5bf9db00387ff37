import { lookOf, type StateWord } from "@/lib/states";
import { Mark } from "./mark";
import styles from "./state-word.module.css";

/** Mark and word together. */
export function State({ state, size }: { readonly state: StateWord; readonly size?: number }) {
  const { shape, tone, word } = lookOf(state);
  return (
    <span className={styles.state} data-tone={tone} data-state={state}>
      <Mark shape={shape} tone={tone} {...(size === undefined ? {} : { size })} />
      {word}
    </span>
  );
}
