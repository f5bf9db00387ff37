/** The address of a run's page: it keeps every selection, and any address can be read. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PANELS, parseRunSearch, readClosed, readLoops, TABS, writeClosed, writeLoops } from "./search";

const path = fc.string({
  unit: fc.oneof(
    fc.constantFrom("/", ",", ":", "%", "[", "]", " "),
    fc.string({ unit: "grapheme", minLength: 1, maxLength: 1 }),
  ),
  minLength: 1,
  maxLength: 12,
});

describe("the address", () => {
  it("keeps the selected iterations of loops with any name", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(path, fc.nat())), (pairs) => {
        const loops = new Map(pairs);
        expect(readLoops(writeLoops(loops))).toEqual(loops);
      }),
    );
  });

  it("keeps collapsed groups with any name", () => {
    fc.assert(
      fc.property(fc.uniqueArray(path), (names) => {
        const closed = new Set(names);
        expect(readClosed(writeClosed(closed))).toEqual(closed);
      }),
    );
  });

  it("leaves names of ordinary paths readable", () => {
    expect(writeLoops(new Map([["train/for-loop-1", 3]]))).toBe("train/for-loop-1:3");
    expect(writeClosed(new Set())).toBeUndefined();
  });

  it("can be read whatever somebody typed into it", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom("%", "2", "F", "z", ",", ":", "a", "/", "1") }),
        (text) => {
          readLoops(text);
          readClosed(text);
        },
      ),
    );
    expect(readClosed("100%,a")).toEqual(new Set(["100%", "a"]));
  });

  it("holds every valid selection, and never a default or an invalid one", () => {
    const wild = fc.oneof(fc.constantFrom(...TABS, ...PANELS, "", "2", 0, -1, 2.5), fc.jsonValue());
    fc.assert(
      fc.property(fc.record({ tab: wild, panel: wild, attempt: wild, task: wild }), (raw) => {
        const search = parseRunSearch(raw);
        expect(parseRunSearch({ ...search })).toEqual(search);
        expect(search.tab).toBe(raw.tab === "graph" ? undefined : TABS.find((tab) => tab === raw.tab));
        expect(search.panel).toBe(
          raw.panel === "overview" ? undefined : PANELS.find((panel) => panel === raw.panel),
        );
        const attempt = typeof raw.attempt === "object" ? 0 : Number(raw.attempt);
        expect(search.attempt).toBe(Number.isInteger(attempt) && attempt >= 1 ? attempt : undefined);
      }),
    );
  });
});
