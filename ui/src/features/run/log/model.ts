/**
 * The part of a log that is loaded: whole lines, each with the byte of the log at which it starts. More is
 * loaded at both ends. Functions here are pure; methods change only their own window.
 */

export interface LogLine {
  /** The byte of the log at which this line starts. */
  readonly start: number;
  readonly text: string;
  readonly spans: readonly AnsiSpan[] | null;
}

export interface AnsiSpan {
  readonly from: number;
  readonly to: number;
  /** CSS class names, separated by spaces: `red`, `bold`, … */
  readonly classes: string;
}

/** How many bytes one request loads. */
export const LOAD_BYTES = 512 * 1024;
/** The most lines that a window holds. When there are more, it drops lines at the other end. */
export const MAX_LINES = 60_000;
/** A longer line is split, so that a log of 200 MB in one line can be shown. In bytes. */
const MAX_LINE_BYTES = 16 * 1024;

export class LogWindow {
  lines: LogLine[] = [];
  private readonly maxLines: number;
  /** The lines cover the bytes of the log from `start` up to and without `end`. */
  start = 0;
  end = 0;
  /** Whether the last line has no line end yet. */
  open = false;

  constructor(maxLines = MAX_LINES) {
    this.maxLines = maxLines;
  }

  /** Replaces all lines by those of `bytes`, which start at byte `offset` of a log of `size` bytes. */
  show(bytes: Uint8Array, offset: number, size: number): void {
    const skip = offset === 0 ? 0 : lineStart(bytes);
    this.lines = [];
    this.start = offset + skip;
    this.end = this.start;
    this.open = false;
    this.addBytes(bytes.subarray(skip), size);
  }

  /** Adds the bytes after `end`. A line without a line end is added only at the end of the log. */
  addBytes(bytes: Uint8Array, size: number): void {
    const atEnd = this.end + bytes.length >= size;
    const whole = atEnd ? bytes.length : bytes.lastIndexOf(10) + 1 || bytes.length;
    const { lines, open } = splitBytes(bytes.subarray(0, whole), this.end);
    this.join(lines, open);
    this.end += whole;
  }

  /** Adds text from the event stream. `end` is the byte of the log after the text. */
  addText(text: string, end: number): void {
    const bytes = new TextEncoder().encode(text);
    const { lines, open } = splitBytes(bytes, this.end);
    this.join(lines, open);
    this.end = end;
  }

  /** Adds lines, the first one to an open last line. Without lines nothing changes. */
  private join(lines: LogLine[], open: boolean): void {
    if (lines.length === 0) return;
    const last = this.lines[this.lines.length - 1];
    const first = lines[0];
    if (this.open && last !== undefined && first !== undefined) {
      this.lines.pop();
      lines[0] = makeLine(last.start, rawText(last) + rawText(first));
    }
    for (const line of lines) this.lines.push(line);
    this.open = open;
  }

  /** Adds the bytes before `start`, which start at byte `offset` of the log. Returns how many lines it added. */
  prepend(bytes: Uint8Array, offset: number): number {
    const skip = offset === 0 ? 0 : lineStart(bytes);
    const { lines } = splitBytes(bytes.subarray(skip), offset + skip);
    this.lines = [...lines, ...this.lines];
    this.start = offset + skip;
    return lines.length;
  }

  /** Drops the first lines when there are more than `maxLines`. Returns how many it dropped. */
  dropHead(): number {
    const over = this.lines.length - this.maxLines;
    if (over <= 0) return 0;
    this.lines = this.lines.slice(over);
    this.start = this.lines[0]!.start;
    return over;
  }

  /** Drops the last lines when there are more than `maxLines`. */
  dropTail(): void {
    if (this.lines.length <= this.maxLines) return;
    this.end = this.lines[this.maxLines]!.start;
    this.lines = this.lines.slice(0, this.maxLines);
    this.open = false;
  }
}

/** Index of the first byte after the first line end; 0 without one. */
function lineStart(bytes: Uint8Array): number {
  return bytes.indexOf(10) + 1;
}

const decoder = new TextDecoder();

/** LogLine -> its text with escape sequences, which `join` needs when more of the line arrives. */
const raw = new WeakMap<LogLine, string>();

function rawText(line: LogLine): string {
  return raw.get(line) ?? line.text;
}

function splitBytes(bytes: Uint8Array, offset: number): { lines: LogLine[]; open: boolean } {
  const lines: LogLine[] = [];
  let from = 0;
  while (from < bytes.length) {
    const newline = bytes.indexOf(10, from);
    const stop = newline < 0 ? bytes.length : newline;
    for (let at = from; at < stop || at === from; at += MAX_LINE_BYTES) {
      const part = bytes.subarray(at, Math.min(stop, at + MAX_LINE_BYTES));
      lines.push(makeLine(offset + at, decoder.decode(part)));
    }
    if (newline < 0) return { lines, open: true };
    from = newline + 1;
  }
  return { lines, open: false };
}

function makeLine(start: number, source: string): LogLine {
  const { text, spans } = readAnsi(overwritten(source));
  const line = { start, text, spans };
  if (text !== source) raw.set(line, source);
  return line;
}

/** What a terminal shows of a line with carriage returns, as progress bars write them: the last part. */
function overwritten(text: string): string {
  const ended = text.endsWith("\r") ? text.slice(0, -1) : text;
  return ended.slice(ended.lastIndexOf("\r") + 1);
}

const COLOURS = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];
// biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one
const ESCAPE = /\x1b\[([0-9;]*)([A-Za-z])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)/g;

/** The text without ANSI escape sequences, and the styles that they set. */
export function readAnsi(source: string): { text: string; spans: readonly AnsiSpan[] | null } {
  if (!source.includes("\x1b")) return { text: source, spans: null };
  const spans: AnsiSpan[] = [];
  let text = "";
  let after = 0;
  let classes = new Set<string>();
  const add = (part: string): void => {
    if (part !== "" && classes.size > 0)
      spans.push({ from: text.length, to: text.length + part.length, classes: [...classes].join(" ") });
    text += part;
  };
  for (const match of source.matchAll(ESCAPE)) {
    add(source.slice(after, match.index));
    after = match.index + match[0].length;
    if (match[2] === "m") classes = applySgr(classes, match[1] ?? "");
  }
  add(source.slice(after));
  return { text, spans: spans.length > 0 ? spans : null };
}

function applySgr(before: ReadonlySet<string>, parameters: string): Set<string> {
  let classes = new Set(before);
  const codes = parameters.split(";").map(Number);
  for (let at = 0; at < codes.length; at += 1) {
    const code = codes[at]!;
    if (code === 0) classes = new Set();
    else if (code === 1) classes.add("bold");
    else if (code === 2) classes.add("faint");
    else if (code === 22) for (const word of ["bold", "faint"]) classes.delete(word);
    else if (code === 38 || code === 48) {
      // `38;5;n` or `38;2;r;g;b`: these colours are not shown. They still replace the one before.
      if (code === 38) for (const colour of COLOURS) classes.delete(colour);
      at += codes[at + 1] === 5 ? 2 : 4;
    } else if ((code >= 30 && code <= 39) || (code >= 90 && code <= 97)) {
      for (const colour of COLOURS) classes.delete(colour);
      if (code !== 39) classes.add(COLOURS[code % 10]!);
    }
  }
  return classes;
}

export interface LogRow {
  readonly line: number;
  /** Characters of the line this row shows. */
  readonly from: number;
  readonly to: number;
}

/** Rows for the screen: each line, split into rows of at most `columns` characters. */
export function rowsOf(lines: readonly LogLine[], columns: number): LogRow[] {
  const rows: LogRow[] = [];
  for (let line = 0; line < lines.length; line += 1) {
    const { length } = lines[line]!.text;
    if (length <= columns) rows.push({ line, from: 0, to: length });
    else breakLine(rows, line, lines[line]!.text, columns);
  }
  return rows;
}

/** Splits a line after a space in the last 40 % of the row, else at the column limit. */
function breakLine(rows: LogRow[], line: number, text: string, columns: number): void {
  let from = 0;
  while (text.length - from > columns) {
    const gap = text.lastIndexOf(" ", from + columns - 1) + 1;
    const to = gap > from + columns * 0.6 ? gap : from + columns;
    rows.push({ line, from, to });
    from = to;
  }
  rows.push({ line, from, to: text.length });
}

export interface StyledText {
  readonly text: string;
  readonly classes: string;
}

/** A row's text in parts of one style each. Matches of the search get the style `hit`. */
export function styledTexts(line: LogLine, row: LogRow, query: string): StyledText[] {
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
      .map((span) => span.classes);
    if (hits.some((at) => at <= from && from < at + query.length)) words.push("hit");
    return { text: line.text.slice(from, sorted[index + 1]), classes: words.join(" ") };
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

/** The last `count` lines that are not blank. */
export function lastLines(bytes: Uint8Array, count: number): string[] {
  const window = new LogWindow();
  window.show(bytes, 0, bytes.length);
  return window.lines
    .map((line) => line.text.trimEnd())
    .filter((text) => text !== "")
    .slice(-count);
}
