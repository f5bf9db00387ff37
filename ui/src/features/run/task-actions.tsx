import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { type FormEvent, type ReactNode, useState } from "react";
import { documentQuery, useMark, useRerun } from "@/api/task-actions";
import type { ExecutionView, RunView } from "@/api/types";
import { Button } from "@/components/button";
import type { PlanNode } from "@/graph/model";
import styles from "./task-actions.module.css";
import {
  canMark,
  changedParameters,
  declaredOutputs,
  enteredOutputs,
  parameterTexts,
} from "./task-actions-model";

interface TaskActionsProps {
  readonly execution: ExecutionView;
  readonly node: PlanNode;
  readonly view: RunView;
}

/** The actions on a task: re-run the run from here, mark the task as succeeded or skipped. */
export function TaskActions(props: TaskActionsProps) {
  const [open, setOpen] = useState<"rerun" | "mark" | null>(null);
  const close = (): void => setOpen(null);
  return (
    <div className={styles.control}>
      <div className={styles.buttons}>
        <Button
          icon="retry"
          pressed={open === "rerun"}
          onClick={() => setOpen(open === "rerun" ? null : "rerun")}
        >
          Re-run from here
        </Button>
        {canMark(props.execution, props.view) && (
          <Button
            icon="check"
            pressed={open === "mark"}
            onClick={() => setOpen(open === "mark" ? null : "mark")}
          >
            Mark as succeeded or skipped
          </Button>
        )}
      </div>
      {open === "rerun" && <RerunForm {...props} close={close} />}
      {open === "mark" && <MarkForm {...props} close={close} />}
    </div>
  );
}

type FormProps = TaskActionsProps & { readonly close: () => void };

function RerunForm({ execution, view, close }: FormProps) {
  const navigate = useNavigate();
  const { mutate, isPending, error } = useRerun(view.run.run_id);
  const [texts, setTexts] = useState(() => parameterTexts(view));
  const [problem, setProblem] = useState("");
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    try {
      const parameters = changedParameters(view, texts);
      setProblem("");
      mutate(
        { from: [execution.path], parameters },
        { onSuccess: (run) => void navigate({ to: "/runs/$runId", params: { runId: run.run_id } }) },
      );
    } catch (wrong) {
      setProblem((wrong as Error).message);
    }
  };
  return (
    <form className={styles.form} onSubmit={submit} aria-label="Re-run from here">
      <p className={styles.note}>
        Starts a new run. This task and all tasks that depend on it run again. Other tasks that succeeded are
        reused.
      </p>
      {Object.keys(texts).map((name) => (
        <Field
          key={name}
          label={name}
          value={texts[name]!}
          onChange={(text) => setTexts({ ...texts, [name]: text })}
        />
      ))}
      <FormEnd problem={problem || error?.message} close={close} disabled={isPending} action="Re-run" />
    </form>
  );
}

function MarkForm({ execution, node, view, close }: FormProps) {
  const { mutate, isPending, error } = useMark(view.run.run_id, execution.execution_id);
  const document = useQuery(documentQuery(view.run.run_id));
  const outputs = document.data ? declaredOutputs(document.data, node.plan) : [];
  const [state, setState] = useState<"SUCCEEDED" | "SKIPPED">("SUCCEEDED");
  const [texts, setTexts] = useState<Record<string, string>>({});
  const [note, setNote] = useState("");
  const [problem, setProblem] = useState("");
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    try {
      const given = state === "SUCCEEDED" ? enteredOutputs(outputs, texts) : {};
      setProblem("");
      mutate({ state, note, ...given }, { onSuccess: close });
    } catch (wrong) {
      setProblem((wrong as Error).message);
    }
  };
  return (
    <form className={styles.form} onSubmit={submit} aria-label="Mark as succeeded or skipped">
      <fieldset className={styles.choices}>
        <legend className="unseen">New state</legend>
        <Choice value="SUCCEEDED" state={state} choose={setState}>
          Succeeded: tasks that depend on it can start, with these outputs
        </Choice>
        <Choice value="SKIPPED" state={state} choose={setState}>
          Skipped: tasks that depend on it are skipped too
        </Choice>
      </fieldset>
      {execution.state === "RUNNING" && (
        <p className={styles.note}>The task is running. It is stopped first.</p>
      )}
      {state === "SUCCEEDED" &&
        outputs.map(({ name, kind, type }) => (
          <Field
            key={name}
            label={name}
            hint={kind === "artifact" ? `artifact ID (${type}), or several with commas` : type}
            value={texts[name] ?? ""}
            onChange={(text) => setTexts({ ...texts, [name]: text })}
          />
        ))}
      <Field label="Note" hint="Why: shown in the task's details" value={note} onChange={setNote} />
      <FormEnd
        problem={problem || error?.message || document.error?.message}
        close={close}
        disabled={isPending}
        action={state === "SUCCEEDED" ? "Mark as succeeded" : "Mark as skipped"}
      />
    </form>
  );
}

interface ChoiceProps {
  readonly value: "SUCCEEDED" | "SKIPPED";
  readonly state: "SUCCEEDED" | "SKIPPED";
  readonly choose: (value: "SUCCEEDED" | "SKIPPED") => void;
  readonly children: ReactNode;
}

function Choice({ value, state, choose, children }: ChoiceProps) {
  return (
    <label className={styles.choice}>
      <input type="radio" name="state" checked={state === value} onChange={() => choose(value)} />
      {children}
    </label>
  );
}

interface FieldProps {
  readonly label: string;
  readonly hint?: string;
  readonly value: string;
  readonly onChange: (text: string) => void;
}

function Field({ label, hint, value, onChange }: FieldProps) {
  return (
    <label className={styles.field}>
      <span className={styles.label}>{label}</span>
      <input value={value} placeholder={hint ?? ""} onChange={(event) => onChange(event.target.value)} />
    </label>
  );
}

interface FormEndProps {
  readonly problem: string | undefined;
  readonly close: () => void;
  readonly disabled: boolean;
  /** The label of the submit button. */
  readonly action: string;
}

function FormEnd({ problem, close, disabled, action }: FormEndProps) {
  return (
    <>
      {problem && (
        <p className={styles.problem} role="alert">
          {problem}
        </p>
      )}
      <div className={styles.buttons}>
        <Button type="submit" disabled={disabled}>
          {action}
        </Button>
        <Button variant="quiet" onClick={close}>
          Cancel
        </Button>
      </div>
    </>
  );
}
