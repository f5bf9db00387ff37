import { isScalar } from "@/lib/scalar";

/** What the user selected on a run's page, as the search part of the page's address. */

export const TABS = ["graph", "timeline", "tasks", "details"] as const;
export type TabId = (typeof TABS)[number];

export const PANELS = ["overview", "io", "logs", "visuals", "iterations", "code"] as const;
export type PanelId = (typeof PANELS)[number];

export interface RunSearch {
  readonly tab?: TabId;
  /** Path of the selected execution, or ID of the selected node of the plan. */
  readonly task?: string;
  readonly panel?: PanelId;
  readonly attempt?: number;
  /** `train/for-loop-1:3,…`: loop -> index of the selected iteration. */
  readonly loops?: string;
  /** IDs of the collapsed groups, separated by commas. */
  readonly closed?: string;
}

export function parseRunSearch(raw: Record<string, unknown>): RunSearch {
  const tab = oneOf(TABS, raw.tab);
  const panel = oneOf(PANELS, raw.panel);
  const attempt = isScalar(raw.attempt) ? Number(raw.attempt) : 0;
  return {
    ...(tab && tab !== "graph" ? { tab } : {}),
    ...textOf("task", raw.task),
    ...(panel && panel !== "overview" ? { panel } : {}),
    ...(Number.isInteger(attempt) && attempt > 0 ? { attempt } : {}),
    ...textOf("loops", raw.loops),
    ...textOf("closed", raw.closed),
  };
}

function oneOf<T extends string>(words: readonly T[], value: unknown): T | undefined {
  return words.find((word) => word === value);
}

function textOf<K extends string>(key: K, value: unknown): { [key in K]?: string } {
  const text = isScalar(value) ? String(value) : "";
  return text === "" ? {} : ({ [key]: text } as { [key in K]?: string });
}

export function readLoops(text: string | undefined): Map<string, number> {
  const choice = new Map<string, number>();
  for (const part of text?.split(",") ?? []) {
    const at = part.lastIndexOf(":");
    const index = Number(part.slice(at + 1));
    if (at > 0 && Number.isInteger(index)) choice.set(unescapePath(part.slice(0, at)), index);
  }
  return choice;
}

export function writeLoops(choice: ReadonlyMap<string, number>): string | undefined {
  const parts = [...choice].map(([loop, index]) => `${escapePath(loop)}:${index}`);
  return parts.join(",") || undefined;
}

export function readClosed(text: string | undefined): Set<string> {
  return new Set(text ? text.split(",").map(unescapePath) : []);
}

export function writeClosed(closed: ReadonlySet<string>): string | undefined {
  return [...closed].map(escapePath).join(",") || undefined;
}

/** The inverse of `escapePath`. A text with a broken escape, from an address edited by hand, stays as it is. */
function unescapePath(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function escapePath(path: string): string {
  return encodeURIComponent(path).replaceAll("%2F", "/");
}
