/** Markdown parsed into values: the part of it that reports use. Anything else stays text; nothing becomes HTML. */

export type Inline =
  | { readonly kind: "text" | "code"; readonly text: string }
  | { readonly kind: "strong" | "em"; readonly children: readonly Inline[] }
  | { readonly kind: "link"; readonly href: string; readonly children: readonly Inline[] };

export type Block =
  | { readonly kind: "heading"; readonly level: number; readonly children: readonly Inline[] }
  | { readonly kind: "paragraph" | "quote"; readonly children: readonly Inline[] }
  | { readonly kind: "list"; readonly ordered: boolean; readonly items: readonly (readonly Inline[])[] }
  | { readonly kind: "code"; readonly text: string }
  | {
      readonly kind: "table";
      readonly head: readonly (readonly Inline[])[];
      readonly rows: readonly (readonly (readonly Inline[])[])[];
    }
  | { readonly kind: "rule" };

const LIST = /^\s*(?:[-*+]|(\d+)[.)])\s+(.*)$/;
const SPECIAL = /^(#{1,6}\s|```|>|\s*([-*+]|\d+[.)])\s+|(-{3,}|\*{3,})\s*$)/;

export function parseMarkdown(source: string): Block[] {
  const lines = source.replace(/\r\n?/g, "\n").split("\n");
  const blocks: Block[] = [];
  let at = 0;
  const takeWhile = (keep: (line: string) => boolean): string[] => {
    const taken: string[] = [];
    while (at < lines.length && keep(lines[at]!)) {
      taken.push(lines[at]!);
      at += 1;
    }
    return taken;
  };
  while (at < lines.length) {
    const line = lines[at]!;
    const heading = /^(#{1,6})\s+(.*?)\s*#*$/.exec(line);
    if (line.trim() === "") at += 1;
    else if (heading) {
      blocks.push({ kind: "heading", level: heading[1]!.length, children: parseInline(heading[2]!) });
      at += 1;
    } else if (line.startsWith("```")) {
      at += 1;
      blocks.push({ kind: "code", text: takeWhile((next) => !next.startsWith("```")).join("\n") });
      at += 1;
    } else if (/^(-{3,}|\*{3,})\s*$/.test(line)) {
      blocks.push({ kind: "rule" });
      at += 1;
    } else if (line.startsWith(">")) {
      const text = takeWhile((next) => next.startsWith(">")).map((next) => next.replace(/^>\s?/, ""));
      blocks.push({ kind: "quote", children: parseInline(text.join(" ")) });
    } else if (LIST.test(line)) blocks.push(listOf(takeWhile((next) => LIST.test(next))));
    else if (
      line.includes("|") &&
      /^[\s|:-]+$/.test(lines[at + 1] ?? "") &&
      (lines[at + 1] ?? "").includes("-")
    ) {
      const [head, , ...rows] = takeWhile((next) => next.includes("|"));
      blocks.push({ kind: "table", head: cellsOf(head!), rows: rows.map(cellsOf) });
    } else {
      // Always consume this line, whatever it is, so that the loop ends.
      at += 1;
      const text = [line, ...takeWhile((next) => next.trim() !== "" && !SPECIAL.test(next))];
      blocks.push({ kind: "paragraph", children: parseInline(text.join(" ")) });
    }
  }
  return blocks;
}

function listOf(lines: readonly string[]): Block {
  const matches = lines.map((line) => LIST.exec(line)!);
  return {
    kind: "list",
    ordered: matches[0]![1] !== undefined,
    items: matches.map((match) => parseInline(match[2]!)),
  };
}

function cellsOf(line: string): Inline[][] {
  const cells = line
    .trim()
    .replace(/^\||\|$/g, "")
    .split("|");
  return cells.map((cell) => parseInline(cell.trim()));
}

const INLINE =
  /`([^`]+)`|\*\*([^*]+)\*\*|__([^_]+)__|\*([^*\s][^*]*)\*|(?<!\w)_([^_\s][^_]*)_(?!\w)|!?\[([^\]]*)\]\(([^)\s]+)[^)]*\)/g;

export function parseInline(source: string): Inline[] {
  const parts: Inline[] = [];
  let after = 0;
  for (const match of source.matchAll(INLINE)) {
    if (match.index > after) parts.push({ kind: "text", text: source.slice(after, match.index) });
    after = match.index + match[0].length;
    const [, code, strong, strong2, em, em2, label, href] = match;
    const loud = strong ?? strong2;
    const soft = em ?? em2;
    if (code !== undefined) parts.push({ kind: "code", text: code });
    else if (loud !== undefined) parts.push({ kind: "strong", children: parseInline(loud) });
    else if (soft !== undefined) parts.push({ kind: "em", children: parseInline(soft) });
    else if (!match[0].startsWith("!") && isSafe(href!)) {
      parts.push({ kind: "link", href: href!, children: parseInline(label!) });
    } else parts.push({ kind: "text", text: label! });
  }
  if (after < source.length) parts.push({ kind: "text", text: source.slice(after) });
  return parts;
}

/** Only absolute http(s) addresses: no `javascript:`, no `data:`, no path on this server. */
function isSafe(href: string): boolean {
  return /^https?:\/\//i.test(href);
}
