import { useQuery } from "@tanstack/react-query";
import { readLog } from "@/api/executions";
import { StateIcon } from "@/components/state-icon";
import { FailureCause, ReasonCode } from "./explanation";
import styles from "./failure.module.css";
import { lastLines } from "./log/model";
import { type Failure, failuresOf } from "./model";
import type { RunPageProps } from "./props";

const TAIL_BYTES = 4096;
const MAX_OTHERS = 3;

/** Why the run failed, at the top of its page: the first task that failed, its error, its last log lines. */
export function FailureSummary({ view, plan, index, change }: RunPageProps) {
  if (view.run.state !== "FAILED" && !view.executions.some((execution) => execution.state === "FAILED"))
    return null;
  const failures = failuresOf(view, plan, index);
  const first = failures[0];
  if (first === undefined) {
    if (view.run.error === null) return null;
    return (
      <section className={styles.box} aria-label="Why this run failed">
        <StateIcon shape="cross" tone="bad" size={18} />
        <div className={styles.body}>
          <p className={styles.title}>
            The run failed <ReasonCode code={view.run.error.code} />
          </p>
          <p className={styles.message}>{view.run.error.message}</p>
        </div>
      </section>
    );
  }
  const open = ({ execution }: Failure): void => {
    const panel = execution.attempts.length > 0 ? "logs" : undefined;
    change({ task: execution.path, panel, attempt: undefined });
  };
  return (
    <section className={styles.box} aria-label="Why this run failed">
      <StateIcon shape="cross" tone="bad" size={18} />
      <div className={styles.body}>
        <p className={styles.title}>
          <button type="button" className={styles.task} onClick={() => open(first)}>
            {first.label}
          </button>{" "}
          failed <ReasonCode code={first.reason.code} />
        </p>
        <p className={styles.message}>{first.reason.message}</p>
        <FailureCause executionId={first.execution.execution_id} />
        {first.execution.attempts.length > 0 && first.execution.kind === "TASK" && (
          <LastLines executionId={first.execution.execution_id} attempt={first.execution.attempts.length} />
        )}
        {failures.length > 1 && (
          <p className={styles.others}>
            Also failed:{" "}
            {failures.slice(1, 1 + MAX_OTHERS).map((failure) => (
              <button
                key={failure.execution.execution_id}
                type="button"
                className={styles.task}
                onClick={() => open(failure)}
              >
                {failure.label}
              </button>
            ))}
            {failures.length > 1 + MAX_OTHERS && `and ${failures.length - 1 - MAX_OTHERS} more`}
          </p>
        )}
      </div>
    </section>
  );
}

function LastLines({ executionId, attempt }: { readonly executionId: string; readonly attempt: number }) {
  const tail = useQuery({
    queryKey: ["log-tail", executionId, attempt],
    queryFn: ({ signal }) => readLog(executionId, attempt, -TAIL_BYTES, TAIL_BYTES, signal),
    staleTime: Number.POSITIVE_INFINITY,
  });
  const lines = tail.data ? lastLines(tail.data.bytes, 3) : [];
  if (lines.length === 0) return null;
  return <pre className={styles.lines}>{lines.join("\n")}</pre>;
}
