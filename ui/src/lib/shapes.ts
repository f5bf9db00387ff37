import type { Shape } from "./states";

/**
 * The icons of the states as SVG path data in a square of 16 by 16: `plate` is filled with the tone's
 * colour, `glyph` is stroked on it. The graph's canvas and the pages draw the same paths.
 */
export interface ShapePaths {
  readonly plate: string;
  readonly glyph: string;
  /** Drawn as an outline, for a task that has not run. */
  readonly hollow: boolean;
}

const CIRCLE = "M8 1a7 7 0 1 1 0 14a7 7 0 0 1 0-14z";
const OCTAGON = "M5.100 1h5.800L15 5.100v5.800L10.900 15H5.100L1 10.900V5.100z";
const SQUARE =
  "M4 1.500h8A2.500 2.500 0 0 1 14.500 4v8a2.500 2.500 0 0 1-2.500 2.500H4A2.500 2.500 0 0 1 1.500 12V4A2.500 2.500 0 0 1 4 1.500z";

export const SHAPES: Record<Shape, ShapePaths> = {
  check: { plate: CIRCLE, glyph: "M4.800 8.300l2.200 2.200 4.200-4.700", hollow: false },
  cross: { plate: OCTAGON, glyph: "M5.500 5.500l5 5m0-5l-5 5", hollow: false },
  play: { plate: CIRCLE, glyph: "M6.600 5.400v5.200L10.800 8z", hollow: false },
  clock: { plate: CIRCLE, glyph: "M8 4.600V8l2.300 1.500", hollow: true },
  slash: { plate: CIRCLE, glyph: "M5.200 8h5.600", hollow: true },
  stop: { plate: SQUARE, glyph: "M5.500 8h5", hollow: false },
  pause: { plate: SQUARE, glyph: "M6.300 5.500v5m3.400-5v5", hollow: false },
};
