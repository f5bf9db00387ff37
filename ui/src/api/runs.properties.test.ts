/** Live updates on random histories: changes that arrive late, twice or in any order. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { urlOf } from "./client";
import { applyChange, patchPages } from "./runs";
import type { ExecutionView, RunChange, RunList, RunSummary, RunView } from "./types";

const STATES = ["PENDING", "RUNNING", "SUCCEEDED"] as const;
const summary = (run_id: string, version: number): RunSummary =>
  ({
    run_id,
    version,
    state: STATES[version % 3],
    storage_state: version % 2 === 0 ? "AVAILABLE" : "ARCHIVED",
  }) as RunSummary;
const summaries = fc.uniqueArray(fc.tuple(fc.constantFrom("a", "b", "c", "d", "e"), fc.nat({ max: 6 })), {
  selector: ([id]) => id,
});

describe("pages of runs after any changed runs", () => {
  it("hold the newest version of each, in place, and say when a run may have moved", () => {
    fc.assert(
      fc.property(summaries, fc.nat({ max: 5 }), summaries, (listed, cut, changed) => {
        const runs = listed.map(([id, version]) => summary(id, version));
        const pages: RunList[] = [runs.slice(0, cut), runs.slice(cut)].map((part) => ({
          runs: part,
          total_size: runs.length,
          next_page_token: "",
        }));
        const changes = changed.map(([id, version]) => summary(id, version));
        const { pages: patched, moved } = patchPages(pages, changes);
        expect(patched.map((page) => page.runs.map((run) => run.run_id))).toEqual(
          pages.map((page) => page.runs.map((run) => run.run_id)),
        );
        for (const run of patched.flatMap((page) => page.runs)) {
          const before = runs.find((other) => other.run_id === run.run_id)!;
          const change = changes.find((other) => other.run_id === run.run_id);
          expect(run.version).toBe(Math.max(before.version, change?.version ?? 0));
          if (change === undefined) expect(run).toBe(before);
        }
        expect(moved).toBe(
          changes.some((change) => {
            const before = runs.find((run) => run.run_id === change.run_id);
            return before?.state !== change.state || before.storage_state !== change.storage_state;
          }),
        );
      }),
    );
  });
});

describe("a run's view after any changes", () => {
  it("is that of the newest change, and keeps each execution once", () => {
    // What the server sends: from version to version, some executions are new or changed.
    const history = fc.array(fc.uniqueArray(fc.constantFrom("x", "y", "z", "w")), {
      minLength: 1,
      maxLength: 6,
    });
    fc.assert(
      fc.property(history, fc.infiniteStream(fc.boolean()), (sets, repeats) => {
        const run = { ...summary("r", 0), version: 0 };
        let view = { run, executions: [] as ExecutionView[] } as unknown as RunView;
        const expected = new Map<string, number>();
        let stale: RunChange | null = null;
        for (const [at, ids] of sets.entries()) {
          const version = at + 1;
          const change = {
            version,
            run: { ...run, version },
            executions: ids.map((execution_id) => ({ execution_id, state: "RUNNING", iteration: version })),
          } as unknown as RunChange;
          for (const id of ids) expected.set(id, version);
          view = applyChange(view, change);
          if (repeats.next().value) view = applyChange(view, change);
          // One that comes late is older than what is shown.
          if (stale !== null && stale.version < version) expect(applyChange(view, stale)).toBe(view);
          stale = change;
        }
        expect(view.run.version).toBe(sets.length);
        expect(new Map(view.executions.map((each) => [each.execution_id, each.iteration]))).toEqual(expected);
        expect(view.executions).toHaveLength(expected.size);
      }),
    );
  });
});

describe("an address", () => {
  it("carries every value of its query, and no empty one", () => {
    const value = fc.option(fc.oneof(fc.string({ unit: "grapheme" }), fc.integer()), { nil: undefined });
    fc.assert(
      fc.property(
        fc.dictionary(fc.stringMatching(/^[a-z_]{1,8}$/), value, { noNullPrototype: true }),
        (query) => {
          const [path, search = ""] = urlOf("/api/runs", query).split("?") as [string, string?];
          expect(path).toBe("/api/runs");
          const read = Object.fromEntries(new URLSearchParams(search));
          const given = Object.entries(query).filter(([, each]) => each !== undefined && each !== "");
          expect(read).toEqual(Object.fromEntries(given.map(([key, each]) => [key, String(each)])));
        },
      ),
    );
  });
});
