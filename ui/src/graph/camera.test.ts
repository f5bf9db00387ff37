import { describe, expect, it } from "vitest";
import { fitIn, reveal, toWorld, zoomAt } from "./camera";

const view = { width: 1200, height: 700 };

describe("the camera", () => {
  it.each([
    { width: 300, height: 200 },
    { width: 9000, height: 300 },
    { width: 200, height: 40_000 },
    { width: 60_000, height: 60_000 },
  ])("shows all of %j at first", (content) => {
    const camera = fitIn(content, view);
    expect(camera.scale).toBeLessThanOrEqual(1);
    expect(camera.x).toBeGreaterThanOrEqual(0);
    expect(camera.y).toBeGreaterThanOrEqual(0);
    expect(camera.x + content.width * camera.scale).toBeLessThanOrEqual(view.width);
    expect(camera.y + content.height * camera.scale).toBeLessThanOrEqual(view.height);
  });

  it("keeps the point under the pointer where it is", () => {
    const camera = fitIn({ width: 3000, height: 2000 }, view);
    const pointer = { x: 321, y: 123 };
    const before = toWorld(camera, pointer);
    const after = toWorld(zoomAt(camera, 1.7, pointer, 0.01), pointer);
    expect(after.x).toBeCloseTo(before.x);
    expect(after.y).toBeCloseTo(before.y);
  });

  it("keeps the scale between the smallest and the largest", () => {
    const camera = { x: 0, y: 0, scale: 1 };
    expect(zoomAt(camera, 1e-9, { x: 0, y: 0 }, 0.2).scale).toBe(0.2);
    expect(zoomAt(camera, 1e9, { x: 0, y: 0 }, 0.2).scale).toBe(2.5);
  });

  it("brings a box into view, near enough to read", () => {
    const camera = fitIn({ width: 60_000, height: 60_000 }, view);
    const box = { x: 51_000, y: 40_000, width: 216, height: 56 };
    const next = reveal(camera, box, view);
    expect(next.scale).toBeGreaterThanOrEqual(0.6);
    const left = box.x * next.scale + next.x;
    const top = box.y * next.scale + next.y;
    expect(left >= 0 && left + box.width * next.scale <= view.width).toBe(true);
    expect(top >= 0 && top + box.height * next.scale <= view.height).toBe(true);
  });
});
