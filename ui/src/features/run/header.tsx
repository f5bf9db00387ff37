import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { type RunAction, useRunAction } from "@/api/runs";
import type { ReasonView, RunSummary } from "@/api/types";
import { Button } from "@/components/button";
import { Icon } from "@/components/icon";
import { StateBadge } from "@/components/state-badge";
import { isFinal } from "@/lib/states";
import { elapsed, formatAgo, formatExact } from "@/lib/time";
import styles from "./header.module.css";

interface HeaderProps {
  readonly run: RunSummary;
  /** What the user should know though nothing fails for it. */
  readonly warnings: readonly ReasonView[];
  readonly now: number;
  /** The event stream is disconnected, so the page may be out of date. */
  readonly lost: boolean;
}

export function Header({ run, warnings, now, lost }: HeaderProps) {
  const { mutate, isPending, error } = useRunAction();
  const over = isFinal(run.state);
  const started = run.started_at ?? run.created_at;
  return (
    <section className={styles.header} aria-label="Run">
      <div className={styles.line}>
        <Link to="/runs" className={styles.back}>
          Runs
        </Link>
        <Icon name="right" size={12} />
        <h1 className={styles.name} title={run.display_name}>
          {run.display_name || run.run_id}
        </h1>
        <span className={styles.state} aria-live="polite">
          <StateBadge state={run.state} size={17} />
        </span>
        {lost && (
          <span className={styles.lost}>Connection lost, reconnecting. This page may be out of date.</span>
        )}
        <span className={styles.space} />
        {run.storage_state === "ARCHIVED" && <span className={styles.archived}>Archived</span>}
        {over && run.state !== "SUCCEEDED" && (
          <Button
            icon="retry"
            disabled={isPending}
            title="Run the tasks that failed or did not run. Tasks that succeeded keep their results."
            onClick={() => mutate({ runId: run.run_id, action: "retry" })}
          >
            Retry
          </Button>
        )}
        {(run.state === "RUNNING" || run.state === "PENDING" || run.state === "PAUSED") && (
          <PauseButton
            runId={run.run_id}
            paused={run.state === "PAUSED"}
            disabled={isPending}
            mutate={mutate}
          />
        )}
        {!over && (
          <Button
            icon="stop"
            variant="danger"
            disabled={isPending || run.state === "CANCELING"}
            onClick={() => mutate({ runId: run.run_id, action: "terminate" })}
          >
            Terminate
          </Button>
        )}
        {over && (
          <Button
            icon="archive"
            disabled={isPending}
            onClick={() =>
              mutate({
                runId: run.run_id,
                action: run.storage_state === "ARCHIVED" ? "unarchive" : "archive",
              })
            }
          >
            {run.storage_state === "ARCHIVED" ? "Unarchive" : "Archive"}
          </Button>
        )}
      </div>
      <dl className={styles.facts}>
        <Field name="Pipeline">{run.pipeline_name}</Field>
        {run.experiment_name && <Field name="Experiment">{run.experiment_name}</Field>}
        {run.rerun_of && (
          <Field name="Re-run of">
            <Link to="/runs/$runId" params={{ runId: run.rerun_of }}>
              {run.rerun_of.slice(0, 8)}
            </Link>{" "}
            from {run.rerun_from.join(", ") || "the tasks that had not succeeded"}
          </Field>
        )}
        <Field name="Started">
          <time dateTime={started} title={formatExact(started)}>
            {formatAgo(started, now)}
          </time>
        </Field>
        <Field name={over ? "Duration" : "Running for"}>
          {elapsed(run.started_at, run.finished_at, now) || "–"}
        </Field>
      </dl>
      {warnings.map((warning) => (
        <p key={warning.message} className={styles.warning} role="note">
          {warning.message}
        </p>
      ))}
      {error && (
        <p className={styles.error} role="alert">
          {error.message}
        </p>
      )}
    </section>
  );
}

interface PauseButtonProps {
  readonly runId: string;
  readonly paused: boolean;
  readonly disabled: boolean;
  readonly mutate: (request: { runId: string; action: RunAction }) => void;
}

function PauseButton({ runId, paused, disabled, mutate }: PauseButtonProps) {
  return (
    <Button
      icon={paused ? "play" : "pause"}
      disabled={disabled}
      title={paused ? "Start the waiting tasks" : "Start no new tasks. Running tasks continue."}
      onClick={() => mutate({ runId, action: paused ? "resume" : "pause" })}
    >
      {paused ? "Resume" : "Pause"}
    </Button>
  );
}

function Field({ name, children }: { readonly name: string; readonly children: ReactNode }) {
  return (
    <div className={styles.fact}>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
