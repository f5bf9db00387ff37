import { Link } from "@tanstack/react-router";
import { Button } from "@/components/button";
import { Command, Notice } from "@/components/notice";

export function SignedOut() {
  return (
    <Notice title="This browser is not signed in" role="alert">
      <p>
        Headrace lets in only who has its token. Ask for a new sign-in link in the terminal on the machine
        where Headrace runs, then open it here:
      </p>
      <Command>headrace ui</Command>
      <p>
        If no server is running, start one. It prints such a link:
        <br />
        <Command>headrace up</Command>
      </p>
      <p>A link works once, and only for a few minutes.</p>
    </Notice>
  );
}

export function Problem({ error, reset }: { readonly error: unknown; readonly reset?: () => void }) {
  return (
    <Notice title="This page cannot be shown" role="alert">
      <p>{error instanceof Error ? error.message : String(error)}</p>
      {reset && (
        <Button icon="retry" onClick={reset}>
          Try again
        </Button>
      )}
    </Notice>
  );
}

export function NotFound() {
  return (
    <Notice title="There is no such page">
      <p>
        Go to the <Link to="/runs">list of runs</Link>.
      </p>
    </Notice>
  );
}
