import { describe, expect, it } from "vitest";
import { formatBytes } from "./bytes";
import { mostUrgent } from "./states";
import { elapsed, formatAgo, formatDuration } from "./time";

it.each([
  [0, "0 ms"],
  [999, "999 ms"],
  [4230, "4.2 s"],
  [9960, "10 s"],
  [59_600, "1 min 00 s"],
  [187_000, "3 min 07 s"],
  [3_600_000, "1 h 00 min"],
  [86_399_000, "23 h 59 min"],
  [100 * 3_600_000, "4 d 4 h"],
  [-5, "0 ms"],
])("writes %d ms as %s", (value, words) => {
  expect(formatDuration(value)).toBe(words);
});

describe("a span", () => {
  it("ends now while it is open", () => {
    expect(elapsed("2026-11-23T10:00:00.000Z", null, Date.parse("2026-11-23T10:00:42.000Z"))).toBe("42 s");
  });

  it("says nothing before it begins", () => {
    expect(elapsed(null, null, 0)).toBe("");
  });
});

it.each([
  [2, "just now"],
  [42, "42 s ago"],
  [60 * 5, "5 min ago"],
  [3600 * 30, "1 d ago"],
])("%d seconds are %s", (seconds, words) => {
  const then = "2026-11-23T10:00:00.000Z";
  expect(formatAgo(then, Date.parse(then) + seconds * 1000)).toBe(words);
});

it.each([
  [0, "0 B"],
  [999, "999 B"],
  [1400, "1.4 kB"],
  [999_600, "1.0 MB"],
  [200_000_000, "200 MB"],
])("writes %d bytes as %s", (bytes, words) => {
  expect(formatBytes(bytes)).toBe(words);
});

it("puts failed before running, and running before finished", () => {
  expect(mostUrgent(["SUCCEEDED", "RUNNING", "FAILED"])).toBe("FAILED");
  expect(mostUrgent(["SUCCEEDED", "RUNNING", "SKIPPED"])).toBe("RUNNING");
  expect(mostUrgent([])).toBeNull();
});
