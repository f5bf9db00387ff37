import { useCallback, useEffect, useRef, useState } from "react";
import { ApiError } from "@/api/client";
import { type LogRange, logStreamUrl, readLog } from "@/api/executions";
import { openStream, type StreamState } from "@/api/stream";
import type { LogChunk } from "@/api/types";
import { LOAD_BYTES, LogWindow, MAX_LINES } from "./model";

export interface Log {
  readonly window: LogWindow;
  /** A number that changes whenever the window changes. The window itself changes in place. */
  readonly version: number;
  readonly size: number;
  readonly stream: StreamState;
  readonly error: Error | null;
  readonly loading: boolean;
  /** How many lines the last change added at the front (negative: removed there). The view scrolls by as much. */
  readonly shifted: number;
  readonly loadBefore: () => void;
  readonly loadAfter: () => void;
  /** Loads the part of the log around this byte. */
  readonly jump: (byte: number) => Promise<void>;
}

interface Options {
  readonly executionId: string;
  readonly attempt: number;
  /** Whether the attempt is still running. */
  readonly live: boolean;
  /** Whether to load the end of the log first. */
  readonly fromEnd: boolean;
  readonly following: boolean;
}

export function useLog({ executionId, attempt, live, fromEnd, following }: Options): Log {
  const window = useRef(new LogWindow());
  const busy = useRef(false);
  const follow = useRef(following);
  follow.current = following;
  const [state, setState] = useState({ version: 0, size: 0, shifted: 0, ready: false });
  const [error, setError] = useState<Error | null>(null);
  const [stream, setStream] = useState<StreamState>(live ? "connecting" : "ended");

  const changed = useCallback((size: number, shifted = 0): void => {
    setState((old) => ({ version: old.version + 1, size: Math.max(size, old.size), shifted, ready: true }));
  }, []);
  const load = useCallback(
    async (offset: number, limit: number, then: (piece: LogRange) => number): Promise<void> => {
      if (busy.current) return;
      busy.current = true;
      try {
        const piece = await readLog(executionId, attempt, offset, limit);
        changed(piece.size, then(piece));
        setError(null);
      } catch (problem) {
        // An attempt that has not started has no log yet. The stream waits for it.
        if (problem instanceof ApiError && problem.status === 404 && follow.current) changed(0);
        else setError(problem as Error);
      } finally {
        busy.current = false;
      }
    },
    [attempt, changed, executionId],
  );

  const show = useCallback(
    (offset: number) =>
      load(offset, LOAD_BYTES, (piece) => {
        window.current.show(piece.bytes, piece.end - piece.bytes.length, piece.size);
        return 0;
      }),
    [load],
  );
  const first = useRef(fromEnd);
  useEffect(() => void show(first.current ? -LOAD_BYTES : 0), [show]);

  const { ready } = state;
  // Uses the stream until the stream itself ends: the run's state may arrive before the last lines do.
  const [streaming] = useState(live);
  useEffect(() => {
    if (!streaming || !ready) return;
    return openStream(() => logStreamUrl(executionId, attempt, window.current.end), {
      on: {
        log: (data) => {
          const { offset, text } = data as LogChunk;
          const { current } = window;
          const attached = current.lines.length < MAX_LINES || follow.current;
          // While the user reads older lines of a full window, new lines only change the size.
          if (!attached || offset <= current.end) return changed(offset);
          current.addText(text, offset);
          changed(offset, -current.dropHead());
        },
      },
      onState: setStream,
    });
  }, [attempt, changed, executionId, ready, streaming]);

  const loadBefore = useCallback((): void => {
    const { start } = window.current;
    const from = Math.max(0, start - LOAD_BYTES);
    if (start === 0) return;
    void load(from, start - from, (piece) => {
      const added = window.current.prepend(piece.bytes, from);
      window.current.dropTail();
      return added;
    });
  }, [load]);
  const loadAfter = useCallback((): void => {
    void load(window.current.end, LOAD_BYTES, (piece) => {
      window.current.addBytes(piece.bytes, piece.size);
      return -window.current.dropHead();
    });
  }, [load]);
  const jump = useCallback(
    async (byte: number): Promise<void> => {
      const { start, end } = window.current;
      if (byte >= start && byte < end) return;
      await show(Math.max(0, byte - LOAD_BYTES / 2));
    },
    [show],
  );
  return {
    window: window.current,
    version: state.version,
    size: state.size,
    shifted: state.shifted,
    loading: !ready && error === null,
    stream,
    error,
    loadBefore,
    loadAfter,
    jump,
  };
}
