/** A run's page on random runs. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { AttemptView, ExecutionView } from "@/api/types";
import { buildPlan, indexRun } from "@/graph/model";
import { isFinal, type State } from "@/lib/states";
import { aFailedRun, aNode, anExecution } from "./fixtures";
import { attemptDuration, failuresOf, isTask, taskRows, ticks, timelineOf } from "./model";

const START = Date.parse("2026-11-23T10:00:00.000Z");
const NOW = START + 100_000;
const timeText = (offset: number): string => new Date(START + offset).toISOString();

const state = fc.constantFrom<State>("PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELED", "CANCELING");
/** A start, and an end after it, each perhaps unknown. */
const times = fc
  .tuple(fc.nat({ max: 50_000 }), fc.nat({ max: 50_000 }), fc.boolean(), fc.boolean())
  .map(([from, length, started, ended]) => ({
    started_at: started ? timeText(from) : null,
    ended_at: ended ? timeText(from + length) : null,
  }));
const attempts = fc
  .array(fc.tuple(state, times), { maxLength: 3 })
  .map((list): AttemptView[] =>
    list.map(([each, time], at) => ({ number: at + 1, state: each, error: null, waiting: null, ...time })),
  );
const kind = fc.constantFrom<ExecutionView["kind"]>("TASK", "TASK", "IMPORTER", "DAG", "LOOP");
const executions = fc
  .array(fc.tuple(kind, state, times, attempts), { maxLength: 12 })
  .map((list) =>
    list.map(([a, b, time, c], at) => anExecution(`t${at}`, { kind: a, state: b, attempts: c, ...time })),
  );

function runOf(list: readonly ExecutionView[], runState: State = "RUNNING") {
  const { run, ...rest } = aFailedRun();
  const view = {
    ...rest,
    run: { ...run, state: runState, finished_at: isFinal(runState) ? timeText(100_000) : null },
    graph: list.map((each) => aNode(each.path)),
    executions: [...list],
  };
  return { view, plan: buildPlan(view.graph), index: indexRun(view.executions) };
}

describe("the failures of a random run", () => {
  it("are its failed tasks, the earliest first", () => {
    fc.assert(
      fc.property(executions, (list) => {
        const { view, plan, index } = runOf(list);
        const failures = failuresOf(view, plan, index).map((each) => each.execution);
        expect(new Set(failures)).toEqual(
          new Set(list.filter((each) => each.state === "FAILED" && isTask(each))),
        );
        const ends = failures.map((each) => (each.ended_at === null ? 0 : Date.parse(each.ended_at)));
        expect(ends).toEqual([...ends].sort((a, b) => a - b));
      }),
    );
  });
});

describe("the timeline of a random run", () => {
  it("has a row for each started task, in order of their start", () => {
    fc.assert(
      fc.property(executions, (list) => {
        const { view, plan, index } = runOf(list);
        const { rows } = timelineOf(view, plan, index, NOW);
        const started = list.filter((each) => each.started_at !== null && isTask(each));
        expect(new Set(rows.map((row) => row.path))).toEqual(new Set(started.map((each) => each.path)));
        const starts = rows.map((row) => row.start);
        expect(starts).toEqual([...starts].sort((a, b) => a - b));
      }),
    );
  });

  it("has bars where the attempts ran", () => {
    fc.assert(
      fc.property(executions, (list) => {
        const { view, plan, index } = runOf(list);
        const { start, length, rows } = timelineOf(view, plan, index, NOW);
        for (const row of rows) {
          const execution = index.byPath.get(row.path)!;
          const started = execution.attempts.filter((each) => each.started_at !== null);
          const pieces = started.length > 0 ? started : [execution];
          expect(row.bars).toHaveLength(pieces.length);
          for (const [at, bar] of row.bars.entries()) {
            const piece = pieces[at]!;
            const from = Date.parse(piece.started_at!);
            const to =
              piece.ended_at !== null ? Date.parse(piece.ended_at) : isFinal(piece.state) ? from : NOW;
            expect(start + bar.left * length).toBeCloseTo(from, 3);
            expect(start + (bar.left + bar.width) * length).toBeCloseTo(to, 3);
          }
        }
      }),
    );
  });

  it("does not move when nothing runs any more, however late it is", () => {
    fc.assert(
      fc.property(executions, fc.nat({ max: 1e9 }), (list, later) => {
        const over = list.map((each) => ({
          ...each,
          state: "FAILED" as const,
          attempts: each.attempts.map((attempt) => ({ ...attempt, state: "FAILED" as const })),
        }));
        const { view, plan, index } = runOf(over, "FAILED");
        expect(timelineOf(view, plan, index, NOW + later)).toEqual(timelineOf(view, plan, index, NOW));
        for (const attempt of over.flatMap((each) => each.attempts)) {
          expect(attemptDuration(attempt, NOW + later)).toBe(attemptDuration(attempt, NOW));
        }
      }),
    );
  });

  it("has a time axis of even steps that covers its length with few labels", () => {
    fc.assert(
      fc.property(fc.double({ min: 1, max: 1e11, noNaN: true }), (length) => {
        const labels = ticks(length);
        expect(labels[0]).toBe(0);
        expect(labels.length).toBeLessThanOrEqual(7);
        const step = labels[1] ?? Number.POSITIVE_INFINITY;
        labels.forEach((label, at) => {
          if (at > 0) expect(label).toBeCloseTo(at * step);
        });
        expect(labels.at(-1)! <= length && length < labels.at(-1)! + step).toBe(true);
      }),
    );
  });
});

describe("the list of tasks of a random loop", () => {
  const loop = fc.array(fc.tuple(state, fc.boolean()), { maxLength: 8 });
  it("has each iteration once, failed ones first, and its tasks below it", () => {
    fc.assert(
      fc.property(loop, fc.boolean(), (iterations, over) => {
        const plan = buildPlan([aNode("loop", { kind: "LOOP", children: [aNode("train")] }), aNode("after")]);
        const list = [
          anExecution("loop", { kind: "LOOP", state: "RUNNING" }),
          // In any order: the answer of the server has none.
          ...iterations
            .flatMap(([each, started], at) => [
              anExecution(`loop[${at}]`, { kind: "DAG", state: each, item: at }),
              ...(started ? [anExecution(`loop[${at}]/train`, { state: each })] : []),
            ])
            .reverse(),
        ];
        const rows = taskRows(plan, indexRun(list), over ? "FAILED" : "RUNNING");
        const order = iterations
          .map(([each], at) => ({ at, failed: each === "FAILED" }))
          .sort((a, b) => Number(b.failed) - Number(a.failed) || a.at - b.at);
        const expected = ["loop", ...order.flatMap(({ at }) => [`loop[${at}]`, `loop[${at}]/train`])];
        if (iterations.length === 0) expected.push("loop/train");
        expect(rows.map((row) => row.path)).toEqual([...expected, "after"]);
        for (const row of rows) {
          const execution = list.find((each) => each.path === row.path) ?? null;
          expect([row.started, row.execution]).toEqual([execution !== null, execution]);
          if (execution === null) expect(row.state).toBe(over ? "SKIPPED" : "PENDING");
        }
      }),
    );
  });

  it("has the iterations of an inner loop below their own outer iteration", () => {
    const counts = fc.array(fc.nat({ max: 3 }), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(counts, (inner) => {
        const plan = buildPlan([
          aNode("outer", {
            kind: "LOOP",
            children: [aNode("inner", { kind: "LOOP", children: [aNode("train")] })],
          }),
        ]);
        const paths = inner.flatMap((count, at) => [
          `outer[${at}]`,
          `outer[${at}]/inner`,
          ...Array.from({ length: count }, (_, each) => [
            `outer[${at}]/inner[${each}]`,
            `outer[${at}]/inner[${each}]/train`,
          ]).flat(),
          ...(count === 0 ? [`outer[${at}]/inner/train`] : []),
        ]);
        const list = paths.filter((path) => !path.endsWith("inner/train")).map((path) => anExecution(path));
        const rows = taskRows(plan, indexRun([anExecution("outer", { kind: "LOOP" }), ...list]), "SUCCEEDED");
        expect(rows.map((row) => row.path)).toEqual(["outer", ...paths]);
      }),
    );
  });
});
