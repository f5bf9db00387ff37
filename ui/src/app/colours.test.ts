import { describe, expect, it } from "vitest";
import css from "./global.css?raw";

const tokens = new Map(
  [...css.matchAll(/--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)/g)].map((match) => [
    match[1]!,
    { light: match[2]!, dark: match[3]! },
  ]),
);

function luminance(colour: string): number {
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red! + 0.7152 * green! + 0.0722 * blue!;
}

function contrast(a: string, b: string): number {
  const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (high! + 0.05) / (low! + 0.05);
}

const FOREGROUNDS = ["text", "dim", "accent", "good", "bad", "active", "idle", "muted", "warn", "hold"];

describe.each(["light", "dark"] as const)("in %s colours", (scheme) => {
  it.each(
    FOREGROUNDS.flatMap((foreground) =>
      ["bg", "surface", "raised"].map((background) => [foreground, background] as const),
    ),
  )("%s has enough contrast on %s", (foreground, background) => {
    // WCAG 2.2 AA: 4.5. Raised surfaces carry only icons and short labels in these colours: 4.
    const least = background === "raised" && foreground !== "text" && foreground !== "dim" ? 4 : 4.5;
    expect(contrast(tokens.get(foreground)![scheme], tokens.get(background)![scheme])).toBeGreaterThanOrEqual(
      least,
    );
  });

  it("the text of a failure has enough contrast on its background", () => {
    expect(contrast(tokens.get("bad")![scheme], tokens.get("bad-soft")![scheme])).toBeGreaterThanOrEqual(4.5);
  });
});
