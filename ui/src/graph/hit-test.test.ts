/** Pointer and arrow keys on random graphs. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { stripCells } from "./draw";
import { type Direction, hitAt, nextBox } from "./hit-test";
import { type Box, type LayoutItem, layout } from "./layout";
import type { NodeDisplay } from "./model";

/** Siblings `p/0`, `p/1`, …, each after some of those before it, some of them groups. */
function items(prefix: string, depth: number): fc.Arbitrary<LayoutItem[]> {
  const shape = fc.record({
    after: fc.array(fc.nat({ max: 20 }), { maxLength: 2 }),
    children: depth === 0 ? fc.constant(null) : fc.option(fc.constant(true), { freq: 3 }),
  });
  return fc.array(shape, { minLength: 1, maxLength: 5 }).chain((shapes) =>
    fc.tuple(
      ...shapes.map(({ after, children }, at) => {
        const id = `${prefix}${at}`;
        const before = at === 0 ? [] : [...new Set(after.map((number) => `${prefix}${number % at}`))];
        const base = { id, after: before, width: 216, height: 56, header: 64 };
        return children === null
          ? fc.constant({ ...base, children: [] as LayoutItem[] })
          : items(`${id}/`, depth - 1).map((inner) => ({ ...base, width: 264, children: inner }));
      }),
    ),
  );
}
const graph = items("", 2).map((list) => layout(list));

function displaysOf(boxes: readonly Box[], strip: readonly NodeDisplay["strip"][number][] = []) {
  return new Map(boxes.map((box) => [box.id, { id: box.id, strip } as unknown as NodeDisplay]));
}

const middle = (box: Box) => ({ x: box.x + box.width / 2, y: box.y + box.height / 2 });

describe("the pointer", () => {
  it("hits the task under it, the name and the fold button of a group, and nothing outside", () => {
    fc.assert(
      fc.property(graph, (drawn) => {
        const displays = displaysOf(drawn.boxes);
        const none = new Set<string>();
        for (const box of drawn.boxes) {
          const name = { x: box.x + 5, y: box.y + 5 };
          const fold = { x: box.x + box.width - 10, y: box.y + 10 };
          expect(hitAt(drawn, displays, none, box.group ? name : middle(box))).toEqual({
            kind: "node",
            id: box.id,
          });
          expect(hitAt(drawn, displays, none, fold)).toEqual({
            kind: box.group ? "fold" : "node",
            id: box.id,
          });
          if (!box.group) {
            const collapsed = new Set([box.id]);
            expect(hitAt(drawn, displays, collapsed, fold)).toEqual({ kind: "fold", id: box.id });
            expect(hitAt(drawn, displays, collapsed, middle(box))).toEqual({ kind: "node", id: box.id });
          }
        }
        expect(hitAt(drawn, displays, none, { x: -1, y: 5 })).toBeNull();
        expect(hitAt(drawn, displays, none, { x: 5, y: drawn.height + 1 })).toBeNull();
      }),
    );
  });

  it("hits each iteration of a loop's strip", () => {
    fc.assert(
      fc.property(graph, fc.integer({ min: 1, max: 8 }), (drawn, count) => {
        const strip = Array.from({ length: count }, () => "SUCCEEDED" as const);
        const displays = displaysOf(drawn.boxes, strip);
        for (const box of drawn.boxes.filter((each) => each.group)) {
          stripCells(box, displays.get(box.id)!)?.forEach((cell, at) => {
            const hit = hitAt(drawn, displays, new Set(), { x: cell.x + 5, y: cell.y + 5 });
            expect(hit).toEqual({ kind: "iteration", id: box.id, at });
          });
        }
      }),
    );
  });
});

const OPPOSITE: Readonly<Record<Direction, Direction>> = {
  up: "down",
  down: "up",
  left: "right",
  right: "left",
};

describe("the arrow keys", () => {
  /** Where a box is for the keyboard: the middle of a task, the header of a group. */
  const anchor = (box: Box) => ({ x: box.x + box.width / 2, y: box.y + Math.min(box.height / 2, 28) });

  it("go to a box in their direction, and back to a box no farther away", () => {
    fc.assert(
      fc.property(graph, fc.constantFrom<Direction>("up", "down", "left", "right"), (drawn, direction) => {
        const boxes = new Map(drawn.boxes.map((box) => [box.id, box]));
        for (const box of drawn.boxes) {
          const found = nextBox(drawn, box.id, direction);
          if (found === null) continue;
          const from = anchor(box);
          const to = anchor(boxes.get(found)!);
          if (direction === "down") expect(to.y).toBeGreaterThan(from.y);
          else if (direction === "up") expect(to.y).toBeLessThan(from.y);
          else {
            expect(direction === "right" ? to.x > from.x : to.x < from.x).toBe(true);
            expect(Math.abs(to.y - from.y), "beside it").toBeLessThanOrEqual(40);
          }
          expect(nextBox(drawn, found, OPPOSITE[direction])).not.toBeNull();
        }
      }),
    );
  });

  it("begin at the first box when the selected one is gone", () => {
    const drawn = layout([{ id: "a", after: [], width: 1, height: 1, header: 0, children: [] }]);
    expect(nextBox(drawn, "gone", "down")).toBe("a");
    expect(nextBox(layout([]), "gone", "down")).toBeNull();
  });
});
