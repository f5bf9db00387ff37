import { MutationCache, QueryCache, QueryClient } from "@tanstack/react-query";
import { ApiError, isSignedOut } from "@/api/client";
import { sessionQuery } from "@/api/session";

/** One 401 anywhere means the session is over; asking for it again shows the sign-in page. */
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
      // What the server has refused stays refused; what did not arrive is asked for again.
      retry: (failures, problem) => failures < 2 && !(problem instanceof ApiError && problem.status >= 400),
      retryDelay: (attempt) => Math.min(1000 * 2 ** attempt, 8000),
    },
  },
});
