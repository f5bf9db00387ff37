import { Link } from "@tanstack/react-router";
import { Button } from "@/components/button";
import { Command, Notice } from "@/components/notice";

export function SignInPage() {
  return (
    <Notice title="You are not signed in" role="alert">
      <p>
        To sign in, run this command on the machine where Headrace runs. It prints a sign-in link. Open the
        link in this browser:
      </p>
      <Command>headrace ui</Command>
      <p>
        If no server is running, start one. It prints a sign-in link too:
        <br />
        <Command>headrace up</Command>
      </p>
      <p>A sign-in link works once and expires after a few minutes.</p>
    </Notice>
  );
}

export function ErrorPage({ error, reset }: { readonly error: unknown; readonly reset?: () => void }) {
  return (
    <Notice title="Cannot show this page" role="alert">
      <p>{error instanceof Error ? error.message : String(error)}</p>
      {reset && (
        <Button icon="retry" onClick={reset}>
          Try again
        </Button>
      )}
    </Notice>
  );
}

export function NotFoundPage() {
  return (
    <Notice title="Page not found">
      <p>
        <Link to="/runs">Show all runs</Link>
      </p>
    </Notice>
  );
}
