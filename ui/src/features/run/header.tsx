import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { type RunAction, useRunAction } from "@/api/runs";
import type { RunSummary } from "@/api/types";
import { Button } from "@/components/button";
import { Icon } from "@/components/icon";
import { State } from "@/components/state-word";
import { isFinal } from "@/lib/states";
import { formatAgo, formatExact, span } from "@/lib/time";
import styles from "./header.module.css";

interface HeaderProps {
  readonly run: RunSummary;
  readonly now: number;
  /** The event stream does not answer: what is shown may be old. */
  readonly lost: boolean;
}

export function Header({ run, now, lost }: HeaderProps) {
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
          <State state={run.state} size={17} />
        </span>
        {lost && <span className={styles.lost}>Not live: the server does not answer</span>}
        <span className={styles.space} />
        {run.storage_state === "ARCHIVED" && <span className={styles.archived}>Archived</span>}
        {over && run.state !== "SUCCEEDED" && (
          <Button
            icon="retry"
            disabled={isPending}
            title="Run again what failed or did not run; what succeeded is kept"
            onClick={() => mutate({ runId: run.run_id, action: "retry" })}
          >
            Retry
          </Button>
        )}
        {(run.state === "RUNNING" || run.state === "PENDING" || run.state === "PAUSED") && (
          <Pausing runId={run.run_id} paused={run.state === "PAUSED"} disabled={isPending} mutate={mutate} />
        )}
        {!over && (
          <Button
            icon="stop"
            look="danger"
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
        <Fact name="Pipeline">{run.pipeline_name}</Fact>
        {run.experiment_name && <Fact name="Experiment">{run.experiment_name}</Fact>}
        {run.rerun_of && (
          <Fact name="Again from">
            {run.rerun_from.join(", ") || "what had not succeeded"} in{" "}
            <Link to="/runs/$runId" params={{ runId: run.rerun_of }}>
              {run.rerun_of.slice(0, 8)}
            </Link>
          </Fact>
        )}
        <Fact name="Started">
          <time dateTime={started} title={formatExact(started)}>
            {formatAgo(started, now)}
          </time>
        </Fact>
        <Fact name={over ? "Took" : "Running for"}>{span(run.started_at, run.finished_at, now) || "–"}</Fact>
      </dl>
      {error && (
        <p className={styles.error} role="alert">
          {error.message}
        </p>
      )}
    </section>
  );
}

interface PausingProps {
  readonly runId: string;
  readonly paused: boolean;
  readonly disabled: boolean;
  readonly mutate: (wanted: { runId: string; action: RunAction }) => void;
}

function Pausing({ runId, paused, disabled, mutate }: PausingProps) {
  return (
    <Button
      icon={paused ? "play" : "pause"}
      disabled={disabled}
      title={paused ? "Begin what waits" : "Begin nothing new; what runs goes on"}
      onClick={() => mutate({ runId, action: paused ? "resume" : "pause" })}
    >
      {paused ? "Resume" : "Pause"}
    </Button>
  );
}

function Fact({ name, children }: { readonly name: string; readonly children: ReactNode }) {
  return (
    <div className={styles.fact}>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
