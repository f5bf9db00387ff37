import { MutationCache, QueryCache, QueryClient } from "@tanstack/react-query";
import { ApiError, isSignedOut } from "@/api/client";
import { sessionQuery } from "@/api/session";

/** A 401 on any request means that the session has ended. Loading the session again shows the sign-in page. */
function onError(problem: unknown): void {
  if (isSignedOut(problem) && queryClient.getQueryState(sessionQuery.queryKey)?.status === "success") {
    void queryClient.resetQueries({ queryKey: sessionQuery.queryKey });
  }
}

export const queryClient: QueryClient = new QueryClient({
  queryCache: new QueryCache({ onError }),
  mutationCache: new MutationCache({ onError }),
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      // Do not retry a request that the server refused. Retry one that got no answer.
      retry: (failures, problem) => failures < 2 && !(problem instanceof ApiError && problem.status >= 400),
      retryDelay: (attempt) => Math.min(1000 * 2 ** attempt, 8000),
    },
  },
});
