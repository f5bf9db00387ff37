import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { lazy, type ReactNode, Suspense } from "react";
import { executionQuery } from "@/api/executions";
import type { ArtifactView, ExecutionDetail, ExecutionView, RunView } from "@/api/types";
import { Button } from "@/components/button";
import { Mark } from "@/components/mark";
import { Facts, Section } from "@/components/section";
import { State } from "@/components/state-word";
import { Tabs } from "@/components/tabs";
import { durationOf, itemText, tagOf, wordCondition } from "@/graph/model";
import { isFinal, lookOf } from "@/lib/states";
import { formatDuration, formatExact } from "@/lib/time";
import { BundleList } from "./bundle";
import { Control } from "./control";
import { Iterations } from "./iterations";
import { LogView } from "./log/view";
import { attemptDuration, explain, markWords, placeWords, reasonOf, type Selection } from "./model";
import styles from "./panel.module.css";
import type { PanelId } from "./search";
import type { RunParts } from "./shared";
import { visualsOf } from "./viewers/model";
import { Why } from "./why";

const Visuals = lazy(() => import("./viewers/visuals"));
const Code = lazy(() => import("./viewers/code"));

interface PanelProps extends RunParts {
  readonly selection: Selection;
}

export function TaskPanel(props: PanelProps) {
  const { selection, change } = props;
  const { node, execution } = selection;
  const title = node.plan.display_name || node.plan.name;
  const tag = tagOf(node.plan);
  return (
    <aside className={styles.panel} aria-label={`Task ${title}`}>
      <header className={styles.head}>
        <div className={styles.line}>
          <h2 className={styles.title}>{title}</h2>
          {tag && <span className={styles.tag}>{tag}</span>}
          <span className={styles.space} />
          {execution && <State state={execution.state} />}
          <Button
            look="quiet"
            icon="close"
            aria-label="Close the task panel"
            title="Close (Esc)"
            onClick={() => change({ task: undefined, panel: undefined, attempt: undefined })}
          />
        </div>
        {selection.siblings.length > 1 && <Siblings {...props} />}
      </header>
      {execution === null ? <Planned {...props} /> : <Begun {...props} execution={execution} />}
    </aside>
  );
}

/** The same task at the other places of its loops. */
function Siblings({ selection, index, change }: PanelProps) {
  const { siblings, execution } = selection;
  const at = siblings.findIndex((other) => other.path === execution?.path);
  const go = (next: ExecutionView | undefined): void => {
    if (next !== undefined) change({ task: next.path, attempt: undefined });
  };
  return (
    <div className={styles.siblings}>
      <Button
        look="quiet"
        icon="up"
        aria-label="Previous iteration"
        disabled={at <= 0}
        onClick={() => go(siblings[at - 1])}
      />
      <Button
        look="quiet"
        icon="down"
        aria-label="Next iteration"
        disabled={at >= siblings.length - 1}
        onClick={() => go(siblings[at + 1])}
      />
      <select
        aria-label="Iteration"
        value={execution?.path}
        onChange={(event) => change({ task: event.target.value, attempt: undefined })}
      >
        {siblings.map((other) => (
          <option key={other.path} value={other.path}>
            {placeWords(other.path, index)} ({lookOf(other.state).word})
          </option>
        ))}
      </select>
      <span className={styles.dim}>
        {at + 1} of {siblings.length}
      </span>
    </div>
  );
}

function Planned({ selection, view }: PanelProps) {
  const { plan } = selection.node;
  return (
    <div className={styles.body}>
      <p className={styles.lead}>
        {isFinal(view.run.state)
          ? "It did not run: nothing in this run came to it."
          : "It has not started. It waits for what comes before it."}
      </p>
      <Facts
        facts={[
          ["Waits for", plan.depends_on.join(", ")],
          ["Condition", wordCondition(plan.condition)],
          ["Component", plan.component],
          ["Image", plan.image],
        ]}
      />
    </div>
  );
}

function Begun(props: PanelProps & { readonly execution: ExecutionView }) {
  const { execution, selection, search, change } = props;
  const last = execution.attempts[execution.attempts.length - 1];
  const mark = `${execution.state}/${execution.attempts.length}/${last?.state ?? ""}/${execution.ended_at ?? ""}`;
  const detail = useQuery(executionQuery(execution.execution_id, mark));
  const visuals = detail.data ? visualsOf(detail.data.outputs) : [];
  const tabs: { id: PanelId; label: ReactNode }[] = [{ id: "overview", label: "Overview" }];
  if (selection.node.plan.kind === "LOOP" && selection.node.children.length > 0)
    tabs.push({ id: "iterations", label: "Iterations" });
  tabs.push({ id: "io", label: "Inputs & outputs" });
  if (execution.kind === "TASK") tabs.push({ id: "logs", label: "Logs" });
  if (visuals.length > 0 || search.panel === "visuals") tabs.push({ id: "visuals", label: "Visualisations" });
  if (execution.kind === "TASK") tabs.push({ id: "code", label: "Code" });
  const wanted = search.panel ?? "overview";
  const current = tabs.some((tab) => tab.id === wanted) ? wanted : "overview";
  const attempt = Math.min(search.attempt ?? execution.attempts.length, execution.attempts.length);
  return (
    <>
      <div className={styles.tabs}>
        <Tabs
          label="About this task"
          tabs={tabs}
          current={current}
          panelId="task-view"
          onChange={(id) => change({ panel: id === "overview" ? undefined : id })}
        />
      </div>
      <div id="task-view" role="tabpanel" className={styles.body} data-flush={current === "logs"}>
        {current === "overview" && <Overview {...props} detail={detail.data} mark={mark} />}
        {current === "iterations" && <Iterations {...props} />}
        {current === "logs" &&
          (attempt > 0 ? (
            <LogView
              key={`${execution.execution_id}/${attempt}`}
              execution={execution}
              attempt={attempt}
              onAttempt={(number) =>
                change({ attempt: number === execution.attempts.length ? undefined : number })
              }
            />
          ) : (
            <p className={styles.lead}>
              {execution.cached_from || execution.reused_from
                ? "Nothing ran, so there is no log."
                : "There is no log before the first attempt."}
            </p>
          ))}
        {detail.error && current !== "logs" && <p role="alert">{detail.error.message}</p>}
        {detail.data && current === "io" && <InputsOutputs detail={detail.data} />}
        <Suspense fallback={<p className={styles.dim}>Loading…</p>}>
          {current === "visuals" && detail.data && <VisualsOrNone artifacts={visuals} />}
          {current === "code" && detail.data && <Code detail={detail.data} />}
        </Suspense>
      </div>
    </>
  );
}

function VisualsOrNone({ artifacts }: { readonly artifacts: readonly ArtifactView[] }) {
  if (artifacts.length === 0) return <p className={styles.lead}>This task has made nothing to look at.</p>;
  return <Visuals artifacts={artifacts} />;
}

function Overview({
  execution,
  selection,
  index,
  view,
  detail,
  mark,
  now,
  change,
}: PanelProps & { execution: ExecutionView; detail: ExecutionDetail | undefined; mark: string }) {
  const reason = reasonOf(execution);
  const time = durationOf(execution, now);
  const iteration = execution.iteration !== null ? itemText(execution.item) : "";
  return (
    <>
      <p className={styles.lead}>{explain(execution)}</p>
      {execution.path !== "" && <Control execution={execution} node={selection.node} view={view} />}
      <Why execution={execution} mark={mark} change={change} />
      <Section title="Facts">
        <Facts
          facts={[
            ["Took", time === null ? "" : formatDuration(time)],
            ["Started", formatExact(execution.started_at)],
            ["Ended", formatExact(execution.ended_at)],
            ["Next attempt", formatExact(execution.retry_at)],
            ["Iteration", execution.path.includes("[") ? placeWords(execution.path, index) : ""],
            ["Item", iteration],
            ["Iterations", execution.iteration_count === null ? "" : String(execution.iteration_count)],
            ["Condition", wordCondition(selection.node.plan.condition)],
            ["Waits for", selection.node.plan.depends_on.join(", ")],
            ["Image", selection.node.plan.image ?? detail?.image ?? ""],
            ["Component", selection.node.plan.component],
            [
              "Taken over from",
              execution.reused_from !== null && <Earlier view={view} path={execution.path} />,
            ],
            ["Decided by", execution.marked !== null && markWords(execution.marked)],
            ["Path", <code key="path">{execution.path}</code>],
          ]}
        />
      </Section>
      {execution.attempts.length > 0 && (
        <Section title={execution.attempts.length === 1 ? "Attempt" : "Attempts"}>
          <ol className={styles.attempts}>
            {execution.attempts.map((attempt) => (
              <li key={attempt.number}>
                <button
                  type="button"
                  className={styles.attempt}
                  onClick={() =>
                    change({
                      panel: "logs",
                      attempt: attempt.number === execution.attempts.length ? undefined : attempt.number,
                    })
                  }
                >
                  <Mark {...lookOf(attempt.state)} size={14} />
                  <span>
                    Attempt {attempt.number}
                    <span className={styles.dim}> {lookOf(attempt.state).word.toLowerCase()}</span>
                  </span>
                  <span className={styles.dim}>{formatExact(attempt.started_at).slice(11)}</span>
                  <span className={styles.dim}>{attemptDuration(attempt, now)}</span>
                  {attempt.error && attempt.error.message !== reason?.message && (
                    <span className={styles.attemptError}>{attempt.error.message}</span>
                  )}
                </button>
              </li>
            ))}
          </ol>
        </Section>
      )}
    </>
  );
}

/** The same task in the run that this one was made from. */
function Earlier({ view, path }: { readonly view: RunView; readonly path: string }) {
  if (view.run.rerun_of === null) return null;
  return (
    <Link to="/runs/$runId" params={{ runId: view.run.rerun_of }} search={{ task: path }}>
      run {view.run.rerun_of.slice(0, 8)}
    </Link>
  );
}

function InputsOutputs({ detail }: { readonly detail: ExecutionDetail }) {
  const over = isFinal(detail.execution.state);
  return (
    <>
      <Section title="Inputs">
        <BundleList bundle={detail.inputs} none="It takes no inputs." />
      </Section>
      <Section title="Outputs">
        <BundleList
          bundle={detail.outputs}
          none={over ? "It has no outputs." : "Outputs appear when it succeeds."}
        />
      </Section>
    </>
  );
}
