import { describe, expect, it } from "vitest";
import type { ExecutionView, GraphNode } from "@/api/types";
import {
  buildPlan,
  conditionText,
  displayNodes,
  indexRun,
  itemText,
  layoutItems,
  nodeOf,
  pathSteps,
} from "./model";

function node(name: string, fields: Partial<GraphNode> = {}): GraphNode {
  return {
    name,
    display_name: "",
    kind: "TASK",
    group: "",
    component: "c",
    depends_on: [],
    condition: null,
    runs_after_failure: false,
    image: null,
    children: [],
    ...fields,
  };
}

function execution(path: string, fields: Partial<ExecutionView> = {}): ExecutionView {
  const iteration = /\[(\d+)\]$/.exec(path);
  return {
    execution_id: path,
    path,
    node: nodeOf(path),
    task: path,
    kind: "TASK",
    state: "SUCCEEDED",
    parent: null,
    iteration: iteration ? Number(iteration[1]) : null,
    iteration_count: null,
    item: null,
    attempts: [],
    retry_at: null,
    cached_from: null,
    cache_miss: null,
    waiting: null,
    reused_from: null,
    marked: null,
    reason: null,
    started_at: "2026-11-23T10:00:00Z",
    ended_at: "2026-11-23T10:00:02Z",
    ...fields,
  };
}

const plan = buildPlan([
  node("load"),
  node("loop", {
    kind: "LOOP",
    depends_on: ["load"],
    children: [node("train"), node("score", { depends_on: ["train"] })],
  }),
]);
const index = indexRun([
  execution("load"),
  execution("loop", { kind: "LOOP", state: "RUNNING" }),
  execution("loop[0]", { kind: "DAG", item: { lr: 0.1 } }),
  execution("loop[1]", { kind: "DAG", state: "RUNNING", item: { lr: 1 } }),
  execution("loop[0]/train"),
  execution("loop[1]/train", { state: "FAILED" }),
  execution("loop[0]/score"),
]);
const running = { state: "RUNNING" } as const;

describe("the display of a graph", () => {
  it("sums up a loop's iterations", () => {
    const displays = displayNodes(plan, index, new Map(), running, 0);
    expect(displays.get("loop")).toMatchObject({
      state: "RUNNING",
      strip: ["SUCCEEDED", "RUNNING"],
      detail: "1 of 2 done",
    });
    expect(displays.get("loop/train")).toMatchObject({ state: "FAILED", detail: "1 failed, 1 done" });
  });

  it("shows one iteration alone when it is selected", () => {
    const displays = displayNodes(plan, index, new Map([["loop", 0]]), running, 0);
    expect(displays.get("loop")).toMatchObject({ chosen: 0, note: "lr=0.1" });
    expect(displays.get("loop/train")).toMatchObject({ state: "SUCCEEDED", detail: "2.0 s" });
    const other = displayNodes(plan, index, new Map([["loop", 1]]), running, 0);
    expect(other.get("loop/score")).toMatchObject({ state: "PENDING", started: false });
  });

  it("says which tasks did not run", () => {
    const displays = displayNodes(
      plan,
      indexRun([execution("load", { state: "FAILED" })]),
      new Map(),
      { state: "FAILED" },
      0,
    );
    expect(displays.get("loop/train")).toMatchObject({
      state: "SKIPPED",
      started: false,
      detail: "Did not run",
    });
  });
});

it("lays out the same items in every state, and fewer when a group is collapsed", () => {
  expect(layoutItems(plan, new Set(["loop"]))[1]).toMatchObject({
    id: "loop",
    after: ["load"],
    children: [],
  });
  expect(layoutItems(plan, new Set())[1]!.children.map((child) => [child.id, child.after])).toEqual([
    ["loop/train", []],
    ["loop/score", ["loop/train"]],
  ]);
});

it("reads paths", () => {
  expect(pathSteps("a/b[3]/c")).toEqual([
    { node: "a", iteration: null },
    { node: "a/b", iteration: 3 },
    { node: "a/b/c", iteration: null },
  ]);
  expect(nodeOf("a[1]/b[22]")).toBe("a/b");
});

it("shortens conditions and items", () => {
  expect(conditionText("int(inputs.parameter_values['pipelinechannel--n']) > 3")).toBe("n > 3");
  expect(conditionText("inputs.parameter_values['flag'] == true")).toBe("flag");
  expect(itemText({ a: 1, b: [2] })).toBe("a=1, b=[2]");
  expect(itemText("plain")).toBe("plain");
});
