import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { type FormEvent, type ReactNode, useState } from "react";
import { documentQuery, useMark, useRerun } from "@/api/control";
import type { ExecutionView, RunView } from "@/api/types";
import { Button } from "@/components/button";
import type { PlanNode } from "@/graph/model";
import styles from "./control.module.css";
import { canMark, changedParameters, givenOutputs, outputsOf, parameterTexts } from "./control-model";

interface ControlProps {
  readonly execution: ExecutionView;
  readonly node: PlanNode;
  readonly view: RunView;
}

/** What can be done with a task: run the run again from it, or decide what it came to. */
export function Control(props: ControlProps) {
  const [open, setOpen] = useState<"rerun" | "mark" | null>(null);
  const close = (): void => setOpen(null);
  return (
    <div className={styles.control}>
      <div className={styles.choices}>
        <Button
          icon="retry"
          pressed={open === "rerun"}
          onClick={() => setOpen(open === "rerun" ? null : "rerun")}
        >
          Run again from here
        </Button>
        {canMark(props.execution, props.view) && (
          <Button
            icon="check"
            pressed={open === "mark"}
            onClick={() => setOpen(open === "mark" ? null : "mark")}
          >
            Decide its outcome
          </Button>
        )}
      </div>
      {open === "rerun" && <RerunForm {...props} close={close} />}
      {open === "mark" && <MarkForm {...props} close={close} />}
    </div>
  );
}

type FormProps = ControlProps & { readonly close: () => void };

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
        { onSuccess: (made) => void navigate({ to: "/runs/$runId", params: { runId: made.run_id } }) },
      );
    } catch (wrong) {
      setProblem((wrong as Error).message);
    }
  };
  return (
    <form className={styles.form} onSubmit={submit} aria-label="Run again from here">
      <p className={styles.note}>
        A new run, in which this and all that depends on it runs. What succeeded besides is taken over as it
        is.
      </p>
      {Object.keys(texts).map((name) => (
        <Field
          key={name}
          label={name}
          value={texts[name]!}
          onChange={(text) => setTexts({ ...texts, [name]: text })}
        />
      ))}
      <Ending problem={problem || error?.message} close={close} disabled={isPending} word="Run" />
    </form>
  );
}

function MarkForm({ execution, node, view, close }: FormProps) {
  const { mutate, isPending, error } = useMark(view.run.run_id, execution.execution_id);
  const document = useQuery(documentQuery(view.run.run_id));
  const outputs = document.data ? outputsOf(document.data, node.plan) : [];
  const [state, setState] = useState<"SUCCEEDED" | "SKIPPED">("SUCCEEDED");
  const [texts, setTexts] = useState<Record<string, string>>({});
  const [note, setNote] = useState("");
  const [problem, setProblem] = useState("");
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    try {
      const given = state === "SUCCEEDED" ? givenOutputs(outputs, texts) : {};
      setProblem("");
      mutate({ state, note, ...given }, { onSuccess: close });
    } catch (wrong) {
      setProblem((wrong as Error).message);
    }
  };
  return (
    <form className={styles.form} onSubmit={submit} aria-label="Decide its outcome">
      <fieldset className={styles.words}>
        <legend className="unseen">Outcome</legend>
        <Choice word="SUCCEEDED" state={state} choose={setState}>
          Succeeded, with these outputs
        </Choice>
        <Choice word="SKIPPED" state={state} choose={setState}>
          Skipped, with all that depends on it
        </Choice>
      </fieldset>
      {execution.state === "RUNNING" && (
        <p className={styles.note}>It is running, and will be stopped first.</p>
      )}
      {state === "SUCCEEDED" &&
        outputs.map(({ name, kind, type }) => (
          <Field
            key={name}
            label={name}
            hint={kind === "artifact" ? `id of an artifact (${type})` : type}
            value={texts[name] ?? ""}
            onChange={(text) => setTexts({ ...texts, [name]: text })}
          />
        ))}
      <Field label="Why" hint="kept with the task" value={note} onChange={setNote} />
      <Ending
        problem={problem || error?.message || document.error?.message}
        close={close}
        disabled={isPending}
        word="Decide"
      />
    </form>
  );
}

interface ChoiceProps {
  readonly word: "SUCCEEDED" | "SKIPPED";
  readonly state: "SUCCEEDED" | "SKIPPED";
  readonly choose: (word: "SUCCEEDED" | "SKIPPED") => void;
  readonly children: ReactNode;
}

function Choice({ word, state, choose, children }: ChoiceProps) {
  return (
    <label className={styles.choice}>
      <input type="radio" name="outcome" checked={state === word} onChange={() => choose(word)} />
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

interface EndingProps {
  readonly problem: string | undefined;
  readonly close: () => void;
  readonly disabled: boolean;
  readonly word: string;
}

function Ending({ problem, close, disabled, word }: EndingProps) {
  return (
    <>
      {problem && (
        <p className={styles.problem} role="alert">
          {problem}
        </p>
      )}
      <div className={styles.choices}>
        <Button type="submit" disabled={disabled}>
          {word}
        </Button>
        <Button look="quiet" onClick={close}>
          Cancel
        </Button>
      </div>
    </>
  );
}
