/** A run to test with: an exit handler around a loop of three, its second iteration failed. */
import type { ExecutionView, GraphNode, RunView } from "@/api/types";

export function aNode(name: string, fields: Partial<GraphNode> = {}): GraphNode {
  return {
    name,
    display_name: name,
    kind: "TASK",
    group: "",
    component: `comp-${name}`,
    depends_on: [],
    condition: null,
    runs_after_failure: false,
    image: null,
    children: [],
    ...fields,
  };
}

export function anExecution(path: string, fields: Partial<ExecutionView> = {}): ExecutionView {
  const node = path.replace(/\[\d+\]/g, "");
  const iteration = /\[(\d+)\]$/.exec(path);
  return {
    execution_id: `id-${path}`,
    path,
    node,
    task: node.split("/").at(-1)!,
    kind: "TASK",
    state: "SUCCEEDED",
    parent: iteration ? path.slice(0, iteration.index) : path.split("/").slice(0, -1).join("/"),
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
    started_at: "2026-11-23T10:00:00.000Z",
    ended_at: "2026-11-23T10:00:10.000Z",
    ...fields,
  };
}

const failure = { code: "USER_EXCEPTION", message: "ValueError: too deep", details: {} };

export function aFailedRun(): RunView {
  const loop = aNode("loop", {
    kind: "LOOP",
    group: "for-loop",
    depends_on: ["load"],
    children: [aNode("train")],
  });
  const group = aNode("guard", {
    kind: "DAG",
    group: "exit-handler",
    children: [aNode("load"), loop, aNode("choose", { depends_on: ["loop"] })],
  });
  return {
    run: {
      run_id: "r",
      display_name: "A run",
      state: "FAILED",
      storage_state: "AVAILABLE",
      experiment_id: "e",
      experiment_name: "Default",
      pipeline_name: "p",
      pipeline_id: null,
      pipeline_version_id: null,
      created_at: "2026-11-23T10:00:00.000Z",
      started_at: "2026-11-23T10:00:00.000Z",
      finished_at: "2026-11-23T10:00:40.000Z",
      error: null,
      task_counts: {},
      rerun_of: null,
      rerun_from: [],
      version: 9,
    },
    parameters: {},
    next_page_token: "",
    outputs: { parameters: {}, artifacts: {} },
    warnings: [],
    graph: [group, aNode("tell", { depends_on: ["guard"], runs_after_failure: true })],
    executions: [
      anExecution("", { kind: "ROOT", state: "FAILED" }),
      anExecution("guard", { kind: "DAG", state: "FAILED" }),
      anExecution("guard/load"),
      anExecution("guard/loop", { kind: "LOOP", state: "FAILED", iteration_count: 3 }),
      ...[0, 1, 2].flatMap((at) => [
        anExecution(`guard/loop[${at}]`, {
          kind: "DAG",
          item: { depth: at },
          state: at === 1 ? "FAILED" : "SUCCEEDED",
        }),
        anExecution(`guard/loop[${at}]/train`, {
          state: at === 1 ? "FAILED" : "SUCCEEDED",
          attempts: [
            {
              number: 1,
              state: at === 1 ? "FAILED" : "SUCCEEDED",
              started_at: "2026-11-23T10:00:10.000Z",
              ended_at: "2026-11-23T10:00:20.000Z",
              error: at === 1 ? failure : null,
              waiting: null,
            },
          ],
        }),
      ]),
      anExecution("guard/choose", { state: "SKIPPED", started_at: null }),
      anExecution("tell"),
    ],
  };
}
