import { type PointerEvent, useState } from "react";
import styles from "./classification.module.css";
import { type ConfusionMatrix, confusionOf, formatNumber, type Roc, type RocPoint, rocOf } from "./model";

export function Classification({ metadata }: { readonly metadata: Readonly<Record<string, unknown>> }) {
  const confusion = confusionOf(metadata);
  const roc = rocOf(metadata);
  if (confusion === null && roc === null)
    return <p className={styles.dim}>This task logged no confusion matrix and no ROC curve.</p>;
  return (
    <>
      {confusion && <Confusion matrix={confusion} />}
      {roc && <RocCurve roc={roc} />}
    </>
  );
}

function Confusion({ matrix }: { readonly matrix: ConfusionMatrix }) {
  const { labels, rows, largest, total } = matrix;
  return (
    <figure className={styles.figure}>
      <div className={styles.scroll}>
        <table className={styles.matrix}>
          <caption className="unseen">
            Confusion matrix: a row for each actual class, a column for each predicted one
          </caption>
          <thead>
            <tr>
              <td />
              <th colSpan={labels.length} className={styles.axis}>
                Predicted
              </th>
            </tr>
            <tr>
              <th className={styles.axis}>Actual</th>
              {labels.map((label) => (
                <th key={label} scope="col">
                  {label}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((row, actual) => (
              <tr key={labels[actual]}>
                <th scope="row">{labels[actual]}</th>
                {row.map((cell, predicted) => {
                  const counted = Number.isFinite(cell);
                  const share = counted && largest > 0 ? cell / largest : 0;
                  const percent = total > 0 ? ((100 * cell) / total).toFixed(1) : "0";
                  const words = counted ? `${cell}, ${percent} % of all` : formatNumber(cell);
                  return (
                    <td
                      key={labels[predicted]}
                      className={styles.cell}
                      data-deep={share > 0.55}
                      style={{
                        backgroundColor: `color-mix(in srgb, var(--accent) ${Math.round(share * 88)}%, var(--raised))`,
                      }}
                      title={`${labels[actual]} predicted as ${labels[predicted]}: ${words}`}
                    >
                      {formatNumber(cell)}
                    </td>
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <figcaption className={styles.caption}>Confusion matrix of {formatNumber(total)} samples</figcaption>
    </figure>
  );
}

const SIDE = 300;
const LEFT = 42;
const TOP = 10;
const BOTTOM = 38;
const STEPS = [0, 0.25, 0.5, 0.75, 1];

const toX = (rate: number): number => LEFT + rate * SIDE;
const toY = (rate: number): number => TOP + (1 - rate) * SIDE;

function RocCurve({ roc }: { readonly roc: Roc }) {
  const [near, setNear] = useState<RocPoint | null>(null);
  const path = roc.points
    .map((point, at) => `${at === 0 ? "M" : "L"}${toX(point.x)} ${toY(point.y)}`)
    .join("");
  const first = roc.points[0]!;
  const last = roc.points[roc.points.length - 1]!;
  const area = `M${toX(first.x)} ${toY(0)}${path.replace("M", "L")}L${toX(last.x)} ${toY(0)}Z`;
  const onPointerMove = (event: PointerEvent<SVGSVGElement>): void => {
    const frame = event.currentTarget.getBoundingClientRect();
    const scale = (LEFT + SIDE + 10) / frame.width;
    const x = ((event.clientX - frame.left) * scale - LEFT) / SIDE;
    const y = 1 - ((event.clientY - frame.top) * scale - TOP) / SIDE;
    const distance = (point: RocPoint): number => Math.hypot(point.x - x, point.y - y);
    setNear(roc.points.reduce((best, point) => (distance(point) < distance(best) ? point : best)));
  };
  return (
    <figure className={styles.figure}>
      <svg
        className={styles.roc}
        viewBox={`0 0 ${LEFT + SIDE + 10} ${TOP + SIDE + BOTTOM}`}
        role="img"
        aria-label={`ROC curve of ${roc.points.length} points, area under it ${roc.area.toFixed(3)}`}
        onPointerMove={onPointerMove}
        onPointerLeave={() => setNear(null)}
      >
        {STEPS.map((step) => (
          <g key={step}>
            <path
              className={styles.grid}
              d={`M${toX(0)} ${toY(step)}H${toX(1)}M${toX(step)} ${toY(0)}V${toY(1)}`}
            />
            <text className={styles.label} x={toX(step)} y={toY(0) + 15} textAnchor="middle">
              {step}
            </text>
            <text className={styles.label} x={LEFT - 7} y={toY(step) + 3.5} textAnchor="end">
              {step}
            </text>
          </g>
        ))}
        <text className={styles.label} x={toX(0.5)} y={toY(0) + 32} textAnchor="middle">
          False positive rate
        </text>
        <text
          className={styles.label}
          transform={`translate(10 ${toY(0.5)}) rotate(-90)`}
          textAnchor="middle"
        >
          True positive rate
        </text>
        <path className={styles.chance} d={`M${toX(0)} ${toY(0)}L${toX(1)} ${toY(1)}`} />
        <path className={styles.area} d={area} />
        <path className={styles.curve} d={path} />
        {near && <circle className={styles.point} cx={toX(near.x)} cy={toY(near.y)} r="4.5" />}
      </svg>
      <figcaption className={styles.caption}>
        ROC curve, area under it <strong>{roc.area.toFixed(4)}</strong>
        <output className={styles.readout}>
          {near === null
            ? ""
            : `${near.threshold === null ? "" : `threshold ${formatNumber(near.threshold)}, `}false positives ${formatNumber(near.x)}, true positives ${formatNumber(near.y)}`}
        </output>
      </figcaption>
    </figure>
  );
}
