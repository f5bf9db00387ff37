/** The run that a link of KFP's own UI leads to: kfp.Client prints them for every run it starts. */
export function runOfKfpLink(hash: string): string | null {
  return /^#?\/runs\/details\/([^/?#]+)/.exec(hash)?.[1] ?? null;
}
