import { expect, test } from "vitest";
import { canMark, changedParameters, givenOutputs, outputsOf, parameterTexts, typed } from "./control-model";
import { aFailedRun, aNode, anExecution } from "./fixtures";

const run = { ...aFailedRun(), parameters: { name: "a", lr: 0.1, sizes: [1, 2], none: null } };

test("only what was changed of the parameters is sent, in its own kind", () => {
  const texts = parameterTexts(run);
  expect(texts).toEqual({ name: "a", lr: "0.1", sizes: "[1, 2]", none: "null" });
  expect(changedParameters(run, texts)).toEqual({});
  expect(changedParameters(run, { ...texts, name: "3", lr: "0.5", sizes: "[1]" })).toEqual({
    name: "3",
    lr: 0.5,
    sizes: [1],
  });
});

test("what is no JSON says how to write it", () => {
  expect(() => typed("yes", false)).toThrow(/yes is not JSON: write 3/);
  expect(typed("yes", true)).toBe("yes");
});

test("a task's outputs are those of its component", () => {
  const document = {
    pipeline_spec: {
      components: {
        "comp-train": {
          outputDefinitions: {
            parameters: { score: { parameterType: "NUMBER_DOUBLE" }, word: { parameterType: "STRING" } },
            artifacts: { model: { artifactType: { schemaTitle: "system.Model" } } },
          },
        },
      },
    },
    platform_spec: null,
  };
  const outputs = outputsOf(document, aNode("train"));
  expect(outputs.map(({ name, type }) => [name, type])).toEqual([
    ["score", "NUMBER_DOUBLE"],
    ["word", "STRING"],
    ["model", "system.Model"],
  ]);
  expect(givenOutputs(outputs, { score: "0.9", word: "", model: "id-1, id-2" })).toEqual({
    parameters: { score: 0.9 },
    artifacts: { model: ["id-1", "id-2"] },
  });
  expect(outputsOf(document, aNode("other"))).toEqual([]);
});

test("what has succeeded, a group, and a run that is over cannot be marked", () => {
  const failed = anExecution("load", { state: "FAILED" });
  expect(canMark(failed, run)).toBe(true);
  expect(canMark(anExecution("load"), run)).toBe(false);
  expect(canMark(anExecution("loop", { kind: "LOOP", state: "FAILED" }), run)).toBe(false);
  expect(canMark(failed, { ...run, run: { ...run.run, state: "CANCELED" } })).toBe(false);
  expect(canMark(failed, { ...run, run: { ...run.run, state: "RUNNING" } })).toBe(true);
});
