import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EventParser, type StreamEvent } from "./event-parser";

const all = (pieces: readonly string[]): StreamEvent[] => {
  const parser = new EventParser();
  return pieces.flatMap((piece) => parser.feed(piece));
};

describe("the text of an event stream", () => {
  it("is events with their data and the last ID", () => {
    expect(all(["id: 4\nevent: log\ndata: {}\n\n: here\n\nevent:end\ndata:1\n\n"])).toEqual([
      { event: "log", data: "{}", id: "4" },
      { event: "end", data: "1", id: "4" },
    ]);
  });

  it("joins lines of data, and gives no event without data or before its empty line", () => {
    expect(all(["data: a\ndata\ndata: b\n\nevent: none\n\nretry: 1000\n\ndata: cut off"])).toEqual([
      { event: "message", data: "a\n\nb", id: "" },
    ]);
  });

  it("is the same in pieces of any size and with any line end", () => {
    const text = "id: 1\nevent: a\ndata: x y\n\n: c\n\ndata: gr\u00fc\u00dfe\ndata: 2\n\n";
    const whole = all([text]);
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1 }),
        fc.constantFrom("\n", "\r\n", "\r"),
        (sizes, end) => {
          const wanted = text.replaceAll("\n", end);
          const pieces: string[] = [];
          for (let at = 0, turn = 0; at < wanted.length; turn += 1) {
            const size = sizes[turn % sizes.length]!;
            pieces.push(wanted.slice(at, at + size));
            at += size;
          }
          // The end of the last line may be half of a line end, until more comes.
          expect(all([...pieces, ": more"])).toEqual(whole);
        },
      ),
    );
  });
});
