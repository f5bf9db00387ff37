import type { ReactNode } from "react";
import styles from "./notice.module.css";

interface NoticeProps {
  readonly title: string;
  readonly children?: ReactNode;
  readonly role?: "status" | "alert";
}

/** A message in place of content: an empty list, or an error with its fix. */
export function Notice({ title, children, role = "status" }: NoticeProps) {
  return (
    <div className={styles.notice} role={role}>
      <h2 className={styles.title}>{title}</h2>
      {children}
    </div>
  );
}

export function Command({ children }: { readonly children: string }) {
  return <code className={styles.command}>{children}</code>;
}
