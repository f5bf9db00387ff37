/** The viewers on random metadata, reports and sources. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Block, type Inline, parseInline, parseMarkdown } from "./markdown-model";
import { confusionOf, formatNumber, rocOf, slicesOf } from "./model";
import { tokensOf } from "./python";

describe("metadata of any shape", () => {
  const key = fc.constantFrom(
    "confusionMatrix",
    "confidenceMetrics",
    "evaluationSlices",
    "struct",
    "list",
    "rows",
    "row",
    "annotationSpecs",
    "recall",
    "falsePositiveRate",
  );
  const wild = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: "small" },
      fc.double(),
      fc.constantFrom("inf", "x", "", null, true),
      fc.array(tie("value"), { maxLength: 3 }),
      fc.dictionary(key, tie("value"), { maxKeys: 4, noNullPrototype: true }),
    ),
  })).value;
  it("is read or left out, and never fails", () => {
    fc.assert(
      fc.property(fc.dictionary(key, wild, { noNullPrototype: true }), (metadata) => {
        const matrix = confusionOf(metadata);
        if (matrix !== null) for (const row of matrix.rows) expect(row).toHaveLength(matrix.labels.length);
        const roc = rocOf(metadata);
        if (roc !== null)
          expect(roc.points.every(({ x, y }) => Number.isFinite(x) && Number.isFinite(y))).toBe(true);
        slicesOf(metadata);
      }),
    );
  });
});

describe("a random confusion matrix", () => {
  const size = fc.integer({ min: 1, max: 5 });
  const square = size.chain((count) =>
    fc.array(fc.array(fc.nat({ max: 1000 }), { minLength: count, maxLength: count }), {
      minLength: count,
      maxLength: count,
    }),
  );
  it("is read bare or wrapped, with its sums", () => {
    fc.assert(
      fc.property(square, fc.boolean(), fc.boolean(), (rows, wrapped, bareRows) => {
        const matrix = {
          annotationSpecs: rows.map((_, at) => ({ displayName: `class ${at}` })),
          rows: bareRows ? rows : rows.map((row) => ({ row })),
        };
        const read = confusionOf({ confusionMatrix: wrapped ? { struct: matrix } : matrix })!;
        expect(read.rows).toEqual(rows);
        expect(read.total).toBe(rows.flat().reduce((sum, cell) => sum + cell, 0));
        expect(read.largest).toBe(Math.max(...rows.flat()));
      }),
    );
  });
});

describe("a random ROC curve", () => {
  const rate = fc.double({ min: 0, max: 1, noNaN: true });
  it("goes to the right, and its area and that of its mirror image are one", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(rate, rate), { minLength: 2, maxLength: 10 }), (pairs) => {
        const readings = pairs.map(([falsePositiveRate, recall], at) => ({
          falsePositiveRate,
          recall,
          confidenceThreshold: at,
        }));
        const roc = rocOf({ confidenceMetrics: readings })!;
        expect(roc.points).toHaveLength(pairs.length);
        roc.points.forEach((point, at) => {
          if (at > 0) expect(point.x).toBeGreaterThanOrEqual(roc.points[at - 1]!.x);
          expect(pairs[point.threshold!]).toEqual([point.x, point.y]);
        });
        expect(roc.area >= -1e-9 && roc.area <= 1 + 1e-9).toBe(true);
      }),
    );
    // By hand: half a square and a triangle.
    const reading = (x: number, y: number) => ({ falsePositiveRate: x, recall: y });
    expect(rocOf({ confidenceMetrics: [reading(0.5, 1), reading(0, 0)] })!.area).toBeCloseTo(0.75);
  });
});

it("writes numbers so that they can be read back to six digits", () => {
  fc.assert(
    fc.property(fc.double({ min: -1e15, max: 1e15, noNaN: true }), (value) => {
      const read = Number(formatNumber(value).replaceAll(",", ""));
      expect(Math.abs(read - value)).toBeLessThanOrEqual(Math.abs(value) * 1e-5);
      if (Number.isInteger(value)) expect(read === value).toBe(true);
    }),
  );
  expect([Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN].map(formatNumber)).toEqual([
    "∞",
    "−∞",
    "not a number",
  ]);
});

/** All text of parsed Markdown, and all its links. */
function collect(parts: readonly Inline[], text: string[], links: string[]): void {
  for (const part of parts) {
    if ("text" in part) text.push(part.text);
    else {
      if (part.kind === "link") links.push(part.href);
      collect(part.children, text, links);
    }
  }
}

function partsOf(block: Block): readonly Inline[] {
  if (block.kind === "list") return block.items.flat();
  if (block.kind === "table") return [...block.head, ...block.rows.flat()].flat();
  return block.kind === "code" || block.kind === "rule" ? [] : block.children;
}

describe("random Markdown", () => {
  const token = fc.constantFrom(
    "a",
    "word",
    " ",
    "\n",
    "\n\n",
    "*",
    "**",
    "_",
    "`",
    "```",
    "#",
    "- ",
    "1. ",
    "> ",
    "|",
    "|---|",
    "[",
    "](",
    "javascript:x",
    "https://x.example",
    "[a](javascript:x)",
    "[a](/api/runs)",
    "[a](data:text/html,x)",
    ")",
    "!",
    "<b>",
    "\r\n",
  );
  it("is read to its end, and has only links to the web", () => {
    fc.assert(
      fc.property(fc.array(token, { maxLength: 40 }), (tokens) => {
        const text: string[] = [];
        const links: string[] = [];
        for (const block of parseMarkdown(tokens.join(""))) collect(partsOf(block), text, links);
        for (const link of links) expect(link).toMatch(/^https?:\/\//i);
      }),
      { numRuns: 500 },
    );
  });

  const word = fc.stringMatching(/^[a-z]{1,6}$/);
  const words = fc.array(word, { minLength: 1, maxLength: 4 }).map((list) => list.join(" "));
  const plain = (text: string): Inline[] => [{ kind: "text", text }];
  /** A block's source, and the block itself. */
  const block: fc.Arbitrary<[string, Block]> = fc.oneof(
    words.map((text): [string, Block] => [text, { kind: "paragraph", children: plain(text) }]),
    fc
      .tuple(fc.integer({ min: 1, max: 6 }), words)
      .map(([level, text]): [string, Block] => [
        `${"#".repeat(level)} ${text}`,
        { kind: "heading", level, children: plain(text) },
      ]),
    fc
      .tuple(fc.boolean(), fc.array(words, { minLength: 1, maxLength: 4 }))
      .map(([ordered, items]): [string, Block] => [
        items.map((text, at) => `${ordered ? `${at + 1}.` : "-"} ${text}`).join("\n"),
        { kind: "list", ordered, items: items.map(plain) },
      ]),
    words.map((text): [string, Block] => [`> ${text}`, { kind: "quote", children: plain(text) }]),
    fc
      .array(words, { maxLength: 3 })
      .map((lines): [string, Block] => [
        ["```", ...lines, "```"].join("\n"),
        { kind: "code", text: lines.join("\n") },
      ]),
    fc.constant<[string, Block]>(["---", { kind: "rule" }]),
    fc
      .tuple(
        fc.integer({ min: 1, max: 3 }),
        fc.array(fc.infiniteStream(word), { minLength: 1, maxLength: 4 }),
      )
      .map(([columns, streams]): [string, Block] => {
        const rows = streams.map((stream) => [...stream.take(columns)]);
        const [head, ...rest] = rows.map((row) => `| ${row.join(" | ")} |`) as [string, ...string[]];
        const cells = rows.map((row) => row.map(plain));
        return [
          [head, `|${"---|".repeat(columns)}`, ...rest].join("\n"),
          { kind: "table", head: cells[0]!, rows: cells.slice(1) },
        ];
      }),
  );
  it("is read block by block", () => {
    fc.assert(
      fc.property(fc.array(block, { maxLength: 6 }), (blocks) => {
        const source = blocks.map(([text]) => text).join("\n\n");
        const expected = blocks.map(([, value]) => value);
        expect(parseMarkdown(source)).toEqual(expected);
      }),
    );
  });

  const styled: fc.Arbitrary<[string, Inline]> = fc.oneof(
    word.map((text): [string, Inline] => [`**${text}**`, { kind: "strong", children: plain(text) }]),
    word.map((text): [string, Inline] => [`__${text}__`, { kind: "strong", children: plain(text) }]),
    word.map((text): [string, Inline] => [`*${text}*`, { kind: "em", children: plain(text) }]),
    word.map((text): [string, Inline] => [`_${text}_`, { kind: "em", children: plain(text) }]),
    word.map((text): [string, Inline] => [`\`${text}\``, { kind: "code", text }]),
    word.map((text): [string, Inline] => [
      `[${text}](https://x.example/${text})`,
      { kind: "link", href: `https://x.example/${text}`, children: plain(text) },
    ]),
  );
  it("keeps every style between plain words", () => {
    fc.assert(
      fc.property(fc.array(styled, { minLength: 1, maxLength: 5 }), (parts) => {
        const source = parts.map(([text]) => text).join(" and ");
        const expected = parts.flatMap(([, value], at) => (at === 0 ? [value] : [...plain(" and "), value]));
        expect(parseInline(source)).toEqual(expected);
      }),
    );
  });
});

describe("random Python", () => {
  const token = fc.constantFrom(
    "def",
    " ",
    "f",
    "(",
    "'",
    '"',
    "'''",
    '"""',
    "#",
    "\n",
    "\\",
    "1",
    "3.5e7",
    "return",
    "r",
    "x",
  );
  it("keeps its text in tokens", () => {
    fc.assert(
      fc.property(fc.array(token, { maxLength: 40 }), (parts) => {
        const source = parts.join("");
        expect(
          tokensOf(source)
            .map((each) => each.text)
            .join(""),
        ).toBe(source);
      }),
    );
  });

  const piece = fc.oneof(
    fc.constantFrom("def", "return", "None", "lambda").map((text) => ({ kind: "keyword", text })),
    fc.constantFrom("1", "0.5", "3e7", "10_000").map((text) => ({ kind: "number", text })),
    fc
      .constantFrom('"a # b"', "'it\\'s'", 'f"{x}"', '"""two\nlines"""', "rb'x'")
      .map((text) => ({ kind: "text", text })),
    fc.constantFrom("name", "define", "x1", "+").map((text) => ({ kind: "plain", text })),
  );
  it("gives each piece its colour", () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
        const source = `${pieces.map((each) => each.text).join(" ")} # a "comment"`;
        const tokens = tokensOf(source).filter((each) => each.kind !== "plain");
        const expected = pieces.filter((each) => each.kind !== "plain");
        expect(tokens).toEqual([...expected, { kind: "comment", text: '# a "comment"' }]);
      }),
    );
  });
});
