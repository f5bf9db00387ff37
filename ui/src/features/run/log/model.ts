/**
 * A window on a log of any size: whole lines with the byte each begins at, loaded in pieces at either end.
 * Everything here is pure, or changes only the window it is called on.
 */

export interface Line {
  /** Byte of the log this line begins at. */
  readonly at: number;
  readonly text: string;
  readonly spans: readonly AnsiSpan[] | null;
}

export interface AnsiSpan {
  readonly from: number;
  readonly to: number;
  /** Words for the style sheet: `red`, `bold`, … */
  readonly looks: string;
}

/** Bytes asked for at once. */
export const PIECE = 512 * 1024;
/** Lines kept; beyond it the far end is let go. */
export const MOST_LINES = 60_000;
/** A line longer than this is broken, so that one line of 200 MB is still many. */
const LONGEST_LINE = 16 * 1024;

export class LogWindow {
  lines: Line[] = [];
  /** Bytes of the log covered: from `start` up to `end`. */
  start = 0;
  end = 0;
  /** Whether the last line may go on. */
  open = false;

  /** Shows these bytes, which begin at `offset` of the log. */
  show(bytes: Uint8Array, offset: number, size: number): void {
    const skip = offset === 0 ? 0 : lineStart(bytes);
    this.lines = [];
    this.start = offset + skip;
    this.end = this.start;
    this.open = false;
    this.addBytes(bytes.subarray(skip), size);
  }

  /** Adds what follows; a line not ended yet is kept only at the end of the log. */
  addBytes(bytes: Uint8Array, size: number): void {
    const atEnd = this.end + bytes.length >= size;
    const whole = atEnd ? bytes.length : bytes.lastIndexOf(10) + 1 || bytes.length;
    const { lines, open } = splitBytes(bytes.subarray(0, whole), this.end);
    this.join(lines);
    this.open = open;
    this.end += whole;
  }

  /** Adds text from the event stream; `end` is the byte after it. */
  addText(text: string, end: number): void {
    const bytes = new TextEncoder().encode(text);
    const { lines, open } = splitBytes(bytes, this.end);
    this.join(lines);
    this.open = open;
    this.end = end;
  }

  private join(lines: Line[]): void {
    const last = this.lines[this.lines.length - 1];
    const first = lines[0];
    if (this.open && last !== undefined && first !== undefined) {
      this.lines.pop();
      lines[0] = lineOf(last.at, rawOf(last) + rawOf(first));
    }
    for (const line of lines) this.lines.push(line);
  }

  /** Puts what comes before in front; returns how many lines that were. */
  prepend(bytes: Uint8Array, offset: number): number {
    const skip = offset === 0 ? 0 : lineStart(bytes);
    const { lines } = splitBytes(bytes.subarray(skip), offset + skip);
    this.lines = [...lines, ...this.lines];
    this.start = offset + skip;
    return lines.length;
  }

  /** Lets go of the first lines beyond the limit; returns how many. */
  dropHead(): number {
    const over = this.lines.length - MOST_LINES;
    if (over <= 0) return 0;
    this.lines = this.lines.slice(over);
    this.start = this.lines[0]!.at;
    return over;
  }

  dropTail(): void {
    if (this.lines.length <= MOST_LINES) return;
    this.end = this.lines[MOST_LINES]!.at;
    this.lines = this.lines.slice(0, MOST_LINES);
    this.open = false;
  }
}

/** Index of the first whole line. */
function lineStart(bytes: Uint8Array): number {
  return bytes.indexOf(10) + 1;
}

const decoder = new TextDecoder();

/** Raw text by line, kept while a line may still grow. */
const raw = new WeakMap<Line, string>();

function rawOf(line: Line): string {
  return raw.get(line) ?? line.text;
}

function splitBytes(bytes: Uint8Array, offset: number): { lines: Line[]; open: boolean } {
  const lines: Line[] = [];
  let from = 0;
  while (from < bytes.length) {
    const newline = bytes.indexOf(10, from);
    const stop = newline < 0 ? bytes.length : newline;
    for (let at = from; at < stop || at === from; at += LONGEST_LINE) {
      const part = bytes.subarray(at, Math.min(stop, at + LONGEST_LINE));
      lines.push(lineOf(offset + at, decoder.decode(part)));
    }
    if (newline < 0) return { lines, open: true };
    from = newline + 1;
  }
  return { lines, open: false };
}

function lineOf(at: number, source: string): Line {
  const { text, spans } = readAnsi(overwritten(source));
  const line = { at, text, spans };
  if (text !== source) raw.set(line, source);
  return line;
}

/** What a terminal would show of a line that returns to its start, as progress bars do. */
function overwritten(text: string): string {
  const ended = text.endsWith("\r") ? text.slice(0, -1) : text;
  return ended.slice(ended.lastIndexOf("\r") + 1);
}

const COLOURS = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];
// biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one
const ESCAPE = /\x1b\[([0-9;]*)([A-Za-z])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)/g;

/** Text without escape sequences, and where which colours go. */
export function readAnsi(source: string): { text: string; spans: readonly AnsiSpan[] | null } {
  if (!source.includes("\x1b")) return { text: source, spans: null };
  const spans: AnsiSpan[] = [];
  let text = "";
  let after = 0;
  let looks = new Set<string>();
  const add = (part: string): void => {
    if (part !== "" && looks.size > 0)
      spans.push({ from: text.length, to: text.length + part.length, looks: [...looks].join(" ") });
    text += part;
  };
  for (const match of source.matchAll(ESCAPE)) {
    add(source.slice(after, match.index));
    after = match.index + match[0].length;
    if (match[2] === "m") looks = applySgr(looks, match[1] ?? "");
  }
  add(source.slice(after));
  return { text, spans: spans.length > 0 ? spans : null };
}

function applySgr(before: ReadonlySet<string>, parameters: string): Set<string> {
  let looks = new Set(before);
  const codes = parameters.split(";").map(Number);
  for (let at = 0; at < codes.length; at += 1) {
    const code = codes[at]!;
    if (code === 0) looks = new Set();
    else if (code === 1) looks.add("bold");
    else if (code === 2) looks.add("faint");
    else if (code === 22) for (const word of ["bold", "faint"]) looks.delete(word);
    else if (code === 38 || code === 48) at += codes[at + 1] === 5 ? 2 : 4;
    else if ((code >= 30 && code <= 39) || (code >= 90 && code <= 97)) {
      for (const colour of COLOURS) looks.delete(colour);
      if (code !== 39) looks.add(COLOURS[code % 10]!);
    }
  }
  return looks;
}

export interface Row {
  readonly line: number;
  /** Characters of the line this row shows. */
  readonly from: number;
  readonly to: number;
}

/** Rows of equal height: each line in parts of at most `columns` characters. */
export function rowsOf(lines: readonly Line[], columns: number): Row[] {
  const rows: Row[] = [];
  for (let line = 0; line < lines.length; line += 1) {
    const { length } = lines[line]!.text;
    if (length <= columns) rows.push({ line, from: 0, to: length });
    else breakLine(rows, line, lines[line]!.text, columns);
  }
  return rows;
}

/** Between words where there is a gap not too far back, else wherever the edge is. */
function breakLine(rows: Row[], line: number, text: string, columns: number): void {
  let from = 0;
  while (text.length - from > columns) {
    const gap = text.lastIndexOf(" ", from + columns - 1) + 1;
    const to = gap > from + columns * 0.6 ? gap : from + columns;
    rows.push({ line, from, to });
    from = to;
  }
  rows.push({ line, from, to: text.length });
}

export interface Part {
  readonly text: string;
  readonly looks: string;
}

/** A row's text in pieces of one look each; matches of the search are marked. */
export function partsOf(line: Line, row: Row, query: string): Part[] {
  const cuts = new Set([row.from, row.to]);
  const keep = (at: number): void => {
    if (at > row.from && at < row.to) cuts.add(at);
  };
  for (const span of line.spans ?? []) {
    keep(span.from);
    keep(span.to);
  }
  const hits = matchesIn(line.text, query);
  for (const at of hits) {
    keep(at);
    keep(at + query.length);
  }
  const sorted = [...cuts].sort((a, b) => a - b);
  return sorted.slice(0, -1).map((from, index) => {
    const words = (line.spans ?? [])
      .filter((span) => span.from <= from && from < span.to)
      .map((span) => span.looks);
    if (hits.some((at) => at <= from && from < at + query.length)) words.push("hit");
    return { text: line.text.slice(from, sorted[index + 1]), looks: words.join(" ") };
  });
}

export function matchesIn(text: string, query: string): number[] {
  if (query === "") return [];
  const found: number[] = [];
  const low = text.toLowerCase();
  const wanted = query.toLowerCase();
  for (let at = low.indexOf(wanted); at >= 0; at = low.indexOf(wanted, at + wanted.length)) found.push(at);
  return found;
}

/** The last lines with something in them. */
export function lastLines(bytes: Uint8Array, count: number): string[] {
  const window = new LogWindow();
  window.show(bytes, 0, bytes.length);
  return window.lines
    .map((line) => line.text.trimEnd())
    .filter((text) => text !== "")
    .slice(-count);
}
