/** What is under the pointer, and what lies next to what: pure. */

import { STRIP_CELL, stripCells } from "./draw";
import type { Box, Layout } from "./layout";
import type { NodeLook } from "./model";

export type Hit =
  | { readonly kind: "node"; readonly id: string }
  | { readonly kind: "fold"; readonly id: string }
  | { readonly kind: "iteration"; readonly id: string; readonly at: number };

interface Point {
  readonly x: number;
  readonly y: number;
}

export function hitAt(
  layout: Layout,
  looks: ReadonlyMap<string, NodeLook>,
  collapsed: ReadonlySet<string>,
  point: Point,
): Hit | null {
  // Children come after their parents, so the last one that holds the point is the innermost.
  for (let at = layout.boxes.length - 1; at >= 0; at -= 1) {
    const box = layout.boxes[at]!;
    if (!holds(box, point)) continue;
    const look = looks.get(box.id);
    if (look === undefined) return null;
    if (box.group) return hitGroup(box, look, point);
    if (collapsed.has(box.id) && point.x > box.x + box.width - 34) return { kind: "fold", id: box.id };
    return { kind: "node", id: box.id };
  }
  return null;
}

function hitGroup(box: Box, look: NodeLook, point: Point): Hit | null {
  if (point.y < box.y + 36) {
    const fold = point.x > box.x + box.width - 36;
    return { kind: fold ? "fold" : "node", id: box.id };
  }
  const cells = look.strip.length > 0 ? stripCells(box, look) : null;
  const cell = cells?.findIndex(
    ({ x, y }) =>
      point.x >= x - 1 && point.x <= x + STRIP_CELL + 2 && point.y >= y - 3 && point.y <= y + STRIP_CELL + 3,
  );
  if (cell !== undefined && cell >= 0) return { kind: "iteration", id: box.id, at: cell };
  return { kind: "node", id: box.id };
}

function holds(box: Box, { x, y }: Point): boolean {
  return x >= box.x && x <= box.x + box.width && y >= box.y && y <= box.y + box.height;
}

export type Direction = "up" | "down" | "left" | "right";

/** The nearest box that way; groups count by their header, where their name is. */
export function neighbour(layout: Layout, from: string, direction: Direction): string | null {
  const here = layout.boxes.find((box) => box.id === from);
  if (here === undefined) return layout.boxes[0]?.id ?? null;
  const start = anchorOf(here);
  let best: string | null = null;
  let least = Number.POSITIVE_INFINITY;
  for (const box of layout.boxes) {
    if (box.id === from) continue;
    const end = anchorOf(box);
    const dx = end.x - start.x;
    const dy = end.y - start.y;
    const upright = direction === "up" || direction === "down";
    const ahead = upright ? (direction === "down" ? dy : -dy) : direction === "right" ? dx : -dx;
    const aside = Math.abs(upright ? dx : dy);
    if (ahead < 8 || (!upright && aside > 40)) continue;
    const cost = ahead + aside * (upright ? 1.5 : 4);
    if (cost < least) {
      least = cost;
      best = box.id;
    }
  }
  return best;
}

function anchorOf(box: Box): Point {
  return { x: box.x + box.width / 2, y: box.y + Math.min(box.height / 2, 28) };
}
