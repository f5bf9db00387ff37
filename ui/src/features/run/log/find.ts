import { readLog } from "@/api/executions";
import { LogWindow, matchesIn } from "./model";

const SEARCH_PIECE = 2 * 1024 * 1024;
export const MOST_MATCHES = 2000;

/** Reads the whole log piece by piece and tells the byte of each line with a match, as they are found. */
export async function findInLog(
  executionId: string,
  attempt: number,
  query: string,
  signal: AbortSignal,
  found: (lines: readonly number[], done: boolean) => void,
): Promise<void> {
  const lines: number[] = [];
  let offset = 0;
  for (;;) {
    const piece = await readLog(executionId, attempt, offset, SEARCH_PIECE, signal);
    const window = new LogWindow();
    window.end = offset;
    window.addBytes(piece.bytes, piece.size);
    for (const line of window.lines) {
      if (lines.length < MOST_MATCHES && matchesIn(line.text, query).length > 0) lines.push(line.at);
    }
    offset = window.end;
    const done = piece.bytes.length === 0 || offset >= piece.size || lines.length >= MOST_MATCHES;
    found([...lines], done);
    if (done) return;
  }
}
