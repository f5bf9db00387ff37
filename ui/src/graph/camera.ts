/** The visible part of the graph: a point (px, py) of the graph is at (px * scale + x, py * scale + y) on the screen. */
export interface Camera {
  readonly x: number;
  readonly y: number;
  readonly scale: number;
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

export interface Rect extends Size {
  readonly x: number;
  readonly y: number;
}

const MARGIN = 28;
const MAX_SCALE = 2.5;
/** Size of the buttons in the upper left corner, which would cover the graph. */
const TOOLS = { width: 330, height: 54 };

/** Shows the whole graph, centred, at scale 1 at most. */
export function fitIn(content: Size, view: Size): Camera {
  const plain = fitBelow(content, view, MARGIN);
  return plain.x > TOOLS.width || plain.y > TOOLS.height ? plain : fitBelow(content, view, TOOLS.height);
}

function fitBelow(content: Size, view: Size, top: number): Camera {
  const width = Math.max(1, view.width - 2 * MARGIN);
  const height = Math.max(1, view.height - top - MARGIN);
  const scale = Math.min(1, width / Math.max(1, content.width), height / Math.max(1, content.height));
  return {
    scale,
    x: (view.width - content.width * scale) / 2,
    // A small graph stands near the top, where reading starts.
    y: Math.max(top, Math.min((view.height - content.height * scale) / 2, 56)),
  };
}

/** Multiplies the scale by `factor`. The point of the graph at the screen position `at` stays there. */
export function zoomAt(
  camera: Camera,
  factor: number,
  at: { x: number; y: number },
  smallest: number,
): Camera {
  const scale = Math.min(MAX_SCALE, Math.max(smallest, camera.scale * factor));
  const ratio = scale / camera.scale;
  return { scale, x: at.x - (at.x - camera.x) * ratio, y: at.y - (at.y - camera.y) * ratio };
}

export function pan(camera: Camera, dx: number, dy: number): Camera {
  return { ...camera, x: camera.x + dx, y: camera.y + dy };
}

/** Moves just enough to show the box, and zooms in when it is too small to read. */
export function reveal(camera: Camera, box: Rect, view: Size): Camera {
  const scale = Math.max(camera.scale, Math.min(1, 0.6));
  const next =
    scale === camera.scale ? camera : zoomAt(camera, scale / camera.scale, middleOf(box, camera), 0);
  const left = box.x * next.scale + next.x;
  const top = box.y * next.scale + next.y;
  const dx = shift(left, box.width * next.scale, view.width);
  const dy = shift(top, box.height * next.scale, view.height);
  return pan(next, dx, dy);
}

function shift(start: number, length: number, room: number): number {
  if (start < MARGIN) return MARGIN - start;
  const over = start + length - (room - MARGIN);
  return over > 0 ? -Math.min(over, Math.max(0, start - MARGIN)) : 0;
}

function middleOf(box: Rect, camera: Camera): { x: number; y: number } {
  return {
    x: (box.x + box.width / 2) * camera.scale + camera.x,
    y: (box.y + box.height / 2) * camera.scale + camera.y,
  };
}

export function toWorld(camera: Camera, point: { x: number; y: number }): { x: number; y: number } {
  return { x: (point.x - camera.x) / camera.scale, y: (point.y - camera.y) / camera.scale };
}
