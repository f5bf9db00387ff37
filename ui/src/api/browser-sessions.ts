/** The browsers that are signed in. */
import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { deleteJson, getJson } from "./client";
import { forgetSecret } from "./secret";
import { sessionQuery } from "./session";
import type { BrowserSessionList, SignedOut } from "./types";

export const browserSessionsQuery = queryOptions({
  queryKey: ["browser-sessions"],
  queryFn: ({ signal }) => getJson<BrowserSessionList>("/api/sessions", {}, signal),
});

/** Signs out one browser by its session's ID, or all of them. */
export function useSignOut() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ sessionId }: { sessionId: string | "all"; own: boolean }) =>
      deleteJson<SignedOut>(
        sessionId === "all" ? "/api/sessions" : `/api/sessions/${encodeURIComponent(sessionId)}`,
      ),
    onSuccess: async (_, { own }) => {
      if (own) {
        forgetSecret();
        // Loading the session again shows how to sign in.
        await client.resetQueries({ queryKey: sessionQuery.queryKey });
      } else await client.invalidateQueries({ queryKey: browserSessionsQuery.queryKey });
    },
  });
}
