import { describe, expect, it } from "vitest";
import { confusionOf, formatNumber, rocOf, slicesOf } from "./model";

const matrix = {
  annotationSpecs: [{ displayName: "cat" }, { displayName: "dog" }],
  rows: [{ row: [8, 2] }, { row: [1, 9] }],
};

describe("a confusion matrix", () => {
  it.each([matrix, { struct: matrix }])("is read bare and boxed", (confusionMatrix) => {
    expect(confusionOf({ confusionMatrix })).toEqual({
      labels: ["cat", "dog"],
      rows: [
        [8, 2],
        [1, 9],
      ],
      largest: 9,
      total: 20,
    });
  });

  it("keeps cells that are not a number, and counts the others", () => {
    const rows = [{ row: [8, "nan"] }, { row: ["Infinity", 9] }];
    const found = confusionOf({ confusionMatrix: { ...matrix, rows } });
    expect(found).toEqual({
      labels: ["cat", "dog"],
      rows: [
        [8, Number.NaN],
        [Number.POSITIVE_INFINITY, 9],
      ],
      largest: 9,
      total: 17,
    });
    expect(found?.rows.flat().map(formatNumber)).toEqual(["8", "not a number", "∞", "9"]);
  });

  it.each([{}, { confusionMatrix: "x" }, { confusionMatrix: { ...matrix, rows: [{ row: [1] }] } }])(
    "of another shape is not drawn: %j",
    (metadata) => {
      expect(confusionOf(metadata)).toBeNull();
    },
  );
});

describe("a ROC curve", () => {
  it("is sorted and measured", () => {
    const reading = (confidenceThreshold: unknown, falsePositiveRate: number, recall: number) => ({
      confidenceThreshold,
      falsePositiveRate,
      recall,
    });
    const roc = rocOf({
      confidenceMetrics: { list: [reading(0.1, 1, 1), reading(0.5, 0, 1), reading("inf", 0, 0)] },
    });
    expect(roc?.area).toBe(1);
    expect(roc?.points.map((point) => point.threshold)).toEqual([Number.POSITIVE_INFINITY, 0.5, 0.1]);
  });

  it("by chance has half the area", () => {
    const confidenceMetrics = [0, 0.25, 1].map((rate) => ({ falsePositiveRate: rate, recall: rate }));
    expect(rocOf({ confidenceMetrics })?.area).toBeCloseTo(0.5);
  });
});

it("reads slices", () => {
  const metadata = {
    evaluationSlices: [{ slice: "north", sliceClassificationMetrics: { confusionMatrix: matrix } }],
  };
  expect(slicesOf(metadata)[0]?.name).toBe("north");
  expect(confusionOf(slicesOf(metadata)[0]!.metadata)?.total).toBe(20);
});

it.each([
  [0.9649122807, "0.964912"],
  [12345, "12,345"],
  [1e-7, "1e-7"],
  [Number.POSITIVE_INFINITY, "∞"],
])("writes %d as %s", (value, words) => {
  expect(formatNumber(value)).toBe(words);
});
