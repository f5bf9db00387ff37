import { useQuery } from "@tanstack/react-query";
import { Link, Outlet } from "@tanstack/react-router";
import { useState } from "react";
import { isSignedOut } from "@/api/client";
import { sessionQuery } from "@/api/session";
import { Button } from "@/components/button";
import { ErrorPage, SignInPage } from "./error-pages";
import styles from "./layout.module.css";
import { applyTheme, storedTheme, type Theme } from "./theme";

export function Layout() {
  const session = useQuery(sessionQuery);
  return (
    <div className={styles.frame}>
      <a className={styles.skip} href="#main">
        Skip to content
      </a>
      <header className={styles.top}>
        <Link to="/runs" className={styles.brand} aria-label="Headrace, list of runs">
          <svg width="22" height="22" viewBox="0 0 32 32" aria-hidden="true">
            <rect width="32" height="32" rx="8" className={styles.logo} />
            <path d="M8 7v18M24 7v18M8 13c5.500 0 5.500 6 16 6" className={styles.logoLine} />
          </svg>
          Headrace
        </Link>
        <nav className={styles.nav} aria-label="Main">
          <Link to="/runs" className={styles.navLink} activeProps={{ "aria-current": "page" }}>
            Runs
          </Link>
        </nav>
        <span className={styles.space} />
        {session.data && <span className={styles.version}>{session.data.version}</span>}
        {session.data && (
          <Link
            to="/sessions"
            className={styles.navLink}
            activeProps={{ "aria-current": "page" }}
            title="Signed-in browsers, and sign out"
          >
            Sign out
          </Link>
        )}
        <ThemeButton />
      </header>
      <main id="main" className={styles.main}>
        {session.error === null ? (
          <Outlet />
        ) : isSignedOut(session.error) ? (
          <SignInPage />
        ) : (
          <ErrorPage error={session.error} reset={() => void session.refetch()} />
        )}
      </main>
    </div>
  );
}

const NEXT: Record<Theme, Theme> = { system: "light", light: "dark", dark: "system" };
const ICONS = { system: "screen", light: "sun", dark: "moon" } as const;

function ThemeButton() {
  const [theme, setTheme] = useState(storedTheme);
  const change = (): void => {
    applyTheme(NEXT[theme]);
    setTheme(NEXT[theme]);
  };
  const label = `Theme: ${theme}. Switch to ${NEXT[theme]}`;
  return <Button variant="quiet" icon={ICONS[theme]} onClick={change} aria-label={label} title={label} />;
}
