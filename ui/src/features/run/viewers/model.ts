/** What the viewers draw, read from an artifact's metadata. Metadata of any shape is accepted. */

import type { ArtifactView, BundleView } from "@/api/types";

const SHOWN = new Set([
  "system.Metrics",
  "system.ClassificationMetrics",
  "system.SlicedClassificationMetrics",
  "system.HTML",
  "system.Markdown",
]);

export function visualsOf(outputs: BundleView): ArtifactView[] {
  return Object.values(outputs.artifacts)
    .flat()
    .filter((artifact) => SHOWN.has(artifact.type));
}

type Fields = Readonly<Record<string, unknown>>;

function fieldsOf(value: unknown): Fields {
  return value !== null && typeof value === "object" && !Array.isArray(value) ? (value as Fields) : {};
}

/** KFP's clients write a list or struct either directly or as `{list: …}` or `{struct: …}`. */
function unwrap(value: unknown): unknown {
  const fields = fieldsOf(value);
  return fields.struct ?? fields.list ?? value;
}

function listOf(value: unknown): readonly unknown[] {
  const open = unwrap(value);
  return Array.isArray(open) ? open : [];
}

function numberOf(value: unknown): number | null {
  if (typeof value === "number") return value;
  // JSON has no infinity, so the SDK writes it as text.
  if (typeof value === "string" && value.trim() !== "") {
    const number = Number(value.replace(/^([+-]?)inf(inity)?$/i, "$1Infinity"));
    return Number.isNaN(number) ? null : number;
  }
  return null;
}

export function metricsOf(artifact: ArtifactView): [name: string, value: string | number][] {
  return Object.entries(artifact.metadata)
    .filter(([name]) => name !== "display_name" && name !== "store_session_info")
    .map(([name, value]) => [name, typeof value === "number" ? value : valueText(value)]);
}

function valueText(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** A number with at most six significant digits; an integer with all its digits. */
export function formatNumber(value: number): string {
  if (Number.isInteger(value)) return value.toLocaleString("en");
  if (!Number.isFinite(value)) return value > 0 ? "∞" : value < 0 ? "−∞" : "not a number";
  const text = Number(value.toPrecision(6)).toString();
  return text;
}

export interface ConfusionMatrix {
  readonly labels: readonly string[];
  /** `rows[actual][predicted]` */
  readonly rows: readonly (readonly number[])[];
  readonly largest: number;
  readonly total: number;
}

export function confusionOf(metadata: Fields): ConfusionMatrix | null {
  const matrix = fieldsOf(unwrap(metadata.confusionMatrix));
  const labels = listOf(matrix.annotationSpecs).map((spec) => String(fieldsOf(spec).displayName ?? ""));
  const rows = listOf(matrix.rows).map((row) =>
    listOf(Array.isArray(row) ? row : fieldsOf(row).row).map((cell) => numberOf(cell) ?? Number.NaN),
  );
  if (labels.length === 0 || rows.length !== labels.length) return null;
  if (rows.some((row) => row.length !== labels.length)) return null;
  // What is not a number is shown as such, and does not count.
  const cells = rows.flat().filter(Number.isFinite);
  return { labels, rows, largest: Math.max(...cells, 0), total: cells.reduce((sum, cell) => sum + cell, 0) };
}

export interface RocPoint {
  readonly threshold: number | null;
  /** False positive rate. */
  readonly x: number;
  /** True positive rate. */
  readonly y: number;
}

export interface Roc {
  readonly points: readonly RocPoint[];
  readonly area: number;
}

export function rocOf(metadata: Fields): Roc | null {
  const points = listOf(metadata.confidenceMetrics)
    .map(fieldsOf)
    .flatMap((reading): RocPoint[] => {
      const x = numberOf(reading.falsePositiveRate);
      const y = numberOf(reading.recall);
      if (x === null || y === null || !Number.isFinite(x) || !Number.isFinite(y)) return [];
      return [{ threshold: numberOf(reading.confidenceThreshold), x, y }];
    })
    .sort((a, b) => a.x - b.x || a.y - b.y);
  if (points.length < 2) return null;
  return { points, area: areaUnder(points) };
}

/** The area under the curve from (0, 0) through the points to (1, 1), by the trapezoid rule. */
function areaUnder(points: readonly RocPoint[]): number {
  let area = 0;
  let last = { x: 0, y: 0 };
  for (const point of [...points, { x: 1, y: 1 }]) {
    area += ((point.x - last.x) * (point.y + last.y)) / 2;
    last = point;
  }
  return area;
}

export interface Slice {
  readonly name: string;
  readonly metadata: Fields;
}

export function slicesOf(metadata: Fields): Slice[] {
  return listOf(metadata.evaluationSlices)
    .map(fieldsOf)
    .map((slice) => ({
      name: String(slice.slice ?? ""),
      metadata: fieldsOf(slice.sliceClassificationMetrics),
    }));
}
