import { expect, test } from "vitest";
import { aFailedRun, aNode, anExecution } from "./fixtures";
import {
  canMark,
  changedParameters,
  declaredOutputs,
  enteredOutputs,
  parameterTexts,
  parseField,
} from "./task-actions-model";

const run = { ...aFailedRun(), parameters: { name: "a", lr: 0.1, sizes: [1, 2], none: null } };

test("sends only the parameters that were changed, each with its type", () => {
  const texts = parameterTexts(run);
  expect(texts).toEqual({ name: "a", lr: "0.1", sizes: "[1, 2]", none: "null" });
  expect(changedParameters(run, texts)).toEqual({});
  expect(changedParameters(run, { ...texts, name: "3", lr: "0.5", sizes: "[1]" })).toEqual({
    name: "3",
    lr: 0.5,
    sizes: [1],
  });
});

test("text that is not JSON raises an error that says how to write it", () => {
  expect(() => parseField("yes", false)).toThrow(/yes is not valid JSON. Write a value such as 3/);
  expect(parseField("yes", true)).toBe("yes");
});

test("a task's outputs are the outputs that its component declares", () => {
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
  const outputs = declaredOutputs(document, aNode("train"));
  expect(outputs.map(({ name, type }) => [name, type])).toEqual([
    ["score", "NUMBER_DOUBLE"],
    ["word", "STRING"],
    ["model", "system.Model"],
  ]);
  expect(enteredOutputs(outputs, { score: "0.9", word: "", model: "id-1, id-2" })).toEqual({
    parameters: { score: 0.9 },
    artifacts: { model: ["id-1", "id-2"] },
  });
  expect(declaredOutputs(document, aNode("other"))).toEqual([]);
});

test("a task that succeeded, a group, and a task of a canceled run cannot be marked", () => {
  const failed = anExecution("load", { state: "FAILED" });
  expect(canMark(failed, run)).toBe(true);
  expect(canMark(anExecution("load"), run)).toBe(false);
  expect(canMark(anExecution("loop", { kind: "LOOP", state: "FAILED" }), run)).toBe(false);
  expect(canMark(failed, { ...run, run: { ...run.run, state: "CANCELED" } })).toBe(false);
  expect(canMark(failed, { ...run, run: { ...run.run, state: "RUNNING" } })).toBe(true);
});
