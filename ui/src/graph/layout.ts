/**
 * The position and size of every box of the graph, as a pure function: a layered layout of nested boxes.
 *
 * A dependency never crosses the border of a group (a document cannot express one), so each group is laid
 * out by itself, innermost groups first, and is then one box among its siblings. All lengths are pixels at
 * scale 1.
 */

export interface LayoutItem {
  readonly id: string;
  /** IDs of the siblings that this item depends on. */
  readonly after: readonly string[];
  /** Minimum size. A group grows to hold its children. */
  readonly width: number;
  readonly height: number;
  /** Space above the children. */
  readonly header: number;
  readonly children: readonly LayoutItem[];
}

export interface Box {
  readonly id: string;
  readonly parent: string | null;
  readonly depth: number;
  readonly group: boolean;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** Many siblings with the same dependencies and dependents, set in rows. Edges end at its frame. */
export interface Cluster {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface Edge {
  readonly from: readonly string[];
  readonly to: readonly string[];
  /** x, y, x, y, … from the upper end to the lower end. */
  readonly points: readonly number[];
}

export interface Layout {
  readonly width: number;
  readonly height: number;
  /** Parents before their children. */
  readonly boxes: readonly Box[];
  readonly clusters: readonly Cluster[];
  readonly edges: readonly Edge[];
}

export const GAP_X = 28;
export const GAP_Y = 34;
export const PADDING = 16;
const MIN_CLUSTER_SIZE = 9;
const CLUSTER_PADDING = 12;
const CLUSTER_GAP = 14;
const LANE_WIDTH = 10;
const SWEEPS = 6;

export function layout(items: readonly LayoutItem[]): Layout {
  const drawing = new Drawing();
  const arrangement = arrange(items);
  emit(arrangement, 0, 0, null, 0, drawing);
  return { width: arrangement.width, height: arrangement.height, ...drawing };
}

class Drawing {
  readonly boxes: Box[] = [];
  readonly clusters: Cluster[] = [];
  readonly edges: Edge[] = [];
}

/** One item, or one cluster of items: what a layer arranges. */
interface Cell {
  readonly members: readonly Sized[];
  readonly columns: number;
  readonly width: number;
  readonly height: number;
}

interface Sized {
  readonly item: LayoutItem;
  readonly inner: Arrangement | null;
  readonly width: number;
  readonly height: number;
}

interface PlacedCell {
  readonly cell: Cell;
  readonly x: number;
  readonly y: number;
}

interface Arrangement {
  readonly width: number;
  readonly height: number;
  readonly placed: readonly PlacedCell[];
  readonly edges: readonly Edge[];
}

function measure(item: LayoutItem): Sized {
  if (item.children.length === 0) return { item, inner: null, width: item.width, height: item.height };
  const inner = arrange(item.children);
  return {
    item,
    inner,
    width: Math.max(item.width, inner.width + 2 * PADDING),
    height: item.header + inner.height + PADDING,
  };
}

function emit(
  arrangement: Arrangement,
  x: number,
  y: number,
  parent: string | null,
  depth: number,
  out: Drawing,
): void {
  for (const { cell, x: cellX, y: cellY } of arrangement.placed) {
    const clustered = cell.members.length > 1;
    if (clustered) out.clusters.push({ x: x + cellX, y: y + cellY, width: cell.width, height: cell.height });
    const inset = clustered ? CLUSTER_PADDING : 0;
    const rowHeight = Math.max(...cell.members.map((member) => member.height)) + CLUSTER_GAP;
    const columnWidth = Math.max(...cell.members.map((member) => member.width)) + CLUSTER_GAP;
    cell.members.forEach((member, index) => {
      const left = x + cellX + inset + (index % cell.columns) * columnWidth;
      const top = y + cellY + inset + Math.floor(index / cell.columns) * rowHeight;
      const { width, height, inner, item } = member;
      out.boxes.push({ id: item.id, parent, depth, group: inner !== null, x: left, y: top, width, height });
      if (inner === null) return;
      const spare = (width - 2 * PADDING - inner.width) / 2;
      emit(inner, left + PADDING + spare, top + item.header, item.id, depth + 1, out);
    });
  }
  for (const edge of arrangement.edges) {
    out.edges.push({ ...edge, points: edge.points.map((value, at) => value + (at % 2 === 0 ? x : y)) });
  }
}

/** Lays out one set of siblings. Its own upper left corner is the origin. */
function arrange(items: readonly LayoutItem[]): Arrangement {
  if (items.length === 0) return { width: 0, height: 0, placed: [], edges: [] };
  const cells = cluster(items);
  const links = link(cells);
  const layerOf = assignLayers(cells.length, links);
  const graph = new LayerGraph(cells, links, layerOf);
  graph.order();
  graph.align();
  return graph.finish();
}

/** Many siblings with the same dependencies and dependents share one cell. */
function cluster(items: readonly LayoutItem[]): Cell[] {
  const ids = new Set(items.map((item) => item.id));
  const followers = new Map<string, string[]>();
  for (const item of items) {
    for (const id of item.after) if (ids.has(id)) push(followers, id, item.id);
  }
  const groups = new Map<string, LayoutItem[]>();
  for (const item of items) {
    const before = item.after.filter((id) => ids.has(id)).sort();
    const behind = [...(followers.get(item.id) ?? [])].sort();
    push(groups, JSON.stringify([before, behind]), item);
  }
  return [...groups.values()].flatMap((group) =>
    group.length < MIN_CLUSTER_SIZE
      ? group.map((item) => cellOf([measure(item)]))
      : [cellOf(group.map(measure))],
  );
}

function cellOf(members: readonly Sized[]): Cell {
  const width = Math.max(...members.map((member) => member.width));
  const height = Math.max(...members.map((member) => member.height));
  if (members.length === 1) return { members, columns: 1, width, height };
  // About twice as wide as high, like a screen.
  const columns = Math.max(3, Math.round(Math.sqrt((members.length * 2 * height) / width)));
  const rows = Math.ceil(members.length / columns);
  return {
    members,
    columns,
    width: columns * (width + CLUSTER_GAP) - CLUSTER_GAP + 2 * CLUSTER_PADDING,
    height: rows * (height + CLUSTER_GAP) - CLUSTER_GAP + 2 * CLUSTER_PADDING,
  };
}

type Link = readonly [from: number, to: number];

function link(cells: readonly Cell[]): Link[] {
  const cellOfId = new Map<string, number>();
  cells.forEach((cell, index) => {
    for (const member of cell.members) cellOfId.set(member.item.id, index);
  });
  const seen = new Set<number>();
  const links: Link[] = [];
  cells.forEach((cell, to) => {
    for (const member of cell.members) {
      for (const id of member.item.after) {
        const from = cellOfId.get(id);
        if (from === undefined || from === to) continue;
        const key = from * cells.length + to;
        if (!seen.has(key)) links.push([from, to]);
        seen.add(key);
      }
    }
  });
  return links;
}

/** Cell -> its layer: the layer after its last predecessor. A cell without predecessors stands just above its first follower. */
function assignLayers(count: number, links: readonly Link[]): number[] {
  const before: number[][] = Array.from({ length: count }, () => []);
  const behind: number[][] = Array.from({ length: count }, () => []);
  for (const [from, to] of links) {
    before[to]!.push(from);
    behind[from]!.push(to);
  }
  const layers = new Array<number>(count).fill(0);
  const waiting = before.map((list) => list.length);
  const ready = waiting.flatMap((left, index) => (left === 0 ? [index] : []));
  for (let at = 0; at < ready.length; at += 1) {
    const from = ready[at]!;
    for (const to of behind[from]!) {
      layers[to] = Math.max(layers[to]!, layers[from]! + 1);
      waiting[to]! -= 1;
      if (waiting[to] === 0) ready.push(to);
    }
  }
  for (const index of ready.reverse()) {
    if (before[index]!.length > 0 || behind[index]!.length === 0) continue;
    layers[index] = Math.min(...behind[index]!.map((to) => layers[to]!)) - 1;
  }
  return layers;
}

/** A cell, or the point where a long edge passes through a layer. */
class Slot {
  readonly up: Slot[] = [];
  readonly down: Slot[] = [];
  x = 0;
  /** Index in its layer. */
  at = 0;
  /** The index that would be best for it; layers are sorted by it. */
  target = 0;

  constructor(
    readonly layer: number,
    /** Null for a passing edge. */
    readonly cell: Cell | null,
    readonly width: number,
  ) {}
}

class LayerGraph {
  private readonly layers: Slot[][] = [];
  private readonly routes: Slot[][] = [];

  constructor(cells: readonly Cell[], links: readonly Link[], layerOf: readonly number[]) {
    const slots = cells.map((cell, index) => this.add(layerOf[index]!, cell, cell.width));
    for (const [from, to] of links) {
      // The server refuses a document with a cycle. If one arrives anyway, its back edge is left out.
      if (layerOf[from]! >= layerOf[to]!) continue;
      const route = [slots[from]!];
      for (let layer = layerOf[from]! + 1; layer < layerOf[to]!; layer += 1) {
        route.push(this.add(layer, null, LANE_WIDTH));
      }
      route.push(slots[to]!);
      for (let step = 1; step < route.length; step += 1) {
        route[step - 1]!.down.push(route[step]!);
        route[step]!.up.push(route[step - 1]!);
      }
      this.routes.push(route);
    }
  }

  private add(layer: number, cell: Cell | null, width: number): Slot {
    while (this.layers.length <= layer) this.layers.push([]);
    const slot = new Slot(layer, cell, width);
    slot.at = this.layers[layer]!.length;
    this.layers[layer]!.push(slot);
    return slot;
  }

  /** Reduces crossings: sorts each layer by the average index of its neighbours, in sweeps down and up. */
  order(): void {
    let best = this.crossings();
    let kept = this.layers.map((layer) => [...layer]);
    let fruitless = 0;
    for (let sweep = 0; sweep < SWEEPS && best > 0 && fruitless < 2; sweep += 1) {
      const downward = sweep % 2 === 0;
      const layers = downward ? this.layers : [...this.layers].reverse();
      fruitless += 1;
      for (const layer of layers) sortLayer(layer, downward ? "up" : "down");
      const now = this.crossings();
      if (now < best) {
        best = now;
        fruitless = 0;
        kept = this.layers.map((layer) => [...layer]);
      }
    }
    kept.forEach((layer, index) => {
      this.layers[index] = layer;
      numberLayer(layer);
    });
  }

  private crossings(): number {
    let total = 0;
    for (let layer = 1; layer < this.layers.length; layer += 1) {
      const ends: number[] = [];
      for (const { down } of this.layers[layer - 1]!) {
        if (down.length === 1) ends.push(down[0]!.at);
        else for (const at of down.map((slot) => slot.at).sort((a, b) => a - b)) ends.push(at);
      }
      total += inversions(ends, this.layers[layer]!.length);
    }
    return total;
  }

  /** Straightens edges: moves each slot as close to its neighbours as the spacing of its layer allows. */
  align(): void {
    for (const layer of this.layers) {
      let x = 0;
      for (const slot of layer) {
        slot.x = x + slot.width / 2;
        x += slot.width + GAP_X;
      }
    }
    // The last sweep goes down, so that followers stand below what they follow.
    for (let sweep = 0; sweep <= SWEEPS; sweep += 1) {
      const downward = sweep % 2 === 0;
      const layers = downward ? this.layers : [...this.layers].reverse();
      for (const layer of layers) alignLayer(layer, downward ? "up" : "down");
    }
  }

  finish(): Arrangement {
    let left = Number.POSITIVE_INFINITY;
    let right = Number.NEGATIVE_INFINITY;
    const tops: number[] = [];
    const heights: number[] = [];
    let y = 0;
    for (const layer of this.layers) {
      let height = 0;
      for (const slot of layer) {
        left = Math.min(left, slot.x - slot.width / 2);
        right = Math.max(right, slot.x + slot.width / 2);
        height = Math.max(height, slot.cell?.height ?? 0);
      }
      tops.push(y);
      heights.push(height);
      y += height + GAP_Y;
    }
    const placed: PlacedCell[] = [];
    for (const slot of this.layers.flat()) {
      if (slot.cell === null) continue;
      placed.push({ cell: slot.cell, x: slot.x - slot.width / 2 - left, y: tops[slot.layer]! });
    }
    const edges = this.routes.map((route) => edgeAlong(route, left, tops, heights));
    return { width: right - left, height: y - GAP_Y, placed, edges };
  }
}

function sortLayer(layer: Slot[], side: "up" | "down"): void {
  for (const slot of layer) {
    const near = slot[side];
    let sum = 0;
    for (const other of near) sum += other.at;
    slot.target = near.length > 0 ? sum / near.length : slot.at;
  }
  layer.sort((a, b) => a.target - b.target || a.at - b.at);
  numberLayer(layer);
}

function numberLayer(layer: readonly Slot[]): void {
  for (let at = 0; at < layer.length; at += 1) layer[at]!.at = at;
}

function alignLayer(layer: readonly Slot[], side: "up" | "down"): void {
  const count = layer.length;
  const targets = new Float64Array(count);
  const weights = new Float64Array(count);
  const gaps = new Float64Array(count);
  for (let at = 0; at < count; at += 1) {
    const slot = layer[at]!;
    const near = slot[side];
    let sum = 0;
    let pulls = 0;
    for (const other of near) {
      // A task aligns with other tasks more than with an edge that passes by.
      const pull = slot.cell === null || other.cell !== null ? 8 : 1;
      sum += other.x * pull;
      pulls += pull;
    }
    targets[at] = pulls > 0 ? sum / pulls : slot.x;
    // Passing edges give way to tasks. A slot without neighbours gives way to everything.
    weights[at] = pulls === 0 ? 0.05 : slot.cell === null ? 0.3 : 1;
    gaps[at] = at + 1 < count ? (slot.width + layer[at + 1]!.width) / 2 + GAP_X : 0;
  }
  const result = closestPositions(targets, weights, gaps);
  for (let at = 0; at < count; at += 1) layer[at]!.x = result[at]!;
}

function edgeAlong(
  route: readonly Slot[],
  left: number,
  tops: readonly number[],
  heights: readonly number[],
): Edge {
  const first = route[0]!;
  const last = route[route.length - 1]!;
  const top = tops[first.layer]!;
  const points = [first.x - left, top + first.cell!.height, first.x - left, top + heights[first.layer]!];
  for (const slot of route.slice(1, -1)) {
    const upper = tops[slot.layer]!;
    points.push(slot.x - left, upper, slot.x - left, upper + heights[slot.layer]!);
  }
  points.push(last.x - left, tops[last.layer]!);
  return { from: idsOf(first.cell!), to: idsOf(last.cell!), points };
}

/**
 * The positions closest to the targets (weighted least squares) that keep the order and the gaps: the
 * pool-adjacent-violators algorithm.
 */
function closestPositions(targets: Float64Array, weights: Float64Array, gaps: Float64Array): Float64Array {
  const count = targets.length;
  const sums = new Float64Array(count);
  const pulls = new Float64Array(count);
  const sizes = new Int32Array(count);
  const offsets = new Float64Array(count);
  let pools = 0;
  let offset = 0;
  for (let at = 0; at < count; at += 1) {
    offsets[at] = offset;
    sums[pools] = (targets[at]! - offset) * weights[at]!;
    pulls[pools] = weights[at]!;
    sizes[pools] = 1;
    while (pools > 0 && sums[pools - 1]! / pulls[pools - 1]! > sums[pools]! / pulls[pools]!) {
      sums[pools - 1]! += sums[pools]!;
      pulls[pools - 1]! += pulls[pools]!;
      sizes[pools - 1]! += sizes[pools]!;
      pools -= 1;
    }
    pools += 1;
    offset += gaps[at]!;
  }
  const result = new Float64Array(count);
  let at = 0;
  for (let pool = 0; pool < pools; pool += 1) {
    const value = sums[pool]! / pulls[pool]!;
    for (let member = 0; member < sizes[pool]!; member += 1) {
      result[at] = value + offsets[at]!;
      at += 1;
    }
  }
  return result;
}

/** How many pairs are out of order; counted with a Fenwick tree. */
function inversions(values: readonly number[], size: number): number {
  const tree = new Int32Array(size + 1);
  let total = 0;
  for (let seen = 0; seen < values.length; seen += 1) {
    let smaller = 0;
    for (let at = values[seen]! + 1; at > 0; at -= at & -at) smaller += tree[at]!;
    total += seen - smaller;
    for (let at = values[seen]! + 1; at <= size; at += at & -at) tree[at]! += 1;
  }
  return total;
}

function idsOf(cell: Cell): string[] {
  return cell.members.map((member) => member.item.id);
}

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
