import { expect, it } from "vitest";
import { runIdFromKfpLink } from "./kfp-links";

it("reads the run ID from a link that kfp.Client printed", () => {
  expect(runIdFromKfpLink("/runs/details/a-b")).toBe("a-b");
  expect(runIdFromKfpLink("#/runs/details/a-b?x=y")).toBe("a-b");
});

it.each(["", "/", "/runs", "/runs/details/", "/pipelines/details/x"])("finds no run ID in %s", (hash) => {
  expect(runIdFromKfpLink(hash)).toBeNull();
});
