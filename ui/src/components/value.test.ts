import fc from "fast-check";
import { expect, it } from "vitest";
import { valueText } from "./value";

it("writes any JSON value so that it can be read back", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = valueText(value);
      if (typeof value === "string") expect(text).toBe(value === "" ? '""' : value);
      else expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
});

it("indents what does not fit on a line, and leaves short values on one line", () => {
  const short = { a: [1, 2], b: { c: null } };
  expect(valueText(short).split("\n")).toHaveLength(1);
  const long = { first: "x".repeat(50), second: { third: "y".repeat(50) } };
  expect(valueText(long)).toBe(
    `{\n  "first": "${"x".repeat(50)}",\n  "second": {\n    "third": "${"y".repeat(50)}"\n  }\n}`,
  );
  expect(valueText(Array.from({ length: 40 }, (_, at) => at))).toContain("0, 1, 2");
});
