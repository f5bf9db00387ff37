import { useState } from "react";
import styles from "./value.module.css";

const LONG = 600;

/** A JSON value: a scalar as it is, anything else indented; what is long is opened on demand. */
export function Value({ value }: { readonly value: unknown }) {
  const [open, setOpen] = useState(false);
  const text = valueText(value);
  const long = text.length > LONG;
  const shown = long && !open ? `${text.slice(0, LONG)}…` : text;
  const kind = value === null ? "null" : typeof value;
  return (
    <div className={styles.value}>
      <pre className={styles.text} data-kind={kind}>
        {shown}
      </pre>
      {long && (
        <button type="button" className={styles.more} onClick={() => setOpen(!open)}>
          {open ? "Show less" : `Show all ${text.length.toLocaleString("en")} characters`}
        </button>
      )}
    </div>
  );
}

const LINE = 60;

/** JSON with a line for each part that does not fit one. */
function written(value: unknown, indent: string): string {
  const line = JSON.stringify(value) ?? "null";
  if (value === null || typeof value !== "object" || line.length + indent.length <= LINE)
    return spaced(line, value);
  const inner = `${indent}  `;
  if (Array.isArray(value)) {
    if (value.every((item) => item === null || typeof item !== "object")) return spaced(line, value);
    return `[\n${value.map((item) => inner + written(item, inner)).join(",\n")}\n${indent}]`;
  }
  const fields = Object.entries(value).map(
    ([key, item]) => `${inner}${JSON.stringify(key)}: ${written(item, inner)}`,
  );
  return `{\n${fields.join(",\n")}\n${indent}}`;
}

/** A list of plain values with room to break between them. */
function spaced(line: string, value: unknown): string {
  const plain = Array.isArray(value) && value.every((item) => item === null || typeof item !== "object");
  return plain ? `[${value.map((item) => JSON.stringify(item)).join(", ")}]` : line;
}

export function valueText(value: unknown): string {
  if (typeof value === "string") return value === "" ? '""' : value;
  if (value !== null && typeof value === "object") {
    return written(value, "");
  }
  return String(value);
}
