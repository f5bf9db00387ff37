import type { ReactNode } from "react";
import styles from "./section.module.css";

export function Section({ title, children }: { readonly title: string; readonly children: ReactNode }) {
  return (
    <section className={styles.section}>
      <h3 className={styles.title}>{title}</h3>
      {children}
    </section>
  );
}

/** A list of names and values. Empty values are left out. */
export function PropertyList({
  properties,
}: {
  readonly properties: readonly (readonly [string, ReactNode])[];
}) {
  return (
    <dl className={styles.properties}>
      {properties
        .filter(([, value]) => value !== "" && value !== null && value !== undefined && value !== false)
        .map(([name, value]) => (
          <div key={name} className={styles.property}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  );
}
