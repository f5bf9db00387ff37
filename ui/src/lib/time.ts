import { isFinal, type State } from "./states";

/** Milliseconds since the epoch of an RFC 3339 text, or null. */
export function parseTime(text: string | null | undefined): number | null {
  if (!text) return null;
  const value = Date.parse(text);
  return Number.isNaN(value) ? null : value;
}

/** `850 ms`, `4.2 s`, `3 min 07 s`, `2 h 05 min`, `3 d 4 h`. */
export function formatDuration(milliseconds: number): string {
  const ms = Math.max(0, milliseconds);
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 9950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${pad(seconds % 60)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60 * 24) return `${Math.floor(minutes / 60)} h ${pad(minutes % 60)} min`;
  const hours = Math.floor(minutes / 60);
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** An execution or an attempt: something with a state, a start and an end. */
export interface Timed {
  readonly state: State;
  readonly started_at: string | null;
  readonly ended_at: string | null;
}

/** When it ended, in ms since the epoch: `now` while it is not finished, null when it finished at an unknown time. */
export function endOf(timed: Timed, now: number): number | null {
  return parseTime(timed.ended_at) ?? (isFinal(timed.state) ? null : now);
}

/** How long it took, or has taken until `now`, in ms; null when the start or the end is not known. */
export function durationOf(timed: Timed, now: number): number | null {
  const start = parseTime(timed.started_at);
  const end = endOf(timed, now);
  return start === null || end === null ? null : end - start;
}

/** The time from `start` to `end`, or to `now` when it has not ended; "" when it has not started. */
export function elapsed(start: string | null, end: string | null, now: number): string {
  const from = parseTime(start);
  if (from === null) return "";
  return formatDuration((parseTime(end) ?? now) - from);
}

/** `just now`, `12 s ago`, `5 min ago`, `3 h ago`, `2 d ago`, then the date. */
export function formatAgo(text: string | null, now: number): string {
  const then = parseTime(text);
  if (then === null) return "";
  const seconds = Math.round((now - then) / 1000);
  if (seconds < 5) return "just now";
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  if (seconds < 86400 * 7) return `${Math.floor(seconds / 86400)} d ago`;
  return formatExact(text).slice(0, 10);
}

/** `2026-11-23 14:03:09` in the reader's time zone. */
export function formatExact(text: string | null): string {
  const then = parseTime(text);
  if (then === null) return "";
  const date = new Date(then);
  const day = `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
  return `${day} ${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
}

function pad(value: number): string {
  return String(value).padStart(2, "0");
}
