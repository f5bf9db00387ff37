import { type State, styleOfState } from "@/lib/states";
import styles from "./state-badge.module.css";
import { StateIcon } from "./state-icon";

/** A state as icon and text. */
export function StateBadge({ state, size }: { readonly state: State; readonly size?: number }) {
  const { shape, tone, label } = styleOfState(state);
  return (
    <span className={styles.state} data-tone={tone} data-state={state}>
      <StateIcon shape={shape} tone={tone} {...(size === undefined ? {} : { size })} />
      {label}
    </span>
  );
}
