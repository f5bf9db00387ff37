import { readLog } from "@/api/executions";
import { LogWindow, matchesIn } from "./model";

const SEARCH_BYTES = 2 * 1024 * 1024;
export const MAX_MATCHES = 2000;

/** Reads the whole log in parts and reports the first byte of each line with a match, as they are found. */
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
    const piece = await readLog(executionId, attempt, offset, SEARCH_BYTES, signal);
    const window = new LogWindow();
    window.end = offset;
    window.addBytes(piece.bytes, piece.size);
    for (const line of window.lines) {
      if (lines.length < MAX_MATCHES && matchesIn(line.text, query).length > 0) lines.push(line.start);
    }
    offset = window.end;
    const done = piece.bytes.length === 0 || offset >= piece.size || lines.length >= MAX_MATCHES;
    found([...lines], done);
    if (done) return;
  }
}
