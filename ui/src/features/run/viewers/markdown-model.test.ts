import { expect, it } from "vitest";
import { parseInline, parseMarkdown } from "./markdown-model";

it("parses the Markdown that reports use", () => {
  const source =
    "# Title\n\nOne *soft* **loud** `code`\nsame paragraph\n\n- a\n- b\n\n| x | y |\n|---|--:|\n| 1 | 2 |\n\n```\nraw **text**\n```";
  expect(parseMarkdown(source)).toEqual([
    { kind: "heading", level: 1, children: [{ kind: "text", text: "Title" }] },
    {
      kind: "paragraph",
      children: [
        { kind: "text", text: "One " },
        { kind: "em", children: [{ kind: "text", text: "soft" }] },
        { kind: "text", text: " " },
        { kind: "strong", children: [{ kind: "text", text: "loud" }] },
        { kind: "text", text: " " },
        { kind: "code", text: "code" },
        { kind: "text", text: " same paragraph" },
      ],
    },
    { kind: "list", ordered: false, items: [[{ kind: "text", text: "a" }], [{ kind: "text", text: "b" }]] },
    {
      kind: "table",
      head: [[{ kind: "text", text: "x" }], [{ kind: "text", text: "y" }]],
      rows: [[[{ kind: "text", text: "1" }], [{ kind: "text", text: "2" }]]],
    },
    { kind: "code", text: "raw **text**" },
  ]);
});

it.each([
  "[x](javascript:alert(1))",
  "[x](data:text/html,1)",
  "[x](/api/runs)",
  "![x](https://a.example/p.png)",
])("makes no link of %s", (source) => {
  expect(parseInline(source).some((part) => part.kind === "link")).toBe(false);
});

it("leaves HTML as text", () => {
  expect(parseInline("<script>x</script>")).toEqual([{ kind: "text", text: "<script>x</script>" }]);
});

it.each(["> ", "```", "- ", "|", "|\n-", "#", "#######", "---", "1.", "\n\n\n", "a\n# b"])(
  "terminates on %j",
  (source) => {
    expect(parseMarkdown(source).length).toBeGreaterThanOrEqual(0);
  },
);
