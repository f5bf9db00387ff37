import { useCallback, useEffect, useRef, useState } from "react";
import { ApiError } from "@/api/client";
import { type LogPiece, logStreamUrl, readLog } from "@/api/executions";
import { openStream, type StreamState } from "@/api/stream";
import type { LogChunk } from "@/api/types";
import { LogWindow, MOST_LINES, PIECE } from "./model";

export interface Log {
  readonly window: LogWindow;
  /** Changes with the window, which changes in place. */
  readonly version: number;
  readonly size: number;
  readonly stream: StreamState;
  readonly error: Error | null;
  readonly loading: boolean;
  /** Lines that went in front (or, negative, away from there) with the last change: what scrolling must make up for. */
  readonly shifted: number;
  readonly loadBefore: () => void;
  readonly loadAfter: () => void;
  /** Shows the log around a byte. */
  readonly jump: (byte: number) => Promise<void>;
}

interface Options {
  readonly executionId: string;
  readonly attempt: number;
  /** The attempt is still writing. */
  readonly live: boolean;
  /** Begin at the end of the log. */
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
    async (offset: number, limit: number, then: (piece: LogPiece) => number): Promise<void> => {
      if (busy.current) return;
      busy.current = true;
      try {
        const piece = await readLog(executionId, attempt, offset, limit);
        changed(piece.size, then(piece));
        setError(null);
      } catch (problem) {
        // An attempt that waits for its turn has no log yet; the stream is asked until there is one.
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
      load(offset, PIECE, (piece) => {
        window.current.show(piece.bytes, piece.end - piece.bytes.length, piece.size);
        return 0;
      }),
    [load],
  );
  const first = useRef(fromEnd);
  useEffect(() => void show(first.current ? -PIECE : 0), [show]);

  const { ready } = state;
  // Listens to the stream's own end: the run may be known to be over before the last lines have come.
  const [streaming] = useState(live);
  useEffect(() => {
    if (!streaming || !ready) return;
    return openStream(() => logStreamUrl(executionId, attempt, window.current.end), {
      on: {
        log: (data) => {
          const { offset, text } = data as LogChunk;
          const { current } = window;
          const attached = current.lines.length < MOST_LINES || follow.current;
          // While the reader looks at older lines of a full window, news only makes the log longer.
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
    const from = Math.max(0, start - PIECE);
    if (start === 0) return;
    void load(from, start - from, (piece) => {
      const added = window.current.prepend(piece.bytes, from);
      window.current.dropTail();
      return added;
    });
  }, [load]);
  const loadAfter = useCallback((): void => {
    void load(window.current.end, PIECE, (piece) => {
      window.current.addBytes(piece.bytes, piece.size);
      return -window.current.dropHead();
    });
  }, [load]);
  const jump = useCallback(
    async (byte: number): Promise<void> => {
      const { start, end } = window.current;
      if (byte >= start && byte < end) return;
      await show(Math.max(0, byte - PIECE / 2));
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
