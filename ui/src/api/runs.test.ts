import { afterEach, describe, expect, it, vi } from "vitest";
import { applyChange, isComplete, loadRun, patchPages } from "./runs";
import type { ExecutionView, RunList, RunSummary, RunView } from "./types";

const summary = (run_id: string, version: number, state = "RUNNING"): RunSummary =>
  ({ run_id, version, state, storage_state: "AVAILABLE" }) as RunSummary;
const pages = (...runs: RunSummary[]): RunList[] => [{ runs, total_size: runs.length, next_page_token: "" }];

describe("changed runs", () => {
  it("replace older versions, and leave other runs as they are", () => {
    const old = pages(summary("a", 1), summary("b", 1));
    const { pages: next, moved } = patchPages(old, [summary("a", 2)]);
    expect(next[0]!.runs[0]!.version).toBe(2);
    expect(next[0]!.runs[1]).toBe(old[0]!.runs[1]);
    expect(moved).toBe(false);
  });

  it("that are older than the list are ignored", () => {
    expect(patchPages(pages(summary("a", 5)), [summary("a", 4)]).pages[0]!.runs[0]!.version).toBe(5);
  });

  it("that are new or have another state need a reload of the list", () => {
    expect(patchPages(pages(summary("a", 1)), [summary("new", 1)]).moved).toBe(true);
    expect(patchPages(pages(summary("a", 1)), [summary("a", 2, "FAILED")]).moved).toBe(true);
  });
});

describe("a change of a run", () => {
  const execution = (execution_id: string, state: string): ExecutionView =>
    ({ execution_id, state }) as ExecutionView;
  const view = {
    run: summary("r", 3),
    executions: [execution("x", "RUNNING"), execution("y", "PENDING")],
  } as unknown as RunView;

  it("replaces the executions it names and adds new ones", () => {
    const change = {
      version: 4,
      run: summary("r", 4),
      executions: [execution("x", "SUCCEEDED"), execution("z", "RUNNING")],
    };
    const next = applyChange(view, change);
    expect(next.executions.map((each) => [each.execution_id, each.state])).toEqual([
      ["x", "SUCCEEDED"],
      ["y", "PENDING"],
      ["z", "RUNNING"],
    ]);
    expect(next.executions[1]).toBe(view.executions[1]);
  });

  it("that is older than the view is ignored", () => {
    expect(applyChange(view, { version: 2, run: summary("r", 2), executions: [] })).toBe(view);
  });
});

describe("a large run", () => {
  afterEach(() => vi.unstubAllGlobals());

  const asked: string[] = [];
  const answers: Readonly<Record<string, unknown>> = {
    "/api/runs/r": { run: summary("r", 3), executions: ["a"], next_page_token: "0" },
    "/api/runs/r/executions?page_token=0": { executions: ["b"], next_page_token: "1" },
    "/api/runs/r/executions?page_token=1": { executions: ["c"], next_page_token: "" },
  };
  const serve = (url: string): Promise<Response> => {
    asked.push(url);
    return Promise.resolve(Response.json(answers[url]));
  };

  it("is loaded page by page, and each part is shown", async () => {
    vi.stubGlobal("fetch", serve);
    const parts: unknown[] = [];
    const view = await loadRun("r", new AbortController().signal, (part) => {
      expect(isComplete(part)).toBe(false);
      parts.push([...part.executions]);
    });
    expect(asked).toEqual(Object.keys(answers));
    expect(parts).toEqual([["a"], ["a", "b"]]);
    expect(view.executions).toEqual(["a", "b", "c"]);
    expect(view.run.version).toBe(3);
    expect(isComplete(view)).toBe(true);
  });
});
