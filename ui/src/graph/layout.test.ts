import { describe, expect, it } from "vitest";
import { type Layout, type LayoutItem, layout } from "./layout";

function leaf(id: string, ...after: string[]): LayoutItem {
  return { id, after, width: 200, height: 50, header: 0, children: [] };
}

function group(id: string, children: LayoutItem[], ...after: string[]): LayoutItem {
  return { id, after, width: 220, height: 50, header: 40, children };
}

/** A repeatable source of random integers below `limit`. */
function dice(seed: number): (limit: number) => number {
  let state = seed * 2654435761 + 1;
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

function randomItems(count: number, seed: number, prefix = ""): LayoutItem[] {
  const roll = dice(seed);
  return Array.from({ length: count }, (_, index) => {
    const after = new Set<string>();
    for (let tries = roll(4); tries > 0 && index > 0; tries -= 1) {
      after.add(`${prefix}n${Math.max(0, index - 1 - roll(40))}`);
    }
    const id = `${prefix}n${index}`;
    if (count < 60 && roll(6) === 0)
      return group(id, randomItems(1 + roll(5), seed + index + 1, `${id}/`), ...after);
    return leaf(id, ...after);
  });
}

/** Processor time that this process has used, in milliseconds. */
function processorMs(): number {
  const { process } = globalThis as unknown as { process: { cpuUsage(): { user: number; system: number } } };
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function check(items: readonly LayoutItem[], result: Layout): void {
  const boxes = new Map(result.boxes.map((box) => [box.id, box]));
  const siblings = new Map<string | null, typeof result.boxes>();
  for (const box of result.boxes) siblings.set(box.parent, [...(siblings.get(box.parent) ?? []), box]);
  for (const [parent, list] of siblings) {
    const around = parent === null ? null : boxes.get(parent)!;
    list.forEach((a, at) => {
      if (around !== null) {
        expect(a.x >= around.x && a.x + a.width <= around.x + around.width + 1e-6).toBe(true);
        expect(a.y > around.y && a.y + a.height <= around.y + around.height).toBe(true);
      }
      for (const b of list.slice(at + 1)) {
        const apart =
          a.x + a.width <= b.x + 1e-6 ||
          b.x + b.width <= a.x + 1e-6 ||
          a.y + a.height <= b.y ||
          b.y + b.height <= a.y;
        if (!apart) throw new Error(`${a.id} and ${b.id} overlap`);
      }
    });
  }
  const visit = (list: readonly LayoutItem[]): void => {
    for (const item of list) {
      const box = boxes.get(item.id)!;
      for (const id of item.after) {
        const upper = boxes.get(id)!;
        if (upper.y + upper.height >= box.y) throw new Error(`the edge ${id} -> ${item.id} does not go down`);
      }
      visit(item.children);
    }
  };
  visit(items);
  for (const edge of result.edges) {
    for (let at = 3; at < edge.points.length; at += 2) {
      expect(edge.points[at]! >= edge.points[at - 2]!).toBe(true);
    }
  }
}

describe("layout", () => {
  it("puts a chain in one column", () => {
    const result = layout([leaf("a"), leaf("b", "a"), leaf("c", "b")]);
    expect(result.boxes.map((box) => box.x)).toEqual([0, 0, 0]);
    expect(result.width).toBe(200);
  });

  it("centres a fan's start above its parts", () => {
    const result = layout([leaf("a"), leaf("b", "a"), leaf("c", "a"), leaf("d", "b", "c")]);
    const [a, b, c, d] = result.boxes;
    expect(a!.x).toBeCloseTo((b!.x + c!.x) / 2);
    expect(d!.x).toBeCloseTo(a!.x);
  });

  it("routes a long edge around the boxes between", () => {
    const result = layout([leaf("a"), leaf("b", "a"), leaf("c", "b", "a")]);
    const long = result.edges.find((edge) => edge.from[0] === "a" && edge.to[0] === "c")!;
    const between = result.boxes.find((box) => box.id === "b")!;
    const x = long.points[4]!;
    expect(x < between.x || x > between.x + between.width).toBe(true);
  });

  it("sets a wide fan in rows with one edge to the whole", () => {
    const fan = Array.from({ length: 1000 }, (_, index) => leaf(`f${index}`, "a"));
    const items = [leaf("a"), ...fan, leaf("z", ...fan.map((item) => item.id))];
    const result = layout(items);
    check(items, result);
    expect(result.edges).toHaveLength(2);
    expect(result.width / result.height).toBeLessThan(3);
    expect(result.width / result.height).toBeGreaterThan(1);
  });

  it.each(Array.from({ length: 30 }, (_, seed) => seed))(
    "has no overlaps and no upward edges on random nested graph %i",
    (seed) => {
      const items = randomItems(4 + (seed % 28), seed);
      check(items, layout(items));
    },
  );

  it("gives the same layout for the same items", () => {
    const items = randomItems(40, 7);
    expect(layout(items)).toEqual(layout(items));
  });

  it("lays out 1,000 nodes in under 100 ms", () => {
    const items = randomItems(1000, 3);
    layout(items);
    // Processor time, and the best of several: a busy machine must not fail this.
    const times = Array.from({ length: 10 }, () => {
      const start = processorMs();
      layout(items);
      return processorMs() - start;
    }).sort((a, b) => a - b);
    check(items, layout(items));
    console.info(`layout of 1,000 nodes: ${times.map((time) => time.toFixed(0)).join(", ")} ms`);
    expect(times[0]).toBeLessThan(100);
  }, 60_000);
});
