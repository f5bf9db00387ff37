import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useEffect } from "react";
import { codeQuery } from "@/api/explanations";
import { CodeText } from "@/components/code-text";
import { Notice } from "@/components/notice";
import { Section } from "@/components/section";
import styles from "./page.module.css";

const route = getRouteApi("/codes/$code");

/** The documentation of one error or reason code: meaning, cause, example, fix. */
export function CodePage() {
  const { code } = route.useParams();
  const page = useQuery(codeQuery(code));
  useEffect(() => {
    document.title = `${code} · Headrace`;
  }, [code]);
  if (page.error !== null)
    return (
      <Notice title="Unknown code" role="alert">
        <p>{page.error.message}</p>
        <p>
          <Link to="/runs">Show all runs</Link>
        </p>
      </Notice>
    );
  if (page.data === undefined) return <p className={styles.wait}>Loading…</p>;
  const { meaning, cause, example, fix } = page.data;
  return (
    <article className={styles.page}>
      <h1 className={styles.code}>{page.data.code}</h1>
      <p className={styles.meaning}>
        <CodeText text={meaning} />
      </p>
      {(
        [
          ["Cause", cause],
          ["Example", example],
          ["How to fix it", fix],
        ] as const
      ).map(
        ([title, text]) =>
          text !== "" && (
            <Section key={title} title={title}>
              <p className={styles.text}>
                <CodeText text={text} />
              </p>
            </Section>
          ),
      )}
    </article>
  );
}
