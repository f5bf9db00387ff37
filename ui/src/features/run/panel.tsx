import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { lazy, type ReactNode, Suspense } from "react";
import { executionQuery } from "@/api/executions";
import type { ArtifactView, ExecutionDetail, ExecutionView, RunView } from "@/api/types";
import { Button } from "@/components/button";
import { PropertyList, Section } from "@/components/section";
import { StateBadge } from "@/components/state-badge";
import { StateIcon } from "@/components/state-icon";
import { Tabs } from "@/components/tabs";
import { conditionText, itemText, tagOf } from "@/graph/model";
import { isFinal, styleOfState } from "@/lib/states";
import { durationOf, formatDuration, formatExact } from "@/lib/time";
import { BundleList } from "./bundle";
import { ExplanationSection } from "./explanation";
import { Iterations } from "./iterations";
import { LogView } from "./log/view";
import { attemptDuration, iterationLabel, markText, reasonOf, type Selection, stateSentence } from "./model";
import styles from "./panel.module.css";
import type { RunPageProps } from "./props";
import type { PanelId } from "./search";
import { TaskActions } from "./task-actions";
import { visualsOf } from "./viewers/model";

const Visuals = lazy(() => import("./viewers/visuals"));
const Code = lazy(() => import("./viewers/code"));

interface PanelProps extends RunPageProps {
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
          {execution && <StateBadge state={execution.state} />}
          <Button
            variant="quiet"
            icon="close"
            aria-label="Close the task panel"
            title="Close (Esc)"
            onClick={() => change({ task: undefined, panel: undefined, attempt: undefined })}
          />
        </div>
        {selection.siblings.length > 1 && <IterationSwitch {...props} />}
      </header>
      {execution === null ? <NotStarted {...props} /> : <Started {...props} execution={execution} />}
    </aside>
  );
}

/** Switches between the iterations of the selected task. */
function IterationSwitch({ selection, index, change }: PanelProps) {
  const { siblings, execution } = selection;
  const at = siblings.findIndex((other) => other.path === execution?.path);
  const go = (next: ExecutionView | undefined): void => {
    if (next !== undefined) change({ task: next.path, attempt: undefined });
  };
  return (
    <div className={styles.siblings}>
      <Button
        variant="quiet"
        icon="up"
        aria-label="Previous iteration"
        disabled={at <= 0}
        onClick={() => go(siblings[at - 1])}
      />
      <Button
        variant="quiet"
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
            {iterationLabel(other.path, index)} ({styleOfState(other.state).label})
          </option>
        ))}
      </select>
      <span className={styles.dim}>
        {at + 1} of {siblings.length}
      </span>
    </div>
  );
}

function NotStarted({ selection, view }: PanelProps) {
  const { plan } = selection.node;
  return (
    <div className={styles.body}>
      <p className={styles.lead}>
        {isFinal(view.run.state)
          ? "This task did not run. The run ended before the task could start."
          : "This task has not started. It waits for the tasks before it."}
      </p>
      <PropertyList
        properties={[
          ["Depends on", plan.depends_on.join(", ")],
          ["Condition", conditionText(plan.condition)],
          ["Component", plan.component],
          ["Image", plan.image],
        ]}
      />
    </div>
  );
}

function Started(props: PanelProps & { readonly execution: ExecutionView }) {
  const { execution, selection, search, change } = props;
  const last = execution.attempts[execution.attempts.length - 1];
  const revision = `${execution.state}/${execution.attempts.length}/${last?.state ?? ""}/${execution.ended_at ?? ""}`;
  const detail = useQuery(executionQuery(execution.execution_id, revision));
  const visuals = detail.data ? visualsOf(detail.data.outputs) : [];
  const tabs: { id: PanelId; label: ReactNode }[] = [{ id: "overview", label: "Overview" }];
  if (selection.node.plan.kind === "LOOP" && selection.node.children.length > 0)
    tabs.push({ id: "iterations", label: "Iterations" });
  tabs.push({ id: "io", label: "Inputs & outputs" });
  if (execution.kind === "TASK") tabs.push({ id: "logs", label: "Logs" });
  if (visuals.length > 0 || search.panel === "visuals") tabs.push({ id: "visuals", label: "Visualizations" });
  if (execution.kind === "TASK") tabs.push({ id: "code", label: "Code" });
  const wanted = search.panel ?? "overview";
  const current = tabs.some((tab) => tab.id === wanted) ? wanted : "overview";
  const attempt = Math.min(search.attempt ?? execution.attempts.length, execution.attempts.length);
  return (
    <>
      <div className={styles.tabs}>
        <Tabs
          label="Task views"
          tabs={tabs}
          current={current}
          panelId="task-view"
          onChange={(id) => change({ panel: id === "overview" ? undefined : id })}
        />
      </div>
      <div id="task-view" role="tabpanel" className={styles.body} data-flush={current === "logs"}>
        {current === "overview" && <Overview {...props} detail={detail.data} revision={revision} />}
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
                ? "No log: the outputs were reused, so nothing ran."
                : "No log yet: no attempt has started."}
            </p>
          ))}
        {detail.error && current !== "logs" && <p role="alert">{detail.error.message}</p>}
        {detail.data && current === "io" && <InputsOutputs detail={detail.data} />}
        <Suspense fallback={<p className={styles.dim}>Loading…</p>}>
          {current === "visuals" && detail.data && <VisualizationsTab artifacts={visuals} />}
          {current === "code" && detail.data && <Code detail={detail.data} />}
        </Suspense>
      </div>
    </>
  );
}

function VisualizationsTab({ artifacts }: { readonly artifacts: readonly ArtifactView[] }) {
  if (artifacts.length === 0) return <p className={styles.lead}>This task has no visualizations.</p>;
  return <Visuals artifacts={artifacts} />;
}

function Overview({
  execution,
  selection,
  index,
  view,
  detail,
  revision,
  now,
  change,
}: PanelProps & { execution: ExecutionView; detail: ExecutionDetail | undefined; revision: string }) {
  const reason = reasonOf(execution);
  const time = durationOf(execution, now);
  const iteration = execution.iteration !== null ? itemText(execution.item) : "";
  return (
    <>
      <p className={styles.lead}>{stateSentence(execution)}</p>
      {execution.path !== "" && <TaskActions execution={execution} node={selection.node} view={view} />}
      <ExplanationSection execution={execution} revision={revision} change={change} />
      <Section title="Task details">
        <PropertyList
          properties={[
            ["Duration", time === null ? "" : formatDuration(time)],
            ["Started", formatExact(execution.started_at)],
            ["Finished", formatExact(execution.ended_at)],
            ["Next attempt", formatExact(execution.retry_at)],
            ["Iteration", execution.path.includes("[") ? iterationLabel(execution.path, index) : ""],
            ["Item", iteration],
            ["Iterations", execution.iteration_count === null ? "" : String(execution.iteration_count)],
            ["Condition", conditionText(selection.node.plan.condition)],
            ["Depends on", selection.node.plan.depends_on.join(", ")],
            ["Image", selection.node.plan.image ?? detail?.image ?? ""],
            ["Component", selection.node.plan.component],
            [
              "Reused from",
              execution.reused_from !== null && <ReusedFrom view={view} path={execution.path} />,
            ],
            ["Marked by", execution.marked !== null && markText(execution.marked)],
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
                  <StateIcon {...styleOfState(attempt.state)} size={14} />
                  <span>
                    Attempt {attempt.number}
                    <span className={styles.dim}> {styleOfState(attempt.state).label.toLowerCase()}</span>
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

/** A link to the same task in the earlier run. */
function ReusedFrom({ view, path }: { readonly view: RunView; readonly path: string }) {
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
        <BundleList bundle={detail.inputs} none="No inputs." />
      </Section>
      <Section title="Outputs">
        <BundleList
          bundle={detail.outputs}
          none={over ? "No outputs." : "Outputs appear when the task succeeds."}
        />
      </Section>
    </>
  );
}
