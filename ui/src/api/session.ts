import { queryOptions } from "@tanstack/react-query";
import { getJson } from "./client";
import type { SessionView } from "./types";

export const sessionQuery = queryOptions({
  queryKey: ["session"],
  queryFn: ({ signal }) => getJson<SessionView>("/api/session", {}, signal),
  staleTime: Number.POSITIVE_INFINITY,
});
