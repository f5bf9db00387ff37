import type { ExecutionDetail } from "@/api/types";
import { Section } from "@/components/section";
import styles from "./code.module.css";
import { tokensOf } from "./python";

/** What the task runs: the component's source, image, command and arguments. */
export default function Code({ detail }: { readonly detail: ExecutionDetail }) {
  return (
    <>
      {detail.source && (
        <Section title="Source">
          <pre className={styles.code}>
            {tokensOf(detail.source).map((token, at) =>
              token.kind === "plain" ? (
                token.text
              ) : (
                <span key={at} className={styles[token.kind]}>
                  {token.text}
                </span>
              ),
            )}
          </pre>
        </Section>
      )}
      {detail.image && (
        <Section title="Image">
          <pre className={styles.code}>{detail.image}</pre>
        </Section>
      )}
      {!detail.source && detail.command.length > 0 && (
        <Section title="Command">
          <pre className={styles.code}>{detail.command.join("\n")}</pre>
        </Section>
      )}
      {!detail.source && detail.args.length > 0 && (
        <Section title="Arguments">
          <pre className={styles.code}>{detail.args.join("\n")}</pre>
        </Section>
      )}
    </>
  );
}
