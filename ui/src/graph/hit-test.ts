/** What is under the pointer, and which box is next in a direction. Pure functions. */

import { STRIP_CELL, stripCells } from "./draw";
import type { Box, Layout } from "./layout";
import type { NodeDisplay } from "./model";

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
  displays: ReadonlyMap<string, NodeDisplay>,
  collapsed: ReadonlySet<string>,
  point: Point,
): Hit | null {
  // Children come after their parents, so the last box that contains the point is the innermost.
  for (let at = layout.boxes.length - 1; at >= 0; at -= 1) {
    const box = layout.boxes[at]!;
    if (!contains(box, point)) continue;
    const display = displays.get(box.id);
    if (display === undefined) return null;
    if (box.group) return hitGroup(box, display, point);
    if (collapsed.has(box.id) && point.x > box.x + box.width - 34) return { kind: "fold", id: box.id };
    return { kind: "node", id: box.id };
  }
  return null;
}

function hitGroup(box: Box, display: NodeDisplay, point: Point): Hit | null {
  if (point.y < box.y + 36) {
    const fold = point.x > box.x + box.width - 36;
    return { kind: fold ? "fold" : "node", id: box.id };
  }
  const cells = display.strip.length > 0 ? stripCells(box, display) : null;
  const cell = cells?.findIndex(
    ({ x, y }) =>
      point.x >= x - 1 && point.x <= x + STRIP_CELL + 2 && point.y >= y - 3 && point.y <= y + STRIP_CELL + 3,
  );
  if (cell !== undefined && cell >= 0) return { kind: "iteration", id: box.id, at: cell };
  return { kind: "node", id: box.id };
}

function contains(box: Box, { x, y }: Point): boolean {
  return x >= box.x && x <= box.x + box.width && y >= box.y && y <= box.y + box.height;
}

export type Direction = "up" | "down" | "left" | "right";

/** The ID of the closest box in a direction. A group is where its header is. */
export function nextBox(layout: Layout, from: string, direction: Direction): string | null {
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
