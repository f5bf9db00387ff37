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

export function valueText(value: unknown): string {
  if (typeof value === "string") return value === "" ? '""' : value;
  if (value !== null && typeof value === "object") {
    const line = JSON.stringify(value);
    return line.length <= 64 ? line : JSON.stringify(value, null, 2);
  }
  return String(value);
}
