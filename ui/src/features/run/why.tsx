import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { explanationQuery, runExplanationQuery } from "@/api/explanations";
import type { CacheUse, ExecutionView, Explanation, ReasonView, RunSummary, TaskRef } from "@/api/types";
import { Button } from "@/components/button";
import { Mark } from "@/components/mark";
import { Facts, Section } from "@/components/section";
import { isFinal, lookOf } from "@/lib/states";
import { formatExact } from "@/lib/time";
import type { RunParts } from "./shared";
import styles from "./why.module.css";
import { cacheWords, placeOf, refWords, retryWords, tellsOfCache } from "./why-model";

type Change = RunParts["change"];

/** A code, leading to the page that says what it means. */
export function ReasonCode({ code }: { readonly code: string }) {
  return (
    <Link to="/codes/$code" params={{ code }} className={styles.code} title="What this means">
      {code}
    </Link>
  );
}

/** Text in which backquotes mark code. */
function Told({ text }: { readonly text: string }) {
  return text.split("`").map((part, at) => (at % 2 === 1 ? <code key={at}>{part}</code> : part));
}

/** Why one execution is in its state. */
export function Why({
  execution,
  mark,
  change,
}: {
  readonly execution: ExecutionView;
  readonly mark: string;
  readonly change: Change;
}) {
  const over = isFinal(execution.state);
  const { data } = useQuery(explanationQuery(execution.execution_id, mark, over));
  if (data === undefined) return null;
  const bad = execution.state === "FAILED";
  return (
    <div className={styles.why}>
      {data.reason.code !== execution.state && (
        <div className={styles.reason} data-bad={bad}>
          <ReasonCode code={data.reason.code} />
          <p>{data.reason.message}</p>
          <FailureFacts explanation={data} />
          {data.fix !== "" && (
            <p className={styles.fix}>
              <Told text={data.fix} />
            </p>
          )}
          {bad && execution.attempts.length > 0 && execution.kind === "TASK" && (
            <Button look="quiet" icon="right" onClick={() => change({ panel: "logs" })}>
              Read the log
            </Button>
          )}
        </div>
      )}
      <Refs title="Waits for" refs={data.waiting_for} runId={data.run_id} change={change} />
      <Refs title="Because" refs={data.causes} runId={data.run_id} change={change} />
      <Facts
        facts={[
          ["Retry", retryWords(data)],
          ["After", data.retry?.after && <Reason key="after" reason={data.retry.after} />],
          ["Condition", data.condition && <code key="condition">{data.condition.condition}</code>],
          ...Object.entries(data.condition?.values ?? {}).map(
            ([name, value]) => [name, <code key={name}>{value}</code>] as const,
          ),
          ["Cancelled", data.canceled_at ? `asked for at ${formatExact(data.canceled_at)}` : ""],
        ]}
      />
      {tellsOfCache(data) && data.cache && <Cache use={data.cache} runId={data.run_id} change={change} />}
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

function FailureFacts({ explanation }: { readonly explanation: Explanation }) {
  const { failure } = explanation;
  if (!failure) return null;
  const place = placeOf(failure);
  return (
    <>
      {place !== "" && (
        <p className={styles.place}>
          at <code>{place}</code>
        </p>
      )}
      {failure.source_line !== "" && <pre className={styles.lines}>{failure.source_line.trim()}</pre>}
    </>
  );
}

function Refs({
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
            {ref.state && <Mark {...lookOf(ref.state)} size={13} />}
            <span>
              <Ref of={ref} runId={runId} change={change} />
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

/** An execution that can be gone to: of this run by selecting it, of another by its page. */
function Ref({
  of,
  runId,
  change,
}: {
  readonly of: TaskRef;
  readonly runId: string;
  readonly change: Change;
}) {
  const words = refWords(of, runId);
  if (of.path === "") return words;
  if (of.run_id === runId)
    return (
      <button
        type="button"
        className={styles.task}
        onClick={() => change({ task: of.path, panel: undefined, attempt: undefined })}
      >
        {words}
      </button>
    );
  return (
    <Link to="/runs/$runId" params={{ runId: of.run_id }} search={{ task: of.path }}>
      {words}
    </Link>
  );
}

function Cache({
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
      <Facts
        facts={[
          [cacheWords(use), use.use === "HIT" ? "" : <Reason key="why" reason={use.reason} />],
          [
            use.use === "HIT" ? "Outputs of" : "Nearest",
            use.source && use.source.path !== "" && (
              <Ref key="source" of={use.source} runId={runId} change={change} />
            ),
          ],
        ]}
      />
      {use.differs.length > 0 && (
        <table className={styles.differs}>
          <thead>
            <tr>
              <th>Differs</th>
              <th>There</th>
              <th>Here</th>
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
          <summary>What its key is made from</summary>
          <Facts facts={parts.map(([name, value]) => [name, <code key={name}>{value}</code>] as const)} />
        </details>
      )}
    </Section>
  );
}

/** What a run that is under way waits for; below its header. */
export function RunWaits({ run, change }: { readonly run: RunSummary; readonly change: Change }) {
  const over = isFinal(run.state);
  const tasks = Object.values(run.task_counts).reduce((sum, count) => sum + count, 0);
  const { data } = useQuery({ ...runExplanationQuery(run.run_id, run.state, tasks, over), enabled: !over });
  if (over || data === undefined) return null;
  const told = data.reason.code === "RUN_PAUSED" || data.reason.code === "STOPPING" ? data.reason : null;
  if (told === null && data.waiting.length === 0) return null;
  return (
    <ul className={styles.waits} aria-label="What this run waits for">
      {told && (
        <li>
          <Reason reason={told} />
        </li>
      )}
      {data.waiting.map((wait) => (
        <li key={wait.code}>
          <span className={styles.dim}>
            {wait.count === 1 ? "1 task waits:" : `${wait.count} tasks wait:`}
          </span>{" "}
          <Ref of={wait.example} runId={run.run_id} change={change} />{" "}
          <Reason reason={{ code: wait.code, message: wait.message, details: {} }} />
        </li>
      ))}
    </ul>
  );
}

/** Where the first failure of a run happened, and what to do about it. */
export function FirstCause({ executionId }: { readonly executionId: string }) {
  const { data } = useQuery(explanationQuery(executionId, "final", true));
  if (data === undefined) return null;
  const place = data.failure ? placeOf(data.failure) : "";
  return (
    <>
      {place !== "" && (
        <p className={styles.place}>
          at <code>{place}</code>
        </p>
      )}
      {data.fix !== "" && (
        <p className={styles.fix}>
          <Told text={data.fix} />
        </p>
      )}
    </>
  );
}
