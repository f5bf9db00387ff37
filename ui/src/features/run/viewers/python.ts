export interface Token {
  readonly kind: "plain" | "keyword" | "text" | "comment" | "number";
  readonly text: string;
}

const KEYWORDS =
  "False|None|True|and|as|assert|async|await|break|case|class|continue|def|del|elif|else|except|finally|for|from|global|if|import|in|is|lambda|match|nonlocal|not|or|pass|raise|return|try|while|with|yield";
const PATTERN = new RegExp(
  [
    "(?<comment>#[^\\n]*)",
    "(?<text>\\b[rRbBfFuU]{0,2}(?:\"\"\"[\\s\\S]*?(?:\"\"\"|$)|'''[\\s\\S]*?(?:'''|$))|\\b[rRbBfFuU]{0,2}\"(?:\\\\.|[^\"\\\\\\n])*\"?|\\b[rRbBfFuU]{0,2}'(?:\\\\.|[^'\\\\\\n])*'?|\"\"\"[\\s\\S]*?(?:\"\"\"|$)|'''[\\s\\S]*?(?:'''|$)|\"(?:\\\\.|[^\"\\\\\\n])*\"?|'(?:\\\\.|[^'\\\\\\n])*'?)",
    `(?<keyword>\\b(?:${KEYWORDS})\\b)`,
    "(?<number>\\b\\d[\\d_]*(?:\\.\\d+)?(?:[eE][+-]?\\d+)?\\b)",
  ].join("|"),
  "g",
);

/** Python source split into tokens for syntax colours. Not a full parser. */
export function tokensOf(source: string): Token[] {
  const tokens: Token[] = [];
  let after = 0;
  for (const match of source.matchAll(PATTERN)) {
    if (match.index > after) tokens.push({ kind: "plain", text: source.slice(after, match.index) });
    const kind = (["comment", "text", "keyword", "number"] as const).find(
      (name) => match.groups?.[name] !== undefined,
    );
    tokens.push({ kind: kind ?? "plain", text: match[0] });
    after = match.index + match[0].length;
  }
  if (after < source.length) tokens.push({ kind: "plain", text: source.slice(after) });
  return tokens;
}
