/** The run ID in a link to KFP's own UI, or null. `kfp.Client` prints such a link for every run it starts. */
export function runIdFromKfpLink(hash: string): string | null {
  return /^#?\/runs\/details\/([^/?#]+)/.exec(hash)?.[1] ?? null;
}
