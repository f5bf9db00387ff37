import { describe, expect, it } from "vitest";

// Room of the UI -> the rooms that it may import. A feature must not import another feature.
const ROOMS: Record<string, readonly string[]> = {
  lib: [],
  components: ["lib"],
  api: ["lib"],
  graph: ["api", "components", "lib"],
  features: ["api", "components", "graph", "lib"],
  app: ["api", "components", "features", "lib"],
};

const sources = import.meta.glob<string>("./**/*.{ts,tsx}", {
  query: "?raw",
  import: "default",
  eager: true,
});

function importsOf(source: string): string[] {
  return [...source.matchAll(/(?:from|import) "@\/([^"]+)"|import\("@\/([^"]+)"\)/g)].map(
    (match) => (match[1] ?? match[2])!,
  );
}

describe.each(Object.entries(sources).filter(([path]) => path.split("/").length > 2))(
  "%s",
  (path, source) => {
    const [, room, feature] = path.split("/") as [string, string, string];

    it("imports only from allowed rooms", () => {
      for (const target of importsOf(source)) {
        const [other, name] = target.split("/") as [string, string];
        if (other === room && (room !== "features" || name === feature)) continue;
        expect(ROOMS[room], `${path} imports ${target}`).toContain(other);
      }
    });

    it("does not leave its room by a relative path", () => {
      const depth = path.split("/").length - (room === "features" ? 4 : 3);
      for (const [, climb] of source.matchAll(/(?:from|import) "((?:\.\.\/)+)/g)) {
        expect(climb!.length / 3).toBeLessThanOrEqual(depth);
      }
    });
  },
);
