/** The list of runs. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isFinal, type State, styleOfState } from "@/lib/states";
import { FILTERS, progressOf, runDuration } from "./model";
import { parseListSearch } from "./search";

const STATES: readonly State[] = [
  "PENDING",
  "RUNNING",
  "SUCCEEDED",
  "SKIPPED",
  "FAILED",
  "CANCELING",
  "CANCELED",
  "PAUSED",
];
const counts = fc.dictionary(fc.constantFrom(...STATES), fc.nat({ max: 50 }), { noNullPrototype: true });

describe("the progress of a run", () => {
  it("counts every task once, finished ones as done", () => {
    fc.assert(
      fc.property(counts, (given) => {
        const { parts, done, total, text } = progressOf(given);
        const sum = (states: readonly State[]): number =>
          states.reduce((all, state) => all + (given[state] ?? 0), 0);
        expect([total, done]).toEqual([sum(STATES), sum(STATES.filter(isFinal))]);
        expect(new Set(parts.map((part) => part.tone))).toHaveLength(parts.length);
        for (const { tone, count } of parts) {
          expect(count).toBe(sum(STATES.filter((state) => styleOfState(state).tone === tone)));
        }
        expect(parts.reduce((all, part) => all + part.count, 0)).toBe(total);
        for (const state of STATES) {
          const count = given[state] ?? 0;
          const words = `${count} ${styleOfState(state).label.toLowerCase()}`;
          expect(text.split(/[,;] /).includes(words)).toBe(count > 0);
        }
      }),
    );
    expect(progressOf({}).text).toBe("No tasks yet");
    expect(progressOf({ RUNNING: 1 }).text).toBe("1 running; 1 task");
  });
});

it("shows how long a run took, or a dash before it starts", () => {
  const run = { started_at: "2026-11-23T10:00:00Z", finished_at: null } as Parameters<typeof runDuration>[0];
  expect(runDuration(run, Date.parse("2026-11-23T10:00:42Z"))).toBe("42 s");
  expect(runDuration({ ...run, started_at: null }, 0)).toBe("–");
});

describe("the address of the list", () => {
  it("keeps valid filters, drops invalid ones, and reads back what it wrote", () => {
    const wild = fc.oneof(fc.constantFrom<unknown>(...STATES, "failed", true, "true", ""), fc.jsonValue());
    fc.assert(
      fc.property(fc.record({ state: wild, search: wild, archived: wild }, { requiredKeys: [] }), (raw) => {
        const search = parseListSearch(raw);
        expect(parseListSearch({ ...search })).toEqual(search);
        expect(search.state === undefined || STATES.includes(search.state)).toBe(true);
        if (typeof raw.state === "string" && STATES.includes(raw.state as State))
          expect(search.state).toBe(raw.state);
        expect(search.archived).toBe(raw.archived === true ? true : undefined);
      }),
    );
    for (const { state } of FILTERS) expect(parseListSearch({ state })).toEqual(state ? { state } : {});
  });
});
