/** Times, sizes and states on random values: a formatted value can be read back within its precision. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatBytes } from "./bytes";
import { BY_PROGRESS, BY_URGENCY, isFinal, mostUrgent, type State, styleOfState } from "./states";
import { durationOf, elapsed, endOf, formatAgo, formatDuration, formatExact } from "./time";

const MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, min: 60_000, h: 3_600_000, d: 86_400_000 };

/** The parts of `3 min 07 s`: [3, "min"], [7, "s"]. */
function partsOf(text: string): [number, string][] {
  return [...text.matchAll(/([\d.]+) (ms|s|min|h|d)/g)].map((match) => [Number(match[1]), match[2]!]);
}

/** Durations in ms, many of them where the unit changes. */
const duration = fc.oneof(
  fc.nat({ max: 20_000 }),
  fc.nat({ max: 1e10 }),
  fc
    .constantFrom(1000, 10_000, 60_000, 3_600_000, 86_400_000)
    .chain((limit) => fc.integer({ min: limit - 600, max: limit + 600 })),
);

describe("a duration", () => {
  it("can be read back to within one of its last unit", () => {
    fc.assert(
      fc.property(duration, (duration) => {
        const parts = partsOf(formatDuration(duration));
        const value = parts.reduce((sum, [number, unit]) => sum + number * MS[unit]!, 0);
        const [, last] = parts.at(-1)!;
        expect(Math.abs(value - duration)).toBeLessThan(
          MS[last]! * (duration < 9950 && duration >= 1000 ? 0.051 : 1),
        );
        for (const [number, unit] of parts) {
          expect(number).toBeLessThan({ ms: 1000, s: 60, min: 60, h: 24 }[unit] ?? Number.POSITIVE_INFINITY);
        }
      }),
    );
  });

  it("never gets shorter as the time grows", () => {
    fc.assert(
      fc.property(duration, fc.nat({ max: 1e6 }), (duration, more) => {
        const value = (ms: number): number =>
          partsOf(formatDuration(ms)).reduce((sum, [number, unit]) => sum + number * MS[unit]!, 0);
        expect(value(duration + more)).toBeGreaterThanOrEqual(value(duration));
      }),
    );
  });
});

describe("a size", () => {
  it("can be read back to within five percent, in a number of at most four characters", () => {
    const UNITS: Readonly<Record<string, number>> = { B: 1, kB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12 };
    fc.assert(
      fc.property(
        fc.oneof(
          fc.nat({ max: 3000 }),
          fc.maxSafeNat().filter((size) => size < 9e14),
        ),
        (size) => {
          const [, number, unit] = /^([\d.]+) (\w+)$/.exec(formatBytes(size))!;
          expect(Math.abs(Number(number) * UNITS[unit!]! - size)).toBeLessThanOrEqual(size * 0.05);
          expect(number!.length).toBeLessThanOrEqual(4);
          if (unit === "B") expect(Number(number)).toBe(size);
        },
      ),
    );
  });
});

describe("a point in time", () => {
  const then = fc.date({ min: new Date("1990-01-01"), max: new Date("2090-01-01"), noInvalidDate: true });
  it("is written exactly in the user's time zone", () => {
    fc.assert(
      fc.property(then, (date) => {
        const [day, time] = formatExact(date.toISOString()).split(" ") as [string, string];
        const [year, month, dayOfMonth] = day.split("-").map(Number) as [number, number, number];
        const [hours, minutes, seconds] = time.split(":").map(Number) as [number, number, number];
        const read = new Date(year, month - 1, dayOfMonth, hours, minutes, seconds);
        expect(read.getTime()).toBe(Math.floor(date.getTime() / 1000) * 1000);
      }),
    );
  });

  it("is as long ago as it says", () => {
    const UNITS: Readonly<Record<string, number>> = { s: 1, min: 60, h: 3600, d: 86_400 };
    fc.assert(
      fc.property(then, fc.oneof(fc.nat({ max: 200 }), fc.nat({ max: 700_000 })), (date, seconds) => {
        const text = formatAgo(date.toISOString(), date.getTime() + seconds * 1000);
        const match = /^(\d+) (s|min|h|d) ago$/.exec(text);
        if (match === null) {
          expect(text).toBe(seconds < 5 ? "just now" : formatExact(date.toISOString()).slice(0, 10));
          expect(seconds < 5 || seconds >= 7 * 86_400).toBe(true);
        } else {
          const unit = UNITS[match[2]!]!;
          expect(Math.floor(seconds / unit)).toBe(Number(match[1]));
          expect(Number(match[1])).toBeLessThan({ s: 60, min: 60, h: 24, d: 7 }[match[2]!]!);
        }
      }),
    );
  });
});

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
const state = fc.constantFrom(...STATES);

describe("an execution", () => {
  const time = fc.option(fc.nat({ max: 1e6 }).map((ms) => new Date(1e12 + ms).toISOString()));
  it("runs until now only while it is not finished", () => {
    fc.assert(
      fc.property(fc.record({ state, started_at: time, ended_at: time }), fc.nat(), (timed, more) => {
        const now = 1e12 + 2e6;
        const moved = endOf(timed, now + more + 1) !== endOf(timed, now);
        expect(moved).toBe(timed.ended_at === null && !isFinal(timed.state));
        const known = timed.started_at !== null && (timed.ended_at !== null || !isFinal(timed.state));
        expect(durationOf(timed, now) !== null).toBe(known);
        expect(elapsed(timed.started_at, timed.ended_at, now) === "").toBe(timed.started_at === null);
      }),
    );
  });
});

describe("the eight states", () => {
  it("are each in both orders, with a different label and icon", () => {
    expect(new Set(BY_URGENCY)).toEqual(new Set(STATES));
    expect(new Set(BY_PROGRESS)).toEqual(new Set(STATES));
    expect(BY_URGENCY).toHaveLength(STATES.length);
    expect(BY_PROGRESS).toHaveLength(STATES.length);
    expect(new Set(STATES.map((each) => styleOfState(each).label))).toHaveLength(STATES.length);
    const looks = new Set(STATES.map((each) => `${styleOfState(each).shape} ${styleOfState(each).tone}`));
    // Canceling and canceled look alike; their labels differ.
    expect(looks).toHaveLength(STATES.length - 1);
  });

  it("put finished states first in a progress bar", () => {
    const finals = BY_PROGRESS.map(isFinal);
    expect(finals).toEqual([...finals].sort((a, b) => Number(b) - Number(a)));
    expect(finals.filter(Boolean)).toHaveLength(4);
  });

  it("are summed up by the most urgent one", () => {
    fc.assert(
      fc.property(fc.array(state), (states) => {
        const urgent = mostUrgent(states);
        expect(urgent === null).toBe(states.length === 0);
        const rank = urgent === null ? -1 : BY_URGENCY.indexOf(urgent);
        expect(urgent === null || states.includes(urgent)).toBe(true);
        expect(states.every((each) => BY_URGENCY.indexOf(each) >= rank)).toBe(true);
      }),
    );
  });
});
