import { queryOptions } from "@tanstack/react-query";
import { postJson, send } from "./client";
import type { ContentLink } from "./types";

/** A signed link to an artifact's content. It expires after minutes, so each viewer gets its own. */
export function contentLinkQuery(artifactId: string) {
  return queryOptions({
    queryKey: ["artifact-link", artifactId] as const,
    queryFn: () => contentLink(artifactId),
    // A new link would reload the frame, so an open viewer keeps its link.
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
  });
}

export function contentLink(artifactId: string, download = false): Promise<ContentLink> {
  return postJson<ContentLink>(`/api/artifacts/${encodeURIComponent(artifactId)}/link`, { download });
}

/** An artifact's content as text, read from the content origin without credentials. */
export function artifactTextQuery(artifactId: string) {
  return queryOptions({
    queryKey: ["artifact-text", artifactId] as const,
    queryFn: async ({ signal }) => {
      const link = await contentLink(artifactId);
      const response = await send(link.url, { credentials: "omit", signal });
      return await response.text();
    },
    staleTime: Number.POSITIVE_INFINITY,
  });
}
