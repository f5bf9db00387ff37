/** Draws the graph on a canvas: coloured blocks at a small scale; names, times and icons at a larger one. */

import { SHAPES } from "@/lib/shapes";
import { type Shape, type State, styleOfState } from "@/lib/states";
import type { Camera, Size } from "./camera";
import type { Box, Cluster, Edge, Layout } from "./layout";
import type { NodeDisplay } from "./model";
import type { Palette } from "./palette";

export interface Scene {
  readonly layout: Layout;
  readonly displays: ReadonlyMap<string, NodeDisplay>;
  /** IDs of the collapsed groups. */
  readonly collapsed: ReadonlySet<string>;
  readonly selected: string | null;
  readonly hovered: string | null;
  /** IDs of the nodes that run also after a failure. */
  readonly unconditional: ReadonlySet<string>;
}

/** Below this scale a task is a block of colour. */
const BLOCKS = 0.3;
/** From this scale on all texts are drawn. */
const FULL = 0.55;

export const STRIP_CELL = 11;
export const STRIP_GAP = 3;
const STRIP_TOP = 42;
const STRIP_LEFT = 14;

export function draw(
  context: CanvasRenderingContext2D,
  scene: Scene,
  camera: Camera,
  view: Size,
  palette: Palette,
  phase: number,
): void {
  const pen = new Pen(context, scene, camera, palette, phase);
  context.clearRect(0, 0, view.width, view.height);
  context.save();
  context.translate(camera.x, camera.y);
  context.scale(camera.scale, camera.scale);
  const seen = visible(camera, view);
  const boxes = scene.layout.boxes.filter(seen);
  for (const box of boxes) if (box.group) pen.group(box);
  for (const cluster of scene.layout.clusters) if (seen(cluster)) pen.cluster(cluster);
  pen.edges(scene.layout.edges, seen);
  for (const box of boxes) if (!box.group) pen.task(box);
  context.restore();
}

function visible(camera: Camera, view: Size): (box: Cluster) => boolean {
  const left = -camera.x / camera.scale;
  const top = -camera.y / camera.scale;
  const right = left + view.width / camera.scale;
  const bottom = top + view.height / camera.scale;
  return (box) => box.x < right && box.x + box.width > left && box.y < bottom && box.y + box.height > top;
}

const plates = new Map<Shape, { plate: Path2D; glyph: Path2D }>();

function pathsOf(shape: Shape): { plate: Path2D; glyph: Path2D } {
  let paths = plates.get(shape);
  if (paths === undefined) {
    paths = { plate: new Path2D(SHAPES[shape].plate), glyph: new Path2D(SHAPES[shape].glyph) };
    plates.set(shape, paths);
  }
  return paths;
}

class Pen {
  private readonly far: boolean;
  private readonly full: boolean;

  constructor(
    private readonly context: CanvasRenderingContext2D,
    private readonly scene: Scene,
    private readonly camera: Camera,
    private readonly palette: Palette,
    private readonly phase: number,
  ) {
    this.far = camera.scale < BLOCKS;
    this.full = camera.scale >= FULL;
  }

  private tone(state: State): string {
    return this.palette.tones[styleOfState(state).tone];
  }

  /** The line width that is this many pixels on the screen, at the current scale. */
  private hair(pixels: number): number {
    return pixels / Math.max(this.camera.scale, 0.02);
  }

  group(box: Box): void {
    const { context, palette } = this;
    const display = this.scene.displays.get(box.id);
    if (display === undefined) return;
    context.beginPath();
    context.roundRect(box.x, box.y, box.width, box.height, 12);
    context.fillStyle = mix(palette.raised, box.depth % 2 === 0 ? 0.55 : 0.95);
    context.fill();
    this.border(box, display, 12);
    if (this.far) return;
    const dimmed = !display.started;
    this.icon(box.x + 14, box.y + 13, 18, display.state, dimmed);
    context.textBaseline = "middle";
    const tag = display.tag.toUpperCase();
    context.font = `600 10px ${palette.sans}`;
    const tagWidth = this.full ? context.measureText(tag).width : 0;
    if (this.full) {
      context.fillStyle = palette.dim;
      context.fillText(tag, box.x + box.width - 38 - tagWidth, box.y + 22.5);
      this.chevron(box.x + box.width - 20, box.y + 22, true);
    }
    context.font = `600 13px ${palette.sans}`;
    context.fillStyle = dimmed ? palette.dim : palette.text;
    this.text(display.label, box.x + 40, box.y + 22.5, box.width - 88 - tagWidth);
    if (display.strip.length > 0) this.strip(box, display);
    else if (display.note !== "" && this.full) {
      context.font = `12px ${palette.sans}`;
      context.fillStyle = palette.dim;
      this.text(display.note, box.x + 14, box.y + 47, box.width - 28);
    }
  }

  /** One cell for each iteration; one bar with the proportions of the states when they do not fit. */
  private strip(box: Box, display: NodeDisplay): void {
    const { context, palette } = this;
    const cells = stripCells(box, display);
    if (cells === null) {
      const width = box.width - 2 * STRIP_LEFT - 70;
      this.proportions(display.strip, box.x + STRIP_LEFT, box.y + STRIP_TOP + 2, width, 7);
    } else {
      display.strip.forEach((state, at) => {
        const cell = cells[at]!;
        context.beginPath();
        context.roundRect(cell.x, cell.y, STRIP_CELL, STRIP_CELL, 3);
        context.fillStyle = state === "PENDING" ? palette.track : this.tone(state);
        context.fill();
        if (state === "SKIPPED" || state === "PENDING") {
          context.fillStyle = palette.track;
          context.fill();
        }
        if (state === "FAILED") this.cellCross(cell.x, cell.y);
        if (display.chosen === at) {
          context.lineWidth = 2;
          context.strokeStyle = palette.text;
          context.beginPath();
          context.roundRect(cell.x - 2, cell.y - 2, STRIP_CELL + 4, STRIP_CELL + 4, 4.5);
          context.stroke();
        }
      });
    }
    if (!this.full) return;
    context.font = `12px ${palette.sans}`;
    context.fillStyle = palette.dim;
    const words =
      display.chosen === null
        ? display.detail
        : `#${display.chosen}${display.note === "" ? "" : ` · ${display.note}`}`;
    const used =
      cells === null ? box.width - 2 * STRIP_LEFT - 62 : display.strip.length * (STRIP_CELL + STRIP_GAP) + 8;
    this.text(words, box.x + STRIP_LEFT + used, box.y + STRIP_TOP + 6, box.width - 2 * STRIP_LEFT - used);
  }

  /** A cross in failed cells, so that they differ by more than colour. */
  private cellCross(x: number, y: number): void {
    const { context, palette } = this;
    context.strokeStyle = palette.surface;
    context.lineWidth = 1.5;
    context.beginPath();
    context.moveTo(x + 3.5, y + 3.5);
    context.lineTo(x + STRIP_CELL - 3.5, y + STRIP_CELL - 3.5);
    context.moveTo(x + STRIP_CELL - 3.5, y + 3.5);
    context.lineTo(x + 3.5, y + STRIP_CELL - 3.5);
    context.stroke();
  }

  private proportions(states: readonly State[], x: number, y: number, width: number, height: number): void {
    const { context, palette } = this;
    const sorted = [...states].sort((a, b) => ORDER[a] - ORDER[b]);
    let at = 0;
    while (at < sorted.length) {
      const state = sorted[at]!;
      let end = at;
      while (end < sorted.length && sorted[end] === state) end += 1;
      context.fillStyle = state === "PENDING" || state === "SKIPPED" ? palette.track : this.tone(state);
      const left = x + (at / sorted.length) * width;
      context.fillRect(left, y, Math.max(1, ((end - at) / sorted.length) * width - 1), height);
      at = end;
    }
  }

  cluster(box: Cluster): void {
    const { context, palette } = this;
    context.beginPath();
    context.roundRect(box.x, box.y, box.width, box.height, 12);
    context.setLineDash([5, 5]);
    context.lineWidth = this.hair(1);
    context.strokeStyle = palette.strong;
    context.stroke();
    context.setLineDash([]);
  }

  edges(edges: readonly Edge[], seen: (box: Cluster) => boolean): void {
    const { context, palette, scene } = this;
    const lit: Edge[] = [];
    const focus = scene.hovered ?? scene.selected;
    context.lineWidth = Math.min(this.hair(1.4), 5);
    context.lineJoin = "round";
    for (const edge of edges) {
      if (!seen(around(edge.points))) continue;
      if (focus !== null && (edge.from.includes(focus) || edge.to.includes(focus))) lit.push(edge);
      else this.edge(edge, palette.edge);
    }
    context.lineWidth = Math.min(this.hair(1.9), 6);
    for (const edge of lit) this.edge(edge, palette.accent);
  }

  private edge(edge: Edge, colour: string): void {
    const { context } = this;
    const { points } = edge;
    context.strokeStyle = colour;
    context.fillStyle = colour;
    const dashed = edge.to.some((id) => this.scene.unconditional.has(id));
    if (dashed) context.setLineDash([5, 4]);
    const tip = this.far ? 0 : 5;
    context.beginPath();
    context.moveTo(points[0]!, points[1]!);
    for (let at = 2; at < points.length; at += 2) {
      const x0 = points[at - 2]!;
      const y0 = points[at - 1]!;
      const x1 = points[at]!;
      const y1 = points[at + 1]! - (at === points.length - 2 ? tip : 0);
      if (x0 === x1) context.lineTo(x1, y1);
      else context.bezierCurveTo(x0, y0 + (y1 - y0) * 0.55, x1, y1 - (y1 - y0) * 0.55, x1, y1);
    }
    context.stroke();
    if (dashed) context.setLineDash([]);
    if (tip === 0) return;
    const x = points[points.length - 2]!;
    const y = points[points.length - 1]!;
    context.beginPath();
    context.moveTo(x, y - 0.5);
    context.lineTo(x - 4, y - 6.5);
    context.lineTo(x + 4, y - 6.5);
    context.fill();
  }

  task(box: Box): void {
    const display = this.scene.displays.get(box.id);
    if (display === undefined) return;
    if (this.far) this.block(box, display);
    else this.card(box, display);
  }

  private block(box: Box, display: NodeDisplay): void {
    const { context, palette } = this;
    context.beginPath();
    context.roundRect(box.x, box.y, box.width, box.height, 10);
    const waiting = display.state === "PENDING" || display.state === "SKIPPED";
    context.fillStyle = waiting ? palette.track : this.tone(display.state);
    context.fill();
    if (this.scene.selected === box.id || this.scene.hovered === box.id) {
      context.lineWidth = this.hair(2.5);
      context.strokeStyle = palette.text;
      context.stroke();
    }
  }

  private card(box: Box, display: NodeDisplay): void {
    const { context, palette } = this;
    const folded = this.scene.collapsed.has(box.id);
    if (folded) {
      context.beginPath();
      context.roundRect(box.x + 5, box.y + 5, box.width - 10, box.height, 10);
      context.fillStyle = palette.raised;
      context.fill();
      context.lineWidth = this.hair(1);
      context.strokeStyle = palette.strong;
      context.stroke();
    }
    context.beginPath();
    context.roundRect(box.x, box.y, box.width, box.height, 10);
    context.fillStyle = display.state === "FAILED" ? palette.badSoft : palette.surface;
    context.fill();
    this.border(box, display, 10);
    const dimmed = !display.started || display.state === "SKIPPED";
    this.icon(box.x + 14, box.y + box.height / 2 - 10, 20, display.state, dimmed);
    const right = box.x + box.width - 14;
    let room = box.width - 46 - 14;
    if (folded) {
      this.chevron(right - 4, box.y + box.height / 2, false);
      room -= 20;
    }
    context.textBaseline = "middle";
    if (display.attempts > 1 && this.full) room -= this.badge(`×${display.attempts}`, right, box.y + 19) + 6;
    context.font = `600 13px ${palette.sans}`;
    context.fillStyle = dimmed ? palette.dim : palette.text;
    const lines = this.full && display.detail !== "";
    this.text(display.label, box.x + 46, box.y + (lines ? 20 : box.height / 2 + 0.5), room);
    if (!lines) return;
    context.font = `12px ${palette.sans}`;
    context.fillStyle = display.state === "FAILED" ? palette.tones.bad : palette.dim;
    const prefix = display.tag === "" ? "" : `${display.tag} · `;
    if (display.cached) {
      this.cacheIcon(box.x + 46, box.y + 38);
      this.text(prefix + display.detail, box.x + 62, box.y + 38, box.width - 76);
    } else this.text(prefix + display.detail, box.x + 46, box.y + 38, box.width - 60);
  }

  /** The icon of a reused result: two stacked layers. */
  private cacheIcon(x: number, y: number): void {
    const { context, palette } = this;
    context.strokeStyle = palette.dim;
    context.lineWidth = 1.3;
    context.beginPath();
    for (const dy of [-2, 2]) {
      context.moveTo(x, y + dy);
      context.lineTo(x + 5.5, y + dy + 3);
      context.lineTo(x + 11, y + dy);
    }
    context.moveTo(x, y - 2);
    context.lineTo(x + 5.5, y - 5);
    context.lineTo(x + 11, y - 2);
    context.stroke();
  }

  private border(box: Box, display: NodeDisplay, radius: number): void {
    const { context, palette, scene } = this;
    const picked = scene.selected === box.id;
    const hovered = scene.hovered === box.id;
    context.beginPath();
    context.roundRect(box.x, box.y, box.width, box.height, radius);
    if (!picked && (display.state === "SKIPPED" || !display.started)) context.setLineDash([4, 4]);
    context.lineWidth = picked
      ? this.hair(2.5)
      : this.hair(display.state === "FAILED" && !box.group ? 1.5 : 1);
    if (picked) context.strokeStyle = palette.accent;
    else if (display.state === "FAILED") context.strokeStyle = palette.tones.bad;
    else if (display.state === "RUNNING" && !box.group) context.strokeStyle = palette.tones.active;
    else context.strokeStyle = hovered ? palette.dim : palette.strong;
    context.stroke();
    context.setLineDash([]);
  }

  private badge(words: string, right: number, y: number): number {
    const { context, palette } = this;
    context.font = `600 11px ${palette.sans}`;
    const width = context.measureText(words).width + 10;
    context.beginPath();
    context.roundRect(right - width, y - 8, width, 16, 8);
    context.fillStyle = palette.raised;
    context.fill();
    context.fillStyle = palette.dim;
    context.fillText(words, right - width + 5, y + 0.5);
    return width;
  }

  private chevron(x: number, y: number, open: boolean): void {
    const { context, palette } = this;
    context.strokeStyle = palette.dim;
    context.lineWidth = 1.6;
    context.lineCap = "round";
    context.beginPath();
    if (open) {
      context.moveTo(x - 4, y - 2);
      context.lineTo(x, y + 2);
      context.lineTo(x + 4, y - 2);
    } else {
      context.moveTo(x - 2, y - 4);
      context.lineTo(x + 2, y);
      context.lineTo(x - 2, y + 4);
    }
    context.stroke();
    context.lineCap = "butt";
  }

  private icon(x: number, y: number, size: number, state: State, dimmed: boolean): void {
    const { context, palette } = this;
    const { shape, tone } = styleOfState(state);
    const { plate, glyph } = pathsOf(shape);
    const colour = palette.tones[tone];
    context.save();
    context.translate(x, y);
    context.scale(size / 16, size / 16);
    if (dimmed) context.globalAlpha = 0.7;
    context.lineCap = "round";
    context.lineJoin = "round";
    if (state === "RUNNING") this.spinner(colour);
    else {
      context.fillStyle = colour;
      context.strokeStyle = colour;
      context.lineWidth = 1.2;
      if (SHAPES[shape].hollow) context.stroke(plate);
      else context.fill(plate);
      context.strokeStyle = SHAPES[shape].hollow ? colour : palette.surface;
      context.lineWidth = 1.7;
      context.stroke(glyph);
    }
    context.restore();
  }

  private spinner(colour: string): void {
    const { context } = this;
    context.lineWidth = 2;
    context.strokeStyle = colour;
    context.globalAlpha = 0.25;
    context.beginPath();
    context.arc(8, 8, 6.4, 0, Math.PI * 2);
    context.stroke();
    context.globalAlpha = 1;
    const start = this.phase * Math.PI * 2;
    context.beginPath();
    context.arc(8, 8, 6.4, start, start + Math.PI * 0.6);
    context.stroke();
    context.fillStyle = colour;
    context.beginPath();
    context.moveTo(6.6, 5.2);
    context.lineTo(11, 8);
    context.lineTo(6.6, 10.8);
    context.fill();
  }

  private text(words: string, x: number, y: number, room: number): void {
    if (room < 12) return;
    this.context.fillText(shorten(this.context, words, room), x, y);
  }
}

const ORDER: Record<State, number> = {
  SUCCEEDED: 0,
  SKIPPED: 1,
  FAILED: 2,
  CANCELED: 3,
  CANCELING: 4,
  RUNNING: 5,
  PAUSED: 6,
  PENDING: 7,
};

/** The position of each cell of a loop's strip; null when they do not fit into its box. */
export function stripCells(box: Box, display: NodeDisplay): { x: number; y: number }[] | null {
  const room = box.width - 2 * STRIP_LEFT - 90;
  if (display.strip.length * (STRIP_CELL + STRIP_GAP) > room) return null;
  return display.strip.map((_, at) => ({
    x: box.x + STRIP_LEFT + at * (STRIP_CELL + STRIP_GAP),
    y: box.y + STRIP_TOP,
  }));
}

const shortened = new Map<string, string>();

function shorten(context: CanvasRenderingContext2D, words: string, room: number): string {
  const key = `${context.font}|${Math.round(room)}|${words}`;
  const known = shortened.get(key);
  if (known !== undefined) return known;
  if (shortened.size > 20_000) shortened.clear();
  let result = words;
  if (context.measureText(words).width > room) {
    let low = 0;
    let high = words.length;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (context.measureText(`${words.slice(0, middle)}…`).width <= room) low = middle;
      else high = middle - 1;
    }
    result = `${words.slice(0, low).trimEnd()}…`;
  }
  shortened.set(key, result);
  return result;
}

function around(points: readonly number[]): Cluster {
  let left = Number.POSITIVE_INFINITY;
  let right = Number.NEGATIVE_INFINITY;
  for (let at = 0; at < points.length; at += 2) {
    left = Math.min(left, points[at]!);
    right = Math.max(right, points[at]!);
  }
  const top = points[1]!;
  return { x: left - 1, y: top, width: right - left + 2, height: points[points.length - 1]! - top };
}

/** A resolved `rgb(…)` colour with this opacity (0 to 1). */
function mix(colour: string, alpha: number): string {
  return colour.replace(/^rgb\((.*)\)$/, (_, parts: string) => `rgba(${parts}, ${alpha})`);
}
