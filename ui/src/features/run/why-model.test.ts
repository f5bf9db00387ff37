import { describe, expect, it } from "vitest";
import type { Explanation, FailureView } from "@/api/types";
import { cacheWords, placeOf, refWords, retryWords, tellsOfCache } from "./why-model";

const failure: FailureView = {
  exception_type: "ValueError",
  exception_message: "no",
  file: "ephemeral_component.py",
  line: 12,
  function: "train",
  source_line: "raise ValueError('no')",
  traceback: "",
  exit_code: null,
  signal: "",
  module: "",
  packages: [],
  image: "",
  told: "",
  limit: "",
};

const explanation: Explanation = {
  run_id: "r",
  execution_id: "e",
  path: "train",
  task: "train",
  kind: "TASK",
  state: "PENDING",
  reason: { code: "WAITING_FOR_RETRY", message: "m", details: {} },
  fix: "",
  waiting_for: [],
  causes: [],
  failure: null,
  retry: { number: 1, at_most: 3, due_at: "2026-11-23T10:00:00.000Z", after: null, lost: 0 },
  condition: null,
  cache: null,
  canceled_at: null,
};

describe("why", () => {
  it("names tasks of this run by path and others with their run", () => {
    const ref = { run_id: "r", run_name: "", execution_id: "e", path: "load", state: null, reason: null };
    expect(refWords(ref, "r")).toBe("load");
    expect(refWords({ ...ref, run_id: "0123456789", run_name: "monday" }, "r")).toBe("load of monday");
    expect(refWords({ ...ref, run_id: "0123456789" }, "r")).toBe("load of run 01234567");
    expect(refWords({ ...ref, path: "" }, "r")).toBe("a task that is gone");
  });

  it("says where something failed, as far as it is known", () => {
    expect(placeOf(failure)).toBe("ephemeral_component.py:12 in train");
    expect(placeOf({ ...failure, file: "", function: "" })).toBe("line 12");
    expect(placeOf({ ...failure, line: null })).toBe("");
  });

  it("counts retries and losses", () => {
    expect(retryWords(explanation)).toMatch(/^1 of 3, due at /);
    const lost = { number: 0, at_most: 0, due_at: null, after: null, lost: 2 };
    expect(retryWords({ ...explanation, retry: lost })).toBe("2 lost to the machine and tried again at once");
    expect(retryWords({ ...explanation, retry: null })).toBe("");
  });

  it("speaks of the cache where it had to do with the task", () => {
    const off = {
      use: "OFF",
      reason: { code: "CACHE_OFF_TASK", message: "m", details: {} },
      source: null,
      differs: [],
      fingerprint: "",
      parts: {},
    } as const;
    expect(tellsOfCache(explanation)).toBe(false);
    expect(tellsOfCache({ ...explanation, cache: off })).toBe(false);
    expect(tellsOfCache({ ...explanation, cache: off, state: "SUCCEEDED" })).toBe(true);
    expect(tellsOfCache({ ...explanation, cache: { ...off, use: "MISS" } })).toBe(true);
    expect(cacheWords({ ...off, use: "HIT" })).toBe("Taken from the cache");
  });
});
