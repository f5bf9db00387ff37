import { describe, expect, it } from "vitest";
import type { Explanation, FailureView } from "@/api/types";
import {
  cacheText,
  failureLines,
  failureLocation,
  retryText,
  showsCache,
  taskRefText,
} from "./explanation-model";

const failure: FailureView = {
  exception_type: "ValueError",
  exception_message: "no",
  file: "fit.py",
  line: 12,
  function: "train",
  source_line: "raise ValueError('no')",
  lines: [],
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

describe("an explanation", () => {
  it("names tasks of this run by path and others with their run", () => {
    const ref = { run_id: "r", run_name: "", execution_id: "e", path: "load", state: null, reason: null };
    expect(taskRefText(ref, "r")).toBe("load");
    expect(taskRefText({ ...ref, run_id: "0123456789", run_name: "monday" }, "r")).toBe("load in run monday");
    expect(taskRefText({ ...ref, run_id: "0123456789" }, "r")).toBe("load in run 01234567");
    expect(taskRefText({ ...ref, path: "" }, "r")).toBe("a deleted task");
  });

  it("says where the code failed, as far as it is known", () => {
    expect(failureLocation(failure)).toBe("fit.py:12 in train");
    expect(failureLocation({ ...failure, file: "", function: "" })).toBe("line 12");
    expect(failureLocation({ ...failure, line: null })).toBe("");
  });

  it("marks the line that failed between its neighbours", () => {
    expect(failureLines(failure)).toBe("raise ValueError('no')");
    const lines = [
      { number: 9, text: "def train():" },
      { number: 10, text: "    x = 1" },
      { number: 12, text: "    raise ValueError('no')" },
    ];
    expect(failureLines({ ...failure, lines })).toBe(
      "   9 | def train():\n  10 |     x = 1\n> 12 |     raise ValueError('no')",
    );
  });

  it("counts retries and losses", () => {
    expect(retryText(explanation)).toMatch(/^1 of 3, at /);
    const lost = { number: 0, at_most: 0, due_at: null, after: null, lost: 2 };
    expect(retryText({ ...explanation, retry: lost })).toBe(
      "2 attempts lost with the server or machine, retried at once",
    );
    expect(retryText({ ...explanation, retry: null })).toBe("");
  });

  it("shows the cache only where it was used or asked", () => {
    const off = {
      use: "OFF",
      reason: { code: "CACHE_OFF_TASK", message: "m", details: {} },
      source: null,
      differs: [],
      fingerprint: "",
      parts: {},
    } as const;
    expect(showsCache(explanation)).toBe(false);
    expect(showsCache({ ...explanation, cache: off })).toBe(false);
    expect(showsCache({ ...explanation, cache: off, state: "SUCCEEDED" })).toBe(true);
    expect(showsCache({ ...explanation, cache: { ...off, use: "MISS" } })).toBe(true);
    expect(cacheText({ ...off, use: "HIT" })).toBe("Reused from the cache");
  });
});
