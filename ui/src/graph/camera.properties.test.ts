import fc from "fast-check";
import { expect, it } from "vitest";
import { type Camera, fitIn, pan, reveal, toWorld, zoomAt } from "./camera";

const length = fc.integer({ min: 1, max: 50_000 });
const screen = fc.record({
  width: fc.integer({ min: 400, max: 3000 }),
  height: fc.integer({ min: 300, max: 2000 }),
});
const content = fc.record({ width: length, height: length });
const point = fc.record({ x: fc.integer({ min: -500, max: 3000 }), y: fc.integer({ min: -500, max: 3000 }) });
const camera: fc.Arbitrary<Camera> = fc.record({
  x: fc.integer({ min: -5000, max: 5000 }),
  y: fc.integer({ min: -5000, max: 5000 }),
  scale: fc.double({ min: 0.05, max: 2.5, noNaN: true }),
});
const toScreen = ({ x, y, scale }: Camera, at: { x: number; y: number }) => ({
  x: at.x * scale + x,
  y: at.y * scale + y,
});

it("shows all of any graph on any screen at first, not enlarged, below the buttons", () => {
  fc.assert(
    fc.property(content, screen, (size, view) => {
      const { x, y, scale } = fitIn(size, view);
      expect(scale > 0 && scale <= 1).toBe(true);
      expect(x >= 0 && x + size.width * scale <= view.width + 1e-6).toBe(true);
      expect(y >= 0 && y + size.height * scale <= view.height + 1e-6).toBe(true);
      expect(x + (size.width * scale) / 2).toBeCloseTo(view.width / 2);
      // The buttons take the upper left corner, 330 by 54 pixels.
      expect(x >= 330 || y >= 54).toBe(true);
    }),
  );
});

it("keeps the point under the pointer and the limits of the scale at any zoom", () => {
  fc.assert(
    fc.property(camera, fc.double({ min: 0.01, max: 100, noNaN: true }), point, (before, factor, pointer) => {
      const after = zoomAt(before, factor, pointer, 0.05);
      expect(after.scale).toBeCloseTo(Math.min(2.5, Math.max(0.05, before.scale * factor)));
      const kept = toScreen(after, toWorld(before, pointer));
      expect(kept.x).toBeCloseTo(pointer.x, 5);
      expect(kept.y).toBeCloseTo(pointer.y, 5);
    }),
  );
});

it("moves the graph by what the pointer moved", () => {
  fc.assert(
    fc.property(camera, point, point, (before, at, by) => {
      const shown = toScreen(before, at);
      const moved = toScreen(pan(before, by.x, by.y), at);
      expect(moved.x).toBeCloseTo(shown.x + by.x, 6);
      expect(moved.y).toBeCloseTo(shown.y + by.y, 6);
    }),
  );
});

it("reveals a box: whole and large enough to read, and does not move when it is already", () => {
  const box = fc.record({
    x: fc.integer({ min: 0, max: 40_000 }),
    y: fc.integer({ min: 0, max: 40_000 }),
    width: fc.integer({ min: 100, max: 130 }),
    height: fc.integer({ min: 40, max: 90 }),
  });
  fc.assert(
    fc.property(camera, box, screen, (before, target, view) => {
      const after = reveal(before, target, view);
      expect(after.scale).toBeCloseTo(Math.max(before.scale, 0.6));
      const { x, y } = toScreen(after, target);
      expect(x >= 28 - 1e-6 && x + target.width * after.scale <= view.width - 28 + 1e-6).toBe(true);
      expect(y >= 28 - 1e-6 && y + target.height * after.scale <= view.height - 28 + 1e-6).toBe(true);
      const again = reveal(after, target, view);
      expect(again.x).toBeCloseTo(after.x, 6);
      expect(again.y).toBeCloseTo(after.y, 6);
    }),
  );
});
