import { useState } from "react";
import styles from "./value.module.css";

const MAX_CHARACTERS = 600;

/** A JSON value: a scalar as text, a list or object indented. A long value is cut until the user expands it. */
export function Value({ value }: { readonly value: unknown }) {
  const [open, setOpen] = useState(false);
  const text = valueText(value);
  const long = text.length > MAX_CHARACTERS;
  const shown = long && !open ? `${text.slice(0, MAX_CHARACTERS)}…` : text;
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

const LINE_WIDTH = 60;

/** JSON on one line if it fits, else with one line for each item or field. */
function jsonText(value: unknown, indent: string): string {
  const line = JSON.stringify(value) ?? "null";
  if (value === null || typeof value !== "object" || line.length + indent.length <= LINE_WIDTH)
    return spaced(line, value);
  const inner = `${indent}  `;
  if (Array.isArray(value)) {
    if (value.every((item) => item === null || typeof item !== "object")) return spaced(line, value);
    return `[\n${value.map((item) => inner + jsonText(item, inner)).join(",\n")}\n${indent}]`;
  }
  const fields = Object.entries(value).map(
    ([key, item]) => `${inner}${JSON.stringify(key)}: ${jsonText(item, inner)}`,
  );
  return `{\n${fields.join(",\n")}\n${indent}}`;
}

/** A list of scalars with a space after each comma, so that it can wrap. */
function spaced(line: string, value: unknown): string {
  const plain = Array.isArray(value) && value.every((item) => item === null || typeof item !== "object");
  return plain ? `[${value.map((item) => JSON.stringify(item)).join(", ")}]` : line;
}

export function valueText(value: unknown): string {
  if (typeof value === "string") return value === "" ? '""' : value;
  if (value !== null && typeof value === "object") {
    return jsonText(value, "");
  }
  return String(value);
}
