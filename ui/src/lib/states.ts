/** The eight states, each with a word, a shape and a tone: never colour alone. */
export type StateWord =
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

export interface StateLook {
  readonly word: string;
  readonly shape: Shape;
  readonly tone: Tone;
}

const LOOKS: Record<StateWord, StateLook> = {
  PENDING: { word: "Pending", shape: "clock", tone: "idle" },
  RUNNING: { word: "Running", shape: "play", tone: "active" },
  SUCCEEDED: { word: "Succeeded", shape: "check", tone: "good" },
  SKIPPED: { word: "Skipped", shape: "slash", tone: "muted" },
  FAILED: { word: "Failed", shape: "cross", tone: "bad" },
  CANCELING: { word: "Canceling", shape: "stop", tone: "warn" },
  CANCELED: { word: "Canceled", shape: "stop", tone: "warn" },
  PAUSED: { word: "Paused", shape: "pause", tone: "hold" },
};

/** What to look at first comes first. */
export const BY_URGENCY: readonly StateWord[] = [
  "FAILED",
  "CANCELING",
  "RUNNING",
  "PAUSED",
  "PENDING",
  "CANCELED",
  "SUCCEEDED",
  "SKIPPED",
];

/** The order of progress bars: what is done, from the left. */
export const BY_PROGRESS: readonly StateWord[] = [
  "SUCCEEDED",
  "SKIPPED",
  "FAILED",
  "CANCELED",
  "CANCELING",
  "RUNNING",
  "PAUSED",
  "PENDING",
];

export function lookOf(state: StateWord): StateLook {
  return LOOKS[state];
}

export function isFinal(state: StateWord): boolean {
  return state === "SUCCEEDED" || state === "SKIPPED" || state === "FAILED" || state === "CANCELED";
}

/** The state that a summary of these should show. */
export function mostUrgent(states: Iterable<StateWord>): StateWord | null {
  const present = new Set(states);
  return BY_URGENCY.find((state) => present.has(state)) ?? null;
}
