/** The log's model on random logs: what it shows is always exactly the bytes that it says it shows. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LogWindow, lastLines, matchesIn, readAnsi, rowsOf, styledTexts } from "./model";

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

/** A log of lines without carriage returns and escape sequences, and with characters of several bytes. */
const line = fc.string({ unit: fc.constantFrom("a", "b", " ", "é", "漢"), maxLength: 12 });
const log = fc
  .tuple(fc.array(line, { minLength: 1, maxLength: 60, size: "max" }), fc.boolean())
  .map(([lines, ended]) => bytesOf(lines.join("\n") + (ended ? "\n" : "")));

/** Fails unless the window's lines are the log's lines from byte `start` up to byte `end`. */
function expectExact(window: LogWindow, bytes: Uint8Array): void {
  const { start, end, lines, open } = window;
  if (start > 0) expect(bytes[start - 1], "starts at a whole line").toBe(10);
  const shown = textOf(bytes.subarray(start, end));
  const expected = shown.endsWith("\n")
    ? shown.slice(0, -1).split("\n")
    : shown === ""
      ? []
      : shown.split("\n");
  expect(lines.map((each) => each.text)).toEqual(expected);
  let at = start;
  for (const each of lines) {
    expect(each.start).toBe(at);
    at += bytesOf(each.text).length + 1;
  }
  if (lines.length > 0) expect(open).toBe(!shown.endsWith("\n"));
}

type Step = {
  readonly kind: "show" | "before" | "after" | "dropHead" | "dropTail";
  readonly size: number;
  readonly at: number;
};
const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom("show", "before", "after", "dropHead", "dropTail"),
  size: fc.nat({ max: 150 }),
  at: fc.nat({ max: 10_000 }),
});

describe("a window on a random log", () => {
  it("shows exactly the bytes from start to end after any loads and drops", () => {
    fc.assert(
      fc.property(
        log,
        fc.integer({ min: 1, max: 30 }),
        fc.array(step, { maxLength: 20, size: "max" }),
        (bytes, maxLines, steps) => {
          const window = new LogWindow(maxLines);
          window.show(bytes.subarray(0, 100), 0, bytes.length);
          expectExact(window, bytes);
          for (const { kind, size, at } of steps) {
            if (kind === "show") {
              // A part that is longer than any line, so that it has a line end.
              const offset = at % Math.max(1, bytes.length - 60);
              window.show(bytes.subarray(offset, offset + 80), offset, bytes.length);
            } else if (kind === "before") {
              const from = Math.max(0, window.start - Math.max(size, 60));
              const before = window.lines.length;
              const added = window.prepend(bytes.subarray(from, window.start), from);
              expect(window.lines.length - before).toBe(added);
            } else if (kind === "after") {
              window.addBytes(bytes.subarray(window.end, window.end + Math.max(size, 60)), bytes.length);
            } else if (kind === "dropHead") {
              const before = window.lines.length;
              const dropped = window.dropHead();
              expect(before - window.lines.length).toBe(dropped);
              expect(window.lines.length).toBeLessThanOrEqual(maxLines);
            } else {
              window.dropTail();
              expect(window.lines.length).toBeLessThanOrEqual(maxLines);
            }
            expectExact(window, bytes);
          }
        },
      ),
    );
  });

  it("shows a streamed log as if it had come at once, wherever the stream is cut", () => {
    const streamed = fc.string({
      unit: fc.constantFrom("a", "é", "\n", "\r", "\x1b[31m", "\x1b[0m"),
      maxLength: 80,
    });
    fc.assert(
      fc.property(streamed, fc.array(fc.nat({ max: 80 })), (text, cuts) => {
        // The server never cuts a character; an escape sequence may be cut anywhere.
        const units = [...text];
        const points = [...new Set([0, ...cuts.filter((cut) => cut < units.length), units.length])].sort(
          (a, b) => a - b,
        );
        const whole = new LogWindow();
        whole.addText(text, bytesOf(text).length);
        const window = new LogWindow();
        for (let at = 1; at < points.length; at += 1) {
          const part = units.slice(points[at - 1], points[at]).join("");
          window.addText(part, window.end + bytesOf(part).length);
        }
        expect(window.lines).toEqual(whole.lines);
        expect([window.end, window.open]).toEqual([whole.end, whole.open]);
      }),
    );
  });

  it("gives the last lines that are not blank", () => {
    fc.assert(
      fc.property(log, fc.integer({ min: 1, max: 5 }), (bytes, count) => {
        const expected = textOf(bytes)
          .split("\n")
          .map((text) => text.trimEnd())
          .filter((text) => text !== "");
        expect(lastLines(bytes, count)).toEqual(expected.slice(-count));
      }),
    );
  });
});

const COLOURS = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];

/** One setting of a style: its codes, and what it does to the classes of the text after it. */
interface Setting {
  readonly codes: readonly number[];
  readonly apply: (classes: ReadonlySet<string>) => Set<string>;
}

const withoutColour = (classes: ReadonlySet<string>): Set<string> =>
  new Set([...classes].filter((each) => !COLOURS.includes(each)));
const byte = fc.nat({ max: 255 });
const setting: fc.Arbitrary<Setting> = fc.oneof(
  fc.constant<Setting>({ codes: [0], apply: () => new Set() }),
  fc.constant<Setting>({ codes: [1], apply: (classes) => new Set([...classes, "bold"]) }),
  fc.constant<Setting>({ codes: [2], apply: (classes) => new Set([...classes, "faint"]) }),
  fc.constant<Setting>({
    codes: [22],
    apply: (classes) => new Set([...classes].filter((each) => each !== "bold" && each !== "faint")),
  }),
  fc.constant<Setting>({ codes: [39], apply: withoutColour }),
  fc.tuple(fc.constantFrom(30, 90), fc.nat({ max: 7 })).map(
    ([base, colour]): Setting => ({
      codes: [base + colour],
      apply: (classes) => withoutColour(classes).add(COLOURS[colour]!),
    }),
  ),
  // Backgrounds are not shown.
  fc
    .integer({ min: 40, max: 47 })
    .map((code): Setting => ({ codes: [code], apply: (classes) => new Set(classes) })),
  // 256 colours and RGB colours are not shown either, and their numbers are no settings of their own.
  fc.tuple(fc.constantFrom(38, 48), byte).map(
    ([code, colour]): Setting => ({
      codes: [code, 5, colour],
      apply: (classes) => (code === 38 ? withoutColour(classes) : new Set(classes)),
    }),
  ),
  fc.tuple(fc.constantFrom(38, 48), byte, byte, byte).map(
    ([code, red, green, blue]): Setting => ({
      codes: [code, 2, red, green, blue],
      apply: (classes) => (code === 38 ? withoutColour(classes) : new Set(classes)),
    }),
  ),
);
const segment = fc.record({
  settings: fc.array(setting, { minLength: 1, maxLength: 4 }),
  text: fc.string({ unit: fc.constantFrom("x", "é", " ", "1", "m", "["), maxLength: 6 }),
});

describe("random escape sequences", () => {
  it("give each character the classes that the settings before it say", () => {
    fc.assert(
      fc.property(fc.array(segment, { maxLength: 6 }), (segments) => {
        let source = "";
        let classes = new Set<string>();
        const expected: [character: string, classes: string[]][] = [];
        for (const { settings, text } of segments) {
          source += `\x1b[${settings.flatMap((each) => each.codes).join(";")}m${text}`;
          for (const each of settings) classes = each.apply(classes);
          for (const character of text) expected.push([character, [...classes].sort()]);
        }
        const { text, spans } = readAnsi(source);
        expect(
          [...text].map((character, at) => {
            const span = spans?.find(({ from, to }) => from <= at && at < to);
            return [character, span ? span.classes.split(" ").sort() : []];
          }),
        ).toEqual(expected);
      }),
      { numRuns: 300 },
    );
  });
});

describe("rows of random lines", () => {
  const row = fc.string({ unit: fc.constantFrom("a", "B", " ", "b"), maxLength: 60 });
  it("hold the whole text in order, none wider than the columns", () => {
    fc.assert(
      fc.property(fc.array(row, { maxLength: 5 }), fc.integer({ min: 2, max: 30 }), (texts, columns) => {
        const lines = texts.map((text, start) => ({ start, text, spans: null }));
        const rows = rowsOf(lines, columns);
        for (const [at, text] of texts.entries()) {
          const own = rows.filter((each) => each.line === at);
          expect(own.map(({ from, to }) => text.slice(from, to)).join("")).toBe(text);
          expect(own.every(({ from, to }) => to - from <= columns)).toBe(true);
        }
        expect(rows.map((each) => each.line)).toEqual(
          [...rows.map((each) => each.line)].sort((a, b) => a - b),
        );
      }),
    );
  });

  it("are styled without a change of their text, and every match is marked", () => {
    fc.assert(
      fc.property(
        row,
        fc.constantFrom("", "a", "b", "ab", "b "),
        fc.array(segment, { maxLength: 4 }),
        (text, query, segments) => {
          const source =
            segments.map((each) => `\x1b[${each.settings[0]!.codes.join(";")}m${each.text}`).join("") + text;
          const { text: plain, spans } = readAnsi(source);
          const whole = { line: 0, from: 0, to: plain.length };
          const parts = styledTexts({ start: 0, text: plain, spans }, whole, query);
          expect(parts.map((part) => part.text).join("")).toBe(plain);
          const hits = parts
            .filter((part) => part.classes.split(" ").includes("hit"))
            .map((part) => part.text);
          const matches = matchesIn(plain, query).map((at) => plain.slice(at, at + query.length));
          expect(hits.join("").toLowerCase()).toBe(matches.join("").toLowerCase());
        },
      ),
    );
  });
});
