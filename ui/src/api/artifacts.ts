import { queryOptions } from "@tanstack/react-query";
import { postJson, send } from "./client";
import type { ContentLink } from "./types";

/** Signed links are good for minutes; a viewer asks for its own when it opens. */
export function contentLinkQuery(artifactId: string) {
  return queryOptions({
    queryKey: ["artifact-link", artifactId] as const,
    queryFn: () => contentLink(artifactId),
    // A frame that changed its address would load again, so one is enough while the viewer is open.
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
