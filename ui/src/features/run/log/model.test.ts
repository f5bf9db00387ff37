import { describe, expect, it } from "vitest";
import { LogWindow, lastLines, MOST_LINES, partsOf, readAnsi, rowsOf } from "./model";

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const texts = (window: LogWindow): string[] => window.lines.map((line) => line.text);

describe("a window on a log", () => {
  it("knows the byte each line begins at", () => {
    const window = new LogWindow();
    const bytes = bytesOf("één\ntwo\n\nfour");
    window.show(bytes, 0, bytes.length);
    expect(window.lines.map(({ at, text }) => [at, text])).toEqual([
      [0, "één"],
      [6, "two"],
      [10, ""],
      [11, "four"],
    ]);
    expect(window.end).toBe(bytes.length);
  });

  it("joins streamed text to a line that was not ended", () => {
    const window = new LogWindow();
    window.addText("begin", 5);
    window.addText("ning\nnext\n", 15);
    window.addText("last", 19);
    expect(texts(window)).toEqual(["beginning", "next", "last"]);
    expect(window.end).toBe(19);
  });

  it("starts at a whole line in the middle, and grows to both sides without a seam", () => {
    const whole = Array.from({ length: 400 }, (_, at) => `line ${at} ${"x".repeat(at % 37)}`).join("\n");
    const bytes = bytesOf(whole);
    const window = new LogWindow();
    window.show(bytes.subarray(3000, 5000), 3000, bytes.length);
    while (window.start > 0) {
      const from = Math.max(0, window.start - 700);
      window.prepend(bytes.subarray(from, window.start), from);
    }
    while (window.end < bytes.length)
      window.addBytes(bytes.subarray(window.end, window.end + 700), bytes.length);
    expect(texts(window).join("\n")).toBe(whole);
    for (const line of window.lines) {
      const length = bytesOf(line.text).length;
      expect(new TextDecoder().decode(bytes.subarray(line.at, line.at + length))).toBe(line.text);
    }
  });

  it("keeps no more lines than it may", () => {
    const window = new LogWindow();
    const bytes = bytesOf("a\n".repeat(MOST_LINES + 500));
    window.show(bytes, 0, bytes.length);
    expect(window.dropHead()).toBe(500);
    expect(window.start).toBe(1000);
    expect(window.lines).toHaveLength(MOST_LINES);
  });

  it("breaks a line that never ends, and survives bytes that are no text", () => {
    const window = new LogWindow();
    const bytes = new Uint8Array(100_000).fill(120);
    bytes[5] = 0xff;
    window.show(bytes, 0, bytes.length);
    expect(window.lines.length).toBeGreaterThan(5);
    expect(window.lines[0]!.text.slice(0, 8)).toBe("xxxxx\ufffdxx");
  });

  it("shows a progress bar's last state", () => {
    const window = new LogWindow();
    window.addText("10%\r50%\r", 8);
    window.addText("100%\r\ndone\n", 19);
    expect(texts(window)).toEqual(["100%", "done"]);
  });
});

describe("escape sequences", () => {
  it("become looks", () => {
    expect(readAnsi("\x1b[1;31mred\x1b[0m plain")).toEqual({
      text: "red plain",
      spans: [{ from: 0, to: 3, looks: "bold red" }],
    });
  });

  it("of other kinds disappear", () => {
    expect(readAnsi("\x1b[2K\x1b]8;;http://x\x07link\x1b[38;5;196m!").text).toBe("link!");
  });
});

describe("rows", () => {
  it("wrap at the column given", () => {
    const lines = [{ at: 0, text: "abcdefgh", spans: null }];
    expect(rowsOf(lines, 3).map((row) => [row.from, row.to])).toEqual([
      [0, 3],
      [3, 6],
      [6, 8],
    ]);
  });

  it("break between words", () => {
    const lines = [{ at: 0, text: "one two three", spans: null }];
    expect(rowsOf(lines, 9).map((row) => "one two three".slice(row.from, row.to))).toEqual([
      "one two ",
      "three",
    ]);
  });

  it("mark what is searched for, whatever its case", () => {
    const line = { at: 0, text: "An Error here", spans: null };
    expect(partsOf(line, { line: 0, from: 0, to: 13 }, "error")).toEqual([
      { text: "An ", looks: "" },
      { text: "Error", looks: "hit" },
      { text: " here", looks: "" },
    ]);
  });
});

it("gives the last lines with words in them", () => {
  expect(lastLines(bytesOf("a\nb\n\nc\n\n"), 2)).toEqual(["b", "c"]);
});
