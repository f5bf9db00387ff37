import { expect, it } from "vitest";
import { runOfKfpLink } from "./kfp-links";

it("a link printed by kfp.Client leads to its run", () => {
  expect(runOfKfpLink("/runs/details/a-b")).toBe("a-b");
  expect(runOfKfpLink("#/runs/details/a-b?x=y")).toBe("a-b");
});

it.each(["", "/", "/runs", "/runs/details/", "/pipelines/details/x"])("%s leads to no run", (hash) => {
  expect(runOfKfpLink(hash)).toBeNull();
});
