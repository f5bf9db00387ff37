import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useEffect } from "react";
import { codeQuery } from "@/api/explanations";
import { Notice } from "@/components/notice";
import { Section } from "@/components/section";
import styles from "./page.module.css";

const route = getRouteApi("/codes/$code");

/** What an error code means, as the documentation has it. */
export function CodePage() {
  const { code } = route.useParams();
  const page = useQuery(codeQuery(code));
  useEffect(() => {
    document.title = `${code} · Headrace`;
  }, [code]);
  if (page.error !== null)
    return (
      <Notice title="There is no such code" role="alert">
        <p>{page.error.message}</p>
        <p>
          <Link to="/runs">All runs</Link>
        </p>
      </Notice>
    );
  if (page.data === undefined) return <p className={styles.wait}>Loading…</p>;
  const { meaning, cause, example, fix } = page.data;
  return (
    <article className={styles.page}>
      <h1 className={styles.code}>{page.data.code}</h1>
      <p className={styles.meaning}>
        <Told text={meaning} />
      </p>
      {(
        [
          ["Cause", cause],
          ["Example", example],
          ["What to do", fix],
        ] as const
      ).map(
        ([title, text]) =>
          text !== "" && (
            <Section key={title} title={title}>
              <p className={styles.text}>
                <Told text={text} />
              </p>
            </Section>
          ),
      )}
    </article>
  );
}

/** Text in which backquotes mark code. */
function Told({ text }: { readonly text: string }) {
  return text.split("`").map((part, at) => (at % 2 === 1 ? <code key={at}>{part}</code> : part));
}
