"""The training job, once for everybody: load, split, train three settings side by side, evaluate each, choose.

The functions are a component's as they stand; what has no `dsl` (the floor, most peers) calls them with anything that
has a `.path`. scikit-learn does the work, about a second of it; its import costs as much again in every process.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

REQUIREMENTS = ["scikit-learn==1.7.2", "numpy==2.3.5", "scipy==1.16.3", "joblib==1.5.2"]
#: Trees of each of the three forests.
SETTINGS = (100, 200, 300)
#: What a parent of forked steps has imported before.
PRELOAD = "import sklearn.ensemble, sklearn.datasets, sklearn.model_selection, sklearn.metrics, joblib, csv"

#: The components' source, with `{dsl}` for the package that runs it.
COMPONENTS = """
from {dsl} import dsl


@dsl.component(base_image="python:3.11", {options})
def load(cases: dsl.Output[dsl.Dataset]):
    import numpy as np
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer()
    np.savetxt(cases.path, np.column_stack([data.data, data.target]), delimiter=",")


@dsl.component(base_image="python:3.11", {options})
def split(cases: dsl.Input[dsl.Dataset], training: dsl.Output[dsl.Dataset], testing: dsl.Output[dsl.Dataset]):
    import numpy as np
    from sklearn.model_selection import train_test_split

    table = np.loadtxt(cases.path, delimiter=",")
    for part, rows in zip((training, testing), train_test_split(table, test_size=0.25, random_state=7)):
        np.savetxt(part.path, rows, delimiter=",")


@dsl.component(base_image="python:3.11", {options})
def train(training: dsl.Input[dsl.Dataset], trees: int, model: dsl.Output[dsl.Model]):
    import joblib
    import numpy as np
    from sklearn.ensemble import RandomForestClassifier

    table = np.loadtxt(training.path, delimiter=",")
    forest = RandomForestClassifier(n_estimators=int(trees), random_state=7, n_jobs=1)
    joblib.dump(forest.fit(table[:, :-1], table[:, -1]), model.path)


@dsl.component(base_image="python:3.11", {options})
def evaluate(model: dsl.Input[dsl.Model], testing: dsl.Input[dsl.Dataset]) -> float:
    import joblib
    import numpy as np
    from sklearn.metrics import roc_auc_score

    table = np.loadtxt(testing.path, delimiter=",")
    forest = joblib.load(model.path)
    return float(roc_auc_score(table[:, -1], forest.predict_proba(table[:, :-1])[:, 1]))


@dsl.component(base_image="python:3.11", {light})
def choose(scores: list) -> int:
    return max(range(len(scores)), key=scores.__getitem__)


@dsl.pipeline(name="training")
def training():
    cases = load()
    parts = split(cases=cases.outputs["cases"])
    scores = []
    for trees in {settings}:
        model = train(training=parts.outputs["training"], trees=trees).outputs["model"]
        scores.append(evaluate(model=model, testing=parts.outputs["testing"]).outputs["Output"])
    choose(scores=scores)
"""


def components(package: str, folder: Path) -> Any:
    """The pipeline, written with `package` ("headrace" or "kfp"); its source goes into the folder, where it is read.

    With kfp nothing is installed for a component: its local runner would do so again for every task.
    """
    if package == "kfp":
        options = light = "install_kfp_package=False"
    else:
        options, light = f"packages_to_install={REQUIREMENTS}", ""
    path = folder / f"training_for_{package}.py"
    path.write_text(_filled(dsl=package, options=options, light=light, settings=str(SETTINGS)))
    sys.path.insert(0, str(folder))
    try:
        return __import__(path.stem).training
    finally:
        sys.path.remove(str(folder))


def _filled(**words: str) -> str:
    source = COMPONENTS
    for name, word in words.items():
        source = source.replace("{" + name + "}", word)
    return source


class _Plain:
    """Stands where nothing else is for `dsl`: components are their functions, artifacts need only a path."""

    class _Any:
        def __class_getitem__(cls, _: Any) -> type:
            return cls

    Input = Output = _Any
    Dataset = Model = object

    @staticmethod
    def component(**_: Any) -> Callable[[Any], Any]:
        return lambda function: function

    @staticmethod
    def pipeline(**_: Any) -> Callable[[Any], Any]:
        return lambda function: function


def functions() -> dict[str, Callable[..., Any]]:
    """The plain functions by name."""
    source = _filled(options="", light="", settings="()").replace("from {dsl} import dsl", "")
    names: dict[str, Any] = {"dsl": _Plain}
    exec(compile(source, "training", "exec"), names)
    return {name: names[name] for name in ("load", "split", "train", "evaluate", "choose")}


def steps() -> dict[str, tuple[str, ...]]:
    """The job's nine steps, each with those it comes after."""
    after: dict[str, tuple[str, ...]] = {"load": (), "split": ("load",)}
    for number in range(len(SETTINGS)):
        after[f"train-{number}"] = ("split",)
        after[f"evaluate-{number}"] = (f"train-{number}",)
    return {**after, "choose": tuple(f"evaluate-{number}" for number in range(len(SETTINGS)))}


def step(name: str, folder: Path) -> None:
    """Do one step; all files are in the folder."""
    word, _, number = name.partition("-")
    known = functions()
    cases, training, testing, model = (
        SimpleNamespace(path=str(folder / file)) for file in ("cases", "training", "testing", f"model-{number}")
    )
    score = folder / f"score-{number}"
    match word:
        case "load":
            known["load"](cases)
        case "split":
            known["split"](cases, training, testing)
        case "train":
            known["train"](training, SETTINGS[int(number)], model)
        case "evaluate":
            score.write_text(str(known["evaluate"](model, testing)))
        case _:
            scores = [float((folder / f"score-{n}").read_text()) for n in range(len(SETTINGS))]
            (folder / "chosen").write_text(str(known["choose"](scores)))


if __name__ == "__main__":
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    step(sys.argv[1], Path(sys.argv[2]))
