import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { explanationQuery, runExplanationQuery } from "@/api/explanations";
import type { CacheUse, ExecutionView, Explanation, ReasonView, RunSummary, TaskRef } from "@/api/types";
import { Button } from "@/components/button";
import { CodeText } from "@/components/code-text";
import { PropertyList, Section } from "@/components/section";
import { StateIcon } from "@/components/state-icon";
import { isFinal, styleOfState } from "@/lib/states";
import { formatExact } from "@/lib/time";
import styles from "./explanation.module.css";
import {
  cacheText,
  failureLines,
  failureLocation,
  retryText,
  showsCache,
  taskRefText,
} from "./explanation-model";
import type { RunPageProps } from "./props";

type Change = RunPageProps["change"];

/** A code, with a link to its page in the documentation. */
export function ReasonCode({ code }: { readonly code: string }) {
  return (
    <Link to="/codes/$code" params={{ code }} className={styles.code} title="What this means">
      {code}
    </Link>
  );
}

/** Why one execution is in its state. */
export function ExplanationSection({
  execution,
  revision,
  change,
}: {
  readonly execution: ExecutionView;
  /** Changes whenever the execution does. */
  readonly revision: string;
  readonly change: Change;
}) {
  const over = isFinal(execution.state);
  const { data } = useQuery(explanationQuery(execution.execution_id, revision, over));
  if (data === undefined) return null;
  const bad = execution.state === "FAILED";
  return (
    <div className={styles.explanation}>
      {data.reason.code !== execution.state && (
        <div className={styles.reason} data-bad={bad}>
          <ReasonCode code={data.reason.code} />
          <p>{data.reason.message}</p>
          <FailureLocation explanation={data} />
          {data.fix !== "" && (
            <p className={styles.fix}>
              <CodeText text={data.fix} />
            </p>
          )}
          {bad && execution.attempts.length > 0 && execution.kind === "TASK" && (
            <Button variant="quiet" icon="right" onClick={() => change({ panel: "logs" })}>
              {data.failure?.traceback ? "Show the traceback in the log" : "Open the log"}
            </Button>
          )}
        </div>
      )}
      <TaskLinks title="Waiting for" refs={data.waiting_for} runId={data.run_id} change={change} />
      <TaskLinks title="Caused by" refs={data.causes} runId={data.run_id} change={change} />
      <PropertyList
        properties={[
          ["Retry", retryText(data)],
          ["Retry after", data.retry?.after && <Reason key="after" reason={data.retry.after} />],
          ["Condition", data.condition && <code key="condition">{data.condition.condition}</code>],
          ...Object.entries(data.condition?.values ?? {}).map(
            ([name, value]) => [name, <code key={name}>{value}</code>] as const,
          ),
          ["Cancel requested", data.canceled_at ? formatExact(data.canceled_at) : ""],
        ]}
      />
      {showsCache(data) && data.cache && (
        <CacheSection use={data.cache} runId={data.run_id} change={change} />
      )}
    </div>
  );
}

function Reason({ reason }: { readonly reason: ReasonView }) {
  return (
    <>
      {reason.message.split("\n", 1)[0]} <ReasonCode code={reason.code} />
    </>
  );
}

function FailureLocation({ explanation }: { readonly explanation: Explanation }) {
  const { failure } = explanation;
  if (!failure) return null;
  const location = failureLocation(failure);
  return (
    <>
      {location !== "" && (
        <p className={styles.location}>
          at <code>{location}</code>
        </p>
      )}
      {failureLines(failure) !== "" && <pre className={styles.lines}>{failureLines(failure)}</pre>}
    </>
  );
}

function TaskLinks({
  title,
  refs,
  runId,
  change,
}: {
  readonly title: string;
  readonly refs: readonly TaskRef[];
  readonly runId: string;
  readonly change: Change;
}) {
  if (refs.length === 0) return null;
  return (
    <Section title={title}>
      <ul className={styles.refs}>
        {refs.map((ref) => (
          <li key={`${ref.run_id}/${ref.execution_id}`}>
            {ref.state && <StateIcon {...styleOfState(ref.state)} size={13} />}
            <span>
              <TaskLink of={ref} runId={runId} change={change} />
              {ref.reason && (
                <span className={styles.dim}>
                  {" "}
                  <Reason reason={ref.reason} />
                </span>
              )}
            </span>
          </li>
        ))}
      </ul>
    </Section>
  );
}

/** A link to a task: in this run it selects the task, in another run it opens that run's page. */
function TaskLink({
  of,
  runId,
  change,
}: {
  readonly of: TaskRef;
  readonly runId: string;
  readonly change: Change;
}) {
  const text = taskRefText(of, runId);
  if (of.path === "") return text;
  if (of.run_id === runId)
    return (
      <button
        type="button"
        className={styles.task}
        onClick={() => change({ task: of.path, panel: undefined, attempt: undefined })}
      >
        {text}
      </button>
    );
  return (
    <Link to="/runs/$runId" params={{ runId: of.run_id }} search={{ task: of.path }}>
      {text}
    </Link>
  );
}

function CacheSection({
  use,
  runId,
  change,
}: {
  readonly use: CacheUse;
  readonly runId: string;
  readonly change: Change;
}) {
  const parts = Object.entries(use.parts);
  return (
    <Section title="Cache">
      <PropertyList
        properties={[
          [cacheText(use), use.use === "HIT" ? "" : <Reason key="why" reason={use.reason} />],
          [
            use.use === "HIT" ? "Outputs from" : "Closest match",
            use.source && use.source.path !== "" && (
              <TaskLink key="source" of={use.source} runId={runId} change={change} />
            ),
          ],
        ]}
      />
      {use.differs.length > 0 && (
        <table className={styles.differs}>
          <thead>
            <tr>
              <th>Part</th>
              <th>Cached</th>
              <th>This task</th>
            </tr>
          </thead>
          <tbody>
            {use.differs.map((difference) => (
              <tr key={difference.part}>
                <td>{difference.part}</td>
                <td>
                  <code>{difference.there ?? "–"}</code>
                </td>
                <td>
                  <code>{difference.here ?? "–"}</code>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {parts.length > 0 && (
        <details className={styles.parts}>
          <summary>Fingerprint</summary>
          <PropertyList
            properties={parts.map(([name, value]) => [name, <code key={name}>{value}</code>] as const)}
          />
        </details>
      )}
    </Section>
  );
}

/** What an unfinished run waits for, below its header. */
export function WaitingList({ run, change }: { readonly run: RunSummary; readonly change: Change }) {
  const over = isFinal(run.state);
  const tasks = Object.values(run.task_counts).reduce((sum, count) => sum + count, 0);
  const { data } = useQuery({ ...runExplanationQuery(run.run_id, run.state, tasks, over), enabled: !over });
  if (over || data === undefined) return null;
  const runReason = data.reason.code === "RUN_PAUSED" || data.reason.code === "STOPPING" ? data.reason : null;
  if (runReason === null && data.waiting.length === 0) return null;
  return (
    <ul className={styles.waits} aria-label="What this run is waiting for">
      {runReason && (
        <li>
          <Reason reason={runReason} />
        </li>
      )}
      {data.waiting.map((wait) => (
        <li key={wait.code}>
          <span className={styles.dim}>
            {wait.count === 1 ? "1 task waiting:" : `${wait.count} tasks waiting:`}
          </span>{" "}
          <TaskLink of={wait.example} runId={run.run_id} change={change} />{" "}
          <Reason reason={{ code: wait.code, message: wait.message, details: {} }} />
        </li>
      ))}
    </ul>
  );
}

/** Where a task failed in its code, and how to fix it. */
export function FailureCause({ executionId }: { readonly executionId: string }) {
  const { data } = useQuery(explanationQuery(executionId, "final", true));
  if (data === undefined) return null;
  const location = data.failure ? failureLocation(data.failure) : "";
  return (
    <>
      {location !== "" && (
        <p className={styles.location}>
          at <code>{location}</code>
        </p>
      )}
      {data.fix !== "" && (
        <p className={styles.fix}>
          <CodeText text={data.fix} />
        </p>
      )}
    </>
  );
}
