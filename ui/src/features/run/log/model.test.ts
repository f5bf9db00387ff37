import { describe, expect, it } from "vitest";
import { LogWindow, lastLines, MAX_LINES, readAnsi, rowsOf, styledTexts } from "./model";

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const texts = (window: LogWindow): string[] => window.lines.map((line) => line.text);

describe("a window on a log", () => {
  it("knows the byte at which each line starts", () => {
    const window = new LogWindow();
    const bytes = bytesOf("één\ntwo\n\nfour");
    window.show(bytes, 0, bytes.length);
    expect(window.lines.map(({ start, text }) => [start, text])).toEqual([
      [0, "één"],
      [6, "two"],
      [10, ""],
      [11, "four"],
    ]);
    expect(window.end).toBe(bytes.length);
  });

  it("joins streamed text to a line without a line end", () => {
    const window = new LogWindow();
    window.addText("begin", 5);
    window.addText("ning\nnext\n", 15);
    window.addText("last", 19);
    expect(texts(window)).toEqual(["beginning", "next", "last"]);
    expect(window.end).toBe(19);
  });

  it("starts at a whole line in the middle, and grows at both ends without a gap", () => {
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
      expect(new TextDecoder().decode(bytes.subarray(line.start, line.start + length))).toBe(line.text);
    }
  });

  it("drops lines above the limit", () => {
    const window = new LogWindow();
    const bytes = bytesOf("a\n".repeat(MAX_LINES + 500));
    window.show(bytes, 0, bytes.length);
    expect(window.dropHead()).toBe(500);
    expect(window.start).toBe(1000);
    expect(window.lines).toHaveLength(MAX_LINES);
  });

  it("splits a line without an end, and shows bytes that are not UTF-8 as replacement characters", () => {
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
  it("become styles", () => {
    expect(readAnsi("\x1b[1;31mred\x1b[0m plain")).toEqual({
      text: "red plain",
      spans: [{ from: 0, to: 3, classes: "bold red" }],
    });
  });

  it("that set no style are removed", () => {
    expect(readAnsi("\x1b[2K\x1b]8;;http://x\x07link\x1b[38;5;196m!").text).toBe("link!");
  });
});

describe("rows", () => {
  it("wrap at the column given", () => {
    const lines = [{ start: 0, text: "abcdefgh", spans: null }];
    expect(rowsOf(lines, 3).map((row) => [row.from, row.to])).toEqual([
      [0, 3],
      [3, 6],
      [6, 8],
    ]);
  });

  it("break between words", () => {
    const lines = [{ start: 0, text: "one two three", spans: null }];
    expect(rowsOf(lines, 9).map((row) => "one two three".slice(row.from, row.to))).toEqual([
      "one two ",
      "three",
    ]);
  });

  it("mark matches of the search in upper and lower case", () => {
    const line = { start: 0, text: "An Error here", spans: null };
    expect(styledTexts(line, { line: 0, from: 0, to: 13 }, "error")).toEqual([
      { text: "An ", classes: "" },
      { text: "Error", classes: "hit" },
      { text: " here", classes: "" },
    ]);
  });
});

it("gives the last lines that are not blank", () => {
  expect(lastLines(bytesOf("a\nb\n\nc\n\n"), 2)).toEqual(["b", "c"]);
});
