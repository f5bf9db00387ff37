import { describe, expect, it } from "vitest";
import { buildPlan, indexRun } from "@/graph/model";
import { aFailedRun, anExecution } from "./fixtures";
import {
  failuresOf,
  iterationLabel,
  markText,
  select,
  stateSentence,
  taskRows,
  ticks,
  timelineOf,
} from "./model";
import { parseRunSearch, readClosed, readLoops, writeClosed, writeLoops } from "./search";

const view = aFailedRun();
const plan = buildPlan(view.graph);
const index = indexRun(view.executions);

describe("a failed run", () => {
  it("names the task that failed, not the groups around it", () => {
    expect(failuresOf(view, plan, index)).toEqual([
      {
        execution: index.byPath.get("guard/loop[1]/train"),
        label: "train (#1 · depth=1)",
        reason: { code: "USER_EXCEPTION", message: "ValueError: too deep", details: {} },
      },
    ]);
  });

  it("lists its failed iterations first", () => {
    const rows = taskRows(plan, index, "FAILED");
    expect(rows.map((row) => `${"  ".repeat(row.depth)}${row.label} ${row.state}`)).toEqual([
      "guard FAILED",
      "  load SUCCEEDED",
      "  loop FAILED",
      "    #1 FAILED",
      "      train FAILED",
      "    #0 SUCCEEDED",
      "      train SUCCEEDED",
      "    #2 SUCCEEDED",
      "      train SUCCEEDED",
      "  choose SKIPPED",
      "tell SUCCEEDED",
    ]);
  });
});

describe("a selection", () => {
  it("of a node opens its failed execution", () => {
    const selection = select(plan, index, "guard/loop/train");
    expect(selection?.execution?.path).toBe("guard/loop[1]/train");
    expect(selection?.siblings).toHaveLength(3);
  });

  it("of an execution opens that execution", () => {
    expect(select(plan, index, "guard/loop[2]/train")?.execution?.path).toBe("guard/loop[2]/train");
  });

  it("of a loop lists loops, of an iteration lists iterations", () => {
    expect(select(plan, index, "guard/loop")?.siblings.map((other) => other.path)).toEqual(["guard/loop"]);
    expect(select(plan, index, "guard/loop[0]")?.siblings).toHaveLength(3);
  });

  it("of an unknown path is null", () => {
    expect(select(plan, index, "nothing/here")).toBeNull();
  });
});

it("labels an execution in nested loops by its items", () => {
  const nested = indexRun([
    anExecution("a[1]", { item: "x" }),
    anExecution("a[1]/b[0]", { item: 2 }),
    anExecution("a[1]/b[0]/c"),
  ]);
  expect(iterationLabel("a[1]/b[0]/c", nested)).toBe("#1 · x / #0 · 2");
});

it("says why a task has its state", () => {
  expect(stateSentence(anExecution("a", { cached_from: "other" }))).toMatch(/cache/);
  expect(stateSentence(anExecution("a", { reused_from: "other" }))).toMatch(/earlier run/);
  const marked = { state: "SKIPPED", by: "ann", note: "no data", at: "2026-11-23T10:00:00.000Z" } as const;
  expect(stateSentence(anExecution("a", { state: "SKIPPED", marked }))).toMatch(/Marked as skipped/);
  expect(markText(marked)).toMatch(/^ann, .*: no data$/);
});

it("puts tasks on one timeline", () => {
  const timeline = timelineOf(view, plan, index, 0);
  const train = timeline.rows.find((row) => row.path === "guard/loop[0]/train")!;
  expect(timeline.length).toBe(40_000);
  expect(train.bars).toEqual([{ left: 0.25, width: 0.25, state: "SUCCEEDED" }]);
  expect(ticks(40_000)).toEqual([0, 10_000, 20_000, 30_000, 40_000]);
});

describe("the address", () => {
  it("keeps loops and groups with any name", () => {
    const loops = new Map([
      ["a/b,c:d", 3],
      ["plain", 0],
    ]);
    expect(readLoops(writeLoops(loops))).toEqual(loops);
    const closed = new Set(["a/b,c", "d e"]);
    expect(readClosed(writeClosed(closed))).toEqual(closed);
    expect(readLoops(undefined).size + readClosed(undefined).size).toBe(0);
  });

  it("leaves out defaults and invalid values", () => {
    expect(parseRunSearch({ tab: "graph", panel: "nonsense", attempt: -1, task: "a" })).toEqual({
      task: "a",
    });
    expect(parseRunSearch({ tab: "tasks", attempt: "2" })).toEqual({ tab: "tasks", attempt: 2 });
  });
});
