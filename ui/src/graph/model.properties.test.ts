/** The graph's display on random runs of nested loops. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ExecutionView, GraphNode } from "@/api/types";
import { isFinal, mostUrgent, type State } from "@/lib/states";
import type { LayoutItem } from "./layout";
import {
  buildPlan,
  displayNodes,
  executionToOpen,
  indexRun,
  isIteration,
  layoutItems,
  nodeOf,
  pathSteps,
  progressText,
} from "./model";

function node(name: string, kind: GraphNode["kind"], children: GraphNode[] = []): GraphNode {
  return {
    name,
    kind,
    children,
    display_name: "",
    group: "",
    component: "c",
    depends_on: [],
    condition: null,
    runs_after_failure: false,
    image: null,
  };
}

function execution(path: string, state: State): ExecutionView {
  const iteration = /\[(\d+)\]$/.exec(path);
  return {
    execution_id: path,
    path,
    node: nodeOf(path),
    task: path,
    kind: "TASK",
    state,
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
    started_at: null,
    ended_at: null,
  };
}

const PLAN = buildPlan([
  node("outer", "LOOP", [node("inner", "LOOP", [node("task", "TASK")])]),
  node("last", "TASK"),
]);
const NODES = ["outer", "outer/inner", "outer/inner/task", "last"];
const PATHS = [
  "outer",
  "last",
  ...[0, 1, 2].flatMap((a) => [
    `outer[${a}]`,
    `outer[${a}]/inner`,
    ...[0, 1, 2].flatMap((b) => [`outer[${a}]/inner[${b}]`, `outer[${a}]/inner[${b}]/task`]),
  ]),
];
const state = fc.constantFrom<State>("PENDING", "RUNNING", "SUCCEEDED", "FAILED", "SKIPPED", "CANCELED");
/** Some of the executions, in any order. */
const run = fc
  .shuffledSubarray(PATHS)
  .chain((paths) => fc.tuple(...paths.map((path) => state.map((each) => execution(path, each)))));
const choice = fc.uniqueArray(fc.tuple(fc.constantFrom("outer", "outer/inner"), fc.nat({ max: 3 })), {
  selector: ([id]) => id,
});

/** Whether an execution is inside the selected iterations; an iteration of the loop `itself` counts as inside. */
function isInside(path: string, selected: ReadonlyMap<string, number>, itself = ""): boolean {
  const outer = /^outer\[(\d+)\]/.exec(path)?.[1];
  const inner = /inner\[(\d+)\]/.exec(path)?.[1];
  const fits = (loop: string, at: string | undefined): boolean =>
    loop === itself || at === undefined || !selected.has(loop) || selected.get(loop) === Number(at);
  return fits("outer", outer) && fits("outer/inner", inner);
}

describe("the display of a random run", () => {
  it("stands for the executions inside the selected iterations, and for no others", () => {
    fc.assert(
      fc.property(run, choice, fc.constantFrom<State>("RUNNING", "FAILED"), (list, pairs, runState) => {
        const selected = new Map(pairs);
        const displays = displayNodes(PLAN, indexRun(list), selected, { state: runState }, 0);
        expect([...displays.keys()]).toEqual(NODES);
        for (const id of NODES) {
          const display = displays.get(id)!;
          const own = list.filter(
            (each) => each.node === id && !isIteration(each) && isInside(each.path, selected),
          );
          expect(display.started).toBe(own.length > 0);
          const states = own.map((each) => each.state);
          if (own.length > 0) expect(display.state).toBe(mostUrgent(states));
          else expect(["PENDING", "SKIPPED"]).toContain(display.state);
          if (own.length === 0 && isFinal(runState)) expect(display.state).toBe("SKIPPED");
          const counted = [...(display.counts?.values() ?? [])].reduce((sum, count) => sum + count, 0);
          expect(counted).toBe(own.length > 1 ? own.length : 0);
          const iterations = list
            .filter((each) => each.node === id && isIteration(each) && isInside(each.path, selected, id))
            .sort((a, b) => (a.iteration ?? 0) - (b.iteration ?? 0));
          expect(display.strip).toHaveLength(iterations.length);
          if (!id.includes("/")) expect(display.strip).toEqual(iterations.map((each) => each.state));
        }
      }),
    );
  });

  it("opens a failed execution first, then a running one, always one of them", () => {
    fc.assert(
      fc.property(run, (list) => {
        const opened = executionToOpen(list);
        expect(opened?.state ?? null).toBe(mostUrgent(list.map((each) => each.state)));
      }),
    );
  });

  it("counts what is done and what failed", () => {
    fc.assert(
      fc.property(
        run.filter((list) => list.length > 0),
        (list) => {
          const text = progressText(list);
          const failed = list.filter((each) => each.state === "FAILED").length;
          const finished = list.filter((each) => isFinal(each.state)).length;
          expect(text.startsWith(`${failed} failed, `)).toBe(failed > 0);
          const rest = text.replace(/^\d+ failed, /, "");
          expect(rest).toBe(
            finished === list.length ? `${finished - failed} done` : `${finished} of ${list.length} done`,
          );
        },
      ),
    );
  });
});

describe("a path", () => {
  const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,6}$/);
  const part = fc.tuple(name, fc.option(fc.nat({ max: 300 })));
  it("leads to its node step by step", () => {
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 5 }), (parts) => {
        const path = parts.map(([each, at]) => (at === null ? each : `${each}[${at}]`)).join("/");
        const steps = pathSteps(path);
        expect(steps.map((step) => step.iteration)).toEqual(parts.map(([, at]) => at));
        expect(steps.at(-1)!.node).toBe(parts.map(([each]) => each).join("/"));
        expect(nodeOf(path)).toBe(steps.at(-1)!.node);
      }),
    );
  });
});

it("collapses exactly the groups that are closed", () => {
  fc.assert(
    fc.property(fc.subarray(["outer", "outer/inner"]), (closed) => {
      const ids: string[] = [];
      const visit = (items: readonly LayoutItem[]): void => {
        for (const item of items) {
          ids.push(item.id);
          visit(item.children);
        }
      };
      visit(layoutItems(PLAN, new Set(closed)));
      expect(ids).toEqual(NODES.filter((id) => !closed.some((group) => id.startsWith(`${group}/`))));
    }),
  );
});
