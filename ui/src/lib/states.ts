/** The eight states. Each has a label, a shape and a tone, so that colour is never the only difference. */
export type State =
  | "PENDING"
  | "RUNNING"
  | "SUCCEEDED"
  | "SKIPPED"
  | "FAILED"
  | "CANCELING"
  | "CANCELED"
  | "PAUSED";

export type Shape = "check" | "cross" | "play" | "clock" | "slash" | "stop" | "pause";
export type Tone = "good" | "bad" | "active" | "idle" | "muted" | "warn" | "hold";

export interface StateStyle {
  readonly label: string;
  readonly shape: Shape;
  readonly tone: Tone;
}

const STYLES: Record<State, StateStyle> = {
  PENDING: { label: "Pending", shape: "clock", tone: "idle" },
  RUNNING: { label: "Running", shape: "play", tone: "active" },
  SUCCEEDED: { label: "Succeeded", shape: "check", tone: "good" },
  SKIPPED: { label: "Skipped", shape: "slash", tone: "muted" },
  FAILED: { label: "Failed", shape: "cross", tone: "bad" },
  CANCELING: { label: "Canceling", shape: "stop", tone: "warn" },
  CANCELED: { label: "Canceled", shape: "stop", tone: "warn" },
  PAUSED: { label: "Paused", shape: "pause", tone: "hold" },
};

/** The states in the order in which a user should look at them. */
export const BY_URGENCY: readonly State[] = [
  "FAILED",
  "CANCELING",
  "RUNNING",
  "PAUSED",
  "PENDING",
  "CANCELED",
  "SUCCEEDED",
  "SKIPPED",
];

/** The states in the order of a progress bar, from the left: finished states first. */
export const BY_PROGRESS: readonly State[] = [
  "SUCCEEDED",
  "SKIPPED",
  "FAILED",
  "CANCELED",
  "CANCELING",
  "RUNNING",
  "PAUSED",
  "PENDING",
];

export function styleOfState(state: State): StateStyle {
  return STYLES[state];
}

export function isFinal(state: State): boolean {
  return state === "SUCCEEDED" || state === "SKIPPED" || state === "FAILED" || state === "CANCELED";
}

/** The state that a summary of several executions shows; null when there are none. */
export function mostUrgent(states: Iterable<State>): State | null {
  const present = new Set(states);
  return BY_URGENCY.find((state) => present.has(state)) ?? null;
}
