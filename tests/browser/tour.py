"""Pipelines for the browser tests: one with everything that the web UI shows, one with a large log, one that waits for a file."""

from headrace import dsl


@dsl.component
def load(rows: int, cases: dsl.Output[dsl.Dataset]) -> int:
    with open(cases.path, "w") as file:
        file.writelines(f"{row}\n" for row in range(rows))
    cases.metadata["rows"] = rows
    print(f"{rows} rows written")
    return rows


@dsl.component
def train(setting: dict, cases: dsl.Input[dsl.Dataset], model: dsl.Output[dsl.Model]) -> float:
    print(f"training with {setting}")
    if setting.get("broken"):
        raise ValueError(f"depth {setting['depth']} is too deep")
    with open(model.path, "w") as file:
        file.write("a model")
    return 1.0 - 1.0 / (1 + setting["depth"])


@dsl.component
def choose(scores: list) -> float:
    return max(scores)


@dsl.component
def evaluate(
    score: float,
    metrics: dsl.Output[dsl.Metrics],
    diagnosis: dsl.Output[dsl.ClassificationMetrics],
    report: dsl.Output[dsl.HTML],
    notes: dsl.Output[dsl.Markdown],
) -> float:
    metrics.log_metric("accuracy", score)
    metrics.log_metric("cases", 114)
    diagnosis.log_confusion_matrix(["malignant", "benign"], [[39, 3], [1, 71]])
    diagnosis.log_roc_curve([0.0, 0.02, 0.1, 1.0], [0.0, 0.9, 0.98, 1.0], [1.0, 0.8, 0.5, 0.0])
    with open(report.path, "w") as file:
        file.write(
            "<!doctype html><h1>Report</h1><p id='origin'></p><p id='cookies'></p><script>"
            "document.getElementById('origin').textContent = origin;"
            "try { document.getElementById('cookies').textContent = 'cookies ' + document.cookie }"
            "catch (error) { document.getElementById('cookies').textContent = error.name }"
            "try { parent.document.title = 'taken over' } catch (error) {}"
            "</script>"
        )
    with open(notes.path, "w") as file:
        file.write("# Notes\n\nThe model is **good**.\n\n<img src=x onerror=\"parent.document.title='taken over'\">\n")
    return score


@dsl.component
def publish(score: float) -> str:
    return f"published at {score}"


@dsl.component
def watch(gate: str):
    import os
    import time

    count = 0
    while not os.path.exists(gate):
        count += 1
        print(f"looked {count} times", flush=True)
        time.sleep(0.1)
    print("the gate is open")


@dsl.component
def summarise(status: dsl.PipelineTaskFinalStatus):
    print(status.state)


@dsl.component
def write_much(megabytes: int):
    import sys

    line = "{:08d} " + "x" * 90 + "\n"
    for megabyte in range(megabytes):
        sys.stdout.write("".join(line.format(megabyte * 10_000 + row) for row in range(10_000)))
    print("the very last line")


@dsl.pipeline(name="tour")
def tour(gate: str, settings: list[dict] = [{"depth": 3}, {"depth": 9}, {"depth": 27}], threshold: float = 0.5):
    after = summarise()
    with dsl.ExitHandler(after):
        data = load(rows=455)
        watch(gate=gate).set_caching_options(False)
        with dsl.ParallelFor(settings) as setting:
            trained = train(setting=setting, cases=data.outputs["cases"])
        best = choose(scores=dsl.Collected(trained.outputs["Output"]))
        result = evaluate(score=best.output)
        with dsl.If(result.outputs["Output"] > threshold):
            publish(score=result.outputs["Output"])


@dsl.pipeline(name="much")
def much(megabytes: int):
    write_much(megabytes=megabytes)


@dsl.component
def follow():
    print("after the gate")


@dsl.pipeline(name="gated")
def gated(gate: str):
    follow().after(watch(gate=gate))


@dsl.pipeline(name="many")
def many(gate: str, items: list[int]):
    with dsl.ParallelFor(items, parallelism=2):
        watch(gate=gate)
