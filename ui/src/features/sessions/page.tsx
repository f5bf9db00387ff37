import { useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import { browserSessionsQuery, useSignOut } from "@/api/browser-sessions";
import { Button } from "@/components/button";
import { Notice } from "@/components/notice";
import { useNow } from "@/components/use-now";
import { formatAgo, formatExact } from "@/lib/time";
import { browserName } from "./model";
import styles from "./page.module.css";

/** The browsers that are signed in, each with a button that signs it out. */
export function SessionsPage() {
  const list = useQuery(browserSessionsQuery);
  const signOut = useSignOut();
  const now = useNow(false);
  useEffect(() => {
    document.title = "Signed-in browsers · Headrace";
  }, []);
  if (list.error !== null)
    return (
      <Notice title="Cannot load the list of browsers" role="alert">
        <p>{list.error.message}</p>
      </Notice>
    );
  if (list.data === undefined) return <p className={styles.wait}>Loading…</p>;
  const { sessions } = list.data;
  return (
    <article className={styles.page}>
      <header className={styles.head}>
        <h1 className={styles.title}>Signed-in browsers</h1>
        <Button
          variant="danger"
          disabled={signOut.isPending || sessions.length === 0}
          onClick={() => signOut.mutate({ sessionId: "all", own: true })}
        >
          Sign out everywhere
        </Button>
      </header>
      {signOut.error && <p role="alert">{signOut.error.message}</p>}
      {sessions.length === 0 && <p className={styles.wait}>No browser is signed in.</p>}
      <ul className={styles.list}>
        {sessions.map((session) => (
          <li key={session.session_id} className={styles.row} data-current={session.current}>
            <span className={styles.name} title={session.browser}>
              {browserName(session.browser)}
              {session.current && <span className={styles.current}>This browser</span>}
            </span>
            <span className={styles.time} title={formatExact(session.created_at)}>
              signed in {formatAgo(session.created_at, now)}
            </span>
            <span className={styles.time} title={formatExact(session.used_at)}>
              used {formatAgo(session.used_at, now)}
            </span>
            <Button
              disabled={signOut.isPending}
              onClick={() => signOut.mutate({ sessionId: session.session_id, own: session.current ?? false })}
            >
              Sign out
            </Button>
          </li>
        ))}
      </ul>
    </article>
  );
}
