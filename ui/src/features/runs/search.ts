import { isScalar } from "@/lib/scalar";
import type { State } from "@/lib/states";

export interface ListSearch {
  readonly state?: State;
  readonly search?: string;
  readonly archived?: true;
}

const STATES: readonly string[] = [
  "PENDING",
  "RUNNING",
  "SUCCEEDED",
  "SKIPPED",
  "FAILED",
  "CANCELING",
  "CANCELED",
  "PAUSED",
];

export function parseListSearch(raw: Record<string, unknown>): ListSearch {
  const state = isScalar(raw.state) ? String(raw.state).toUpperCase() : "";
  const search = isScalar(raw.search) ? String(raw.search) : "";
  return {
    ...(STATES.includes(state) ? { state: state as State } : {}),
    ...(search === "" ? {} : { search }),
    ...(raw.archived === true ? { archived: true } : {}),
  };
}
