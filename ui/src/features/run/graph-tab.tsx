import { useEffect, useMemo, useRef, useState } from "react";
import { Button } from "@/components/button";
import { Icon } from "@/components/icon";
import { StateIcon } from "@/components/state-icon";
import {
  displayNodes,
  executionsOf,
  executionToOpen,
  iterationsOf,
  layoutItems,
  nodeOf,
} from "@/graph/model";
import { useLayout } from "@/graph/use-layout";
import { type GraphHandle, GraphView } from "@/graph/view";
import { styleOfState } from "@/lib/states";
import styles from "./graph-tab.module.css";
import { graphLabel, isTask, taskRows } from "./model";
import type { RunPageProps } from "./props";
import { readClosed, readLoops, writeClosed, writeLoops } from "./search";

/** Tasks listed for screen readers beside the canvas. The Tasks tab lists all of them. */
const MAX_LISTED = 200;

export function GraphTab({ view, plan, index, selection, search, change, now }: RunPageProps) {
  const handle = useRef<GraphHandle>(null);
  const [finding, setFinding] = useState(false);
  const choice = useMemo(() => readLoops(search.loops), [search.loops]);
  const closed = useMemo(() => readClosed(search.closed), [search.closed]);
  const items = useMemo(() => layoutItems(plan, closed), [plan, closed]);
  const layout = useLayout(items);
  const displays = useMemo(
    () => displayNodes(plan, index, choice, view.run, now),
    [plan, index, choice, view.run, now],
  );
  const rows = useMemo(() => taskRows(plan, index, view.run.state), [plan, index, view.run.state]);
  const unconditional = useMemo(
    () =>
      new Set([...plan.nodes.values()].filter((node) => node.plan.runs_after_failure).map((node) => node.id)),
    [plan],
  );
  const groups = useMemo(() => [...plan.nodes.values()].filter((node) => node.children.length > 0), [plan]);

  const selectNode = (id: string | null): void => {
    const node = id === null ? undefined : plan.nodes.get(id);
    if (node === undefined) change({ task: undefined, panel: undefined, attempt: undefined });
    else
      change({
        task: executionToOpen(executionsOf(node, index, choice))?.path ?? node.id,
        attempt: undefined,
      });
  };
  const fold = (id: string): void => {
    if ((plan.nodes.get(id)?.children.length ?? 0) === 0) return;
    const next = new Set(closed);
    if (!next.delete(id)) next.add(id);
    change({ closed: writeClosed(next) });
  };
  const chooseIteration = (loop: string, at: number): void => {
    const iteration = iterationsOf(plan.nodes.get(loop)!, index, choice)[at]?.iteration ?? at;
    const next = new Map(choice);
    if (next.get(loop) === iteration) next.delete(loop);
    else next.set(loop, iteration);
    change({ loops: writeLoops(next), ...sameTaskIn(loop, iteration) });
  };
  /** When the selected task is inside the loop, selects the same task of the chosen iteration. */
  const sameTaskIn = (loop: string, iteration: number): { task?: string } => {
    const execution = selection?.execution;
    if (!execution?.node.startsWith(`${loop}/`)) return {};
    const task = index.byNode
      .get(execution.node)
      ?.find((other) => other.path.includes(`[${iteration}]`) && nodeOf(other.path) === execution.node)?.path;
    return task === undefined ? {} : { task };
  };
  const goTo = (path: string): void => {
    const id = nodeOf(path);
    const next = new Set([...closed].filter((other) => !id.startsWith(`${other}/`)));
    change({ task: path, attempt: undefined, closed: writeClosed(next) });
    // Expanding a group needs a new layout. Look for the box when that is done.
    setTimeout(() => handle.current?.reveal(id), next.size === closed.size ? 0 : 120);
  };
  const failed = rows.filter(
    (row) => row.state === "FAILED" && row.execution !== null && isTask(row.execution),
  );
  const nextFailed = (): void => {
    const at = failed.findIndex((row) => row.path === search.task);
    const next = failed[(at + 1) % failed.length];
    if (next !== undefined) goTo(next.path);
  };

  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      const target = event.target as HTMLElement;
      if (target.closest("input, textarea, select") || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "/") setFinding(true);
      else if (event.key === "n") nextFailed();
      else if (event.key === "0") handle.current?.fit();
      else if (event.key === "Escape") selectNode(null);
      else return;
      event.preventDefault();
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  });

  return (
    <div className={styles.tab}>
      <GraphView
        layout={layout}
        displays={displays}
        collapsed={closed}
        unconditional={unconditional}
        selected={selection?.node.id ?? null}
        label={graphLabel(plan, rows)}
        onSelect={selectNode}
        onFold={fold}
        onIteration={chooseIteration}
        handle={handle}
      />
      <div className={styles.tools}>
        {finding ? (
          <Finder rows={rows} close={() => setFinding(false)} goTo={goTo} />
        ) : (
          <Button icon="search" onClick={() => setFinding(true)} title="Find a task (/)">
            Find
          </Button>
        )}
        {failed.length > 0 && (
          <Button variant="danger" onClick={nextFailed} title="Go to the next failed task (n)">
            Next failed
          </Button>
        )}
        {groups.length > 0 && !finding && (
          <Button
            variant="quiet"
            icon="collapse"
            onClick={() =>
              change({
                closed: closed.size > 0 ? undefined : writeClosed(new Set(groups.map((node) => node.id))),
              })
            }
          >
            {closed.size > 0 ? "Expand all groups" : "Collapse all groups"}
          </Button>
        )}
      </div>
      <ul className="unseen" aria-label="Tasks of this run">
        {rows.slice(0, MAX_LISTED).map((row) => (
          <li key={row.key}>
            <button type="button" tabIndex={-1} onClick={() => goTo(row.path)}>
              {row.label} {row.note}, {styleOfState(row.state).label}
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}

interface FinderProps {
  readonly rows: ReturnType<typeof taskRows>;
  readonly close: () => void;
  readonly goTo: (path: string) => void;
}

function Finder({ rows, close, goTo }: FinderProps) {
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const words = text.toLowerCase();
  const found = rows
    .filter((row) => `${row.path} ${row.label} ${row.note}`.toLowerCase().includes(words))
    .slice(0, 8);
  const go = (path: string | undefined): void => {
    if (path === undefined) return;
    close();
    goTo(path);
  };
  return (
    <search className={styles.finder}>
      <label className={styles.field}>
        <Icon name="search" size={14} />
        <span className="unseen">Find a task</span>
        <input
          // biome-ignore lint/a11y/noAutofocus: the user opened this field to type in it
          autoFocus
          value={text}
          placeholder="Find a task"
          onChange={(event) => {
            setText(event.target.value);
            setAt(0);
          }}
          onKeyDown={(event) => {
            if (event.key === "Escape") close();
            else if (event.key === "Enter") go(found[at]?.path);
            else if (event.key === "ArrowDown") setAt(Math.min(at + 1, found.length - 1));
            else if (event.key === "ArrowUp") setAt(Math.max(at - 1, 0));
            else return;
            event.preventDefault();
            event.stopPropagation();
          }}
        />
        <Button variant="quiet" icon="close" aria-label="Close" onClick={close} />
      </label>
      {text !== "" && (
        <ul className={styles.found}>
          {found.map((row, index) => (
            <li key={row.key}>
              <button type="button" data-current={index === at} onClick={() => go(row.path)}>
                <StateIcon {...styleOfState(row.state)} size={14} />
                {row.label}
                {row.note && <span className={styles.note}>{row.note}</span>}
                {row.path.includes("/") && <span className={styles.note}>{row.path}</span>}
              </button>
            </li>
          ))}
          {found.length === 0 && <li className={styles.none}>No matching task</li>}
        </ul>
      )}
    </search>
  );
}
