import { useMutation } from "@tanstack/react-query";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { downloadLog } from "@/api/executions";
import type { ExecutionView } from "@/api/types";
import { Button } from "@/components/button";
import { Icon } from "@/components/icon";
import { formatBytes } from "@/lib/bytes";
import { isFinal, styleOfState } from "@/lib/states";
import { findInLog, MAX_MATCHES } from "./find";
import { rowsOf, styledTexts } from "./model";
import { useLog } from "./use-log";
import styles from "./view.module.css";

const ROW_HEIGHT = 18;
const UNWRAPPED = 4000;
const SETTLE_MS = 250;

interface LogViewProps {
  readonly execution: ExecutionView;
  readonly attempt: number;
  readonly onAttempt: (number: number) => void;
}

export function LogView({ execution, attempt, onAttempt }: LogViewProps) {
  const { execution_id: executionId, attempts } = execution;
  const state = attempts[attempt - 1]?.state ?? execution.state;
  const live = !isFinal(state);
  const [following, setFollowing] = useState(live);
  const [wrap, setWrap] = useState(true);
  const [query, setQuery] = useState("");
  const scroller = useRef<HTMLDivElement>(null);
  const ruler = useRef<HTMLSpanElement>(null);
  const [columns, setColumns] = useState(100);
  const log = useLog({ executionId, attempt, live, fromEnd: live || state === "FAILED", following });
  const find = useFind(executionId, attempt, query);
  const download = useMutation({
    mutationFn: () =>
      downloadLog(executionId, attempt, Math.max(log.size, 1), `${execution.task}-${attempt}.log`),
  });
  const { window: shown, version } = log;
  // biome-ignore lint/correctness/useExhaustiveDependencies: the window changes in place, and `version` changes with it
  const rows = useMemo(
    () => rowsOf(shown.lines, wrap ? columns : UNWRAPPED),
    [shown, version, wrap, columns],
  );
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: 20,
  });

  useEffect(() => {
    const measure = (): void => {
      const width = ruler.current!.getBoundingClientRect().width / 100;
      setColumns(Math.max(20, Math.floor((scroller.current!.clientWidth - 34) / width)));
    };
    const observer = new ResizeObserver(measure);
    observer.observe(scroller.current!);
    return () => observer.disconnect();
  }, []);

  /** The byte of the log to scroll to when it is loaded. */
  const target = useRef<number | null>(null);
  const [going, setGoing] = useState(0);
  const atEnd = useRef(live || state === "FAILED");
  // biome-ignore lint/correctness/useExhaustiveDependencies: runs after each change of the window
  useLayoutEffect(() => {
    const element = scroller.current!;
    const byte = target.current;
    if (byte !== null && byte >= shown.start && byte < shown.end) {
      const line = shown.lines.findLastIndex((each) => each.start <= byte);
      target.current = null;
      virtual.scrollToIndex(
        rows.findIndex((row) => row.line === line),
        { align: "center" },
      );
    } else if (following || atEnd.current) {
      element.scrollTop = element.scrollHeight;
      if (rows.length > 0 && !live) atEnd.current = false;
    } else if (log.shifted !== 0) {
      const at = Math.abs(log.shifted);
      const moved = log.shifted > 0 ? rows.findIndex((row) => row.line >= at) : -at;
      element.scrollTop += moved * ROW_HEIGHT;
    }
  }, [version, rows.length, following, going]);

  const onScroll = (): void => {
    const { scrollTop, scrollHeight, clientHeight } = scroller.current!;
    const left = scrollHeight - scrollTop - clientHeight;
    // Following keeps the view at the end, so a view far from the end means that the user scrolled.
    if (following && left > 200) setFollowing(false);
    if (scrollTop < 400 && shown.start > 0 && !following) log.loadBefore();
    if (left < 400 && shown.end < log.size && !(live && following)) log.loadAfter();
  };
  const goTo = async (byte: number): Promise<void> => {
    setFollowing(false);
    atEnd.current = false;
    target.current = byte;
    await log.jump(byte);
    setGoing((count) => count + 1);
  };
  const step = (by: number): void => {
    const next = find.step(by);
    if (next !== undefined) void goTo(next);
  };
  const follow = (): void => {
    setFollowing(!following);
    if (!following) void log.jump(Math.max(0, log.size - 1));
  };

  return (
    <div className={styles.log}>
      <div className={styles.tools}>
        {attempts.length > 1 && (
          <select
            aria-label="Attempt"
            value={attempt}
            onChange={(event) => onAttempt(Number(event.target.value))}
          >
            {attempts.map((each) => (
              <option key={each.number} value={each.number}>
                Attempt {each.number}, {styleOfState(each.state).label.toLowerCase()}
              </option>
            ))}
          </select>
        )}
        <label className={styles.find}>
          <Icon name="search" size={13} />
          <span className="unseen">Search this log</span>
          <input
            type="search"
            placeholder="Search this log"
            value={query}
            onChange={(event) => setQuery(event.target.value)}
            onKeyDown={(event) => {
              if (event.key === "Enter") step(event.shiftKey ? -1 : 1);
            }}
          />
          <span className={styles.count} aria-live="polite">
            {find.words}
          </span>
        </label>
        {query !== "" && (
          <>
            <Button variant="quiet" icon="up" aria-label="Previous match" onClick={() => step(-1)} />
            <Button variant="quiet" icon="down" aria-label="Next match" onClick={() => step(1)} />
          </>
        )}
        <span className={styles.space} />
        {live && (
          <Button
            variant="quiet"
            icon="tail"
            pressed={following}
            onClick={follow}
            title="Scroll to new lines as they arrive"
          >
            Follow
          </Button>
        )}
        <Button
          variant="quiet"
          icon="wrap"
          pressed={wrap}
          aria-label="Wrap long lines"
          title="Wrap long lines"
          onClick={() => setWrap(!wrap)}
        />
        <Button
          variant="quiet"
          icon="download"
          aria-label="Download the whole log"
          title="Download the whole log"
          disabled={download.isPending}
          onClick={() => download.mutate()}
        />
        {download.error && <span role="alert">{download.error.message}</span>}
      </div>
      <section
        ref={scroller}
        className={styles.scroller}
        data-wrap={wrap}
        role="log"
        aria-live="off"
        aria-label="Log"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: the keyboard must be able to scroll it
        tabIndex={0}
        onScroll={onScroll}
        onWheel={(event) => {
          if (event.deltaY < 0) setFollowing(false);
        }}
      >
        <div className={styles.canvas} style={{ height: virtual.getTotalSize() }}>
          {virtual.getVirtualItems().map((item) => {
            const row = rows[item.index]!;
            const line = shown.lines[row.line]!;
            return (
              <div
                key={item.index}
                className={styles.row}
                data-first={row.from === 0}
                data-current={line.start === find.current}
                style={{ transform: `translateY(${item.start}px)` }}
              >
                {styledTexts(line, row, query).map((part, at) =>
                  part.classes === "" ? (
                    part.text
                  ) : (
                    <span
                      key={at}
                      className={part.classes
                        .split(" ")
                        .map((word) => styles[word])
                        .join(" ")}
                    >
                      {part.text}
                    </span>
                  ),
                )}
              </div>
            );
          })}
        </div>
        <span ref={ruler} className={styles.ruler} aria-hidden="true">
          {"0".repeat(100)}
        </span>
        {log.error && (
          <p className={styles.note} role="alert">
            {log.error.message}
          </p>
        )}
        {!log.error && rows.length === 0 && (
          <p className={styles.note}>
            {log.loading ? "Loading…" : live ? "No output yet." : "The log is empty."}
          </p>
        )}
      </section>
      <footer className={styles.foot}>
        <span>
          {shown.start > 0 || shown.end < log.size
            ? `${formatBytes(shown.start)} to ${formatBytes(shown.end)} of ${formatBytes(log.size)}`
            : formatBytes(log.size)}
        </span>
        {shown.start > 0 && (
          <button type="button" onClick={() => void goTo(0)}>
            Go to start
          </button>
        )}
        {shown.end < log.size && (
          <button type="button" onClick={() => void goTo(log.size - 1)}>
            Go to end
          </button>
        )}
        <span className={styles.space} />
        {live && <span>{log.stream === "live" ? "Live" : log.stream === "lost" ? "Reconnecting…" : ""}</span>}
      </footer>
    </div>
  );
}

/** Searches the whole log and steps through the matches. */
function useFind(executionId: string, attempt: number, query: string) {
  const [lines, setLines] = useState<readonly number[]>([]);
  const [done, setDone] = useState(true);
  const [at, setAt] = useState(-1);
  useEffect(() => {
    setLines([]);
    setAt(-1);
    setDone(query === "");
    if (query === "") return;
    const control = new AbortController();
    const timer = setTimeout(() => {
      findInLog(executionId, attempt, query, control.signal, (found, finished) => {
        setLines(found);
        setDone(finished);
      }).catch((problem: unknown) => {
        if (!control.signal.aborted) console.warn("search in the log ended early", problem);
      });
    }, SETTLE_MS);
    return () => {
      clearTimeout(timer);
      control.abort();
    };
  }, [executionId, attempt, query]);
  const count = lines.length >= MAX_MATCHES ? `${MAX_MATCHES}+` : String(lines.length);
  return {
    current: lines[at],
    words: query === "" ? "" : `${at >= 0 ? `${at + 1} of ` : ""}${count}${done ? "" : "…"}`,
    step: (by: number): number | undefined => {
      if (lines.length === 0) return undefined;
      const next = at < 0 ? (by > 0 ? 0 : lines.length - 1) : (at + by + lines.length) % lines.length;
      setAt(next);
      return lines[next];
    },
  };
}
