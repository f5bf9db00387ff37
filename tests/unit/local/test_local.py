"""Calling components and pipelines: real outputs, real processes, or this process with `inline=True`."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from headrace import dsl, local
from headrace.dsl import Dataset, Input, Metrics, Model, Output
from headrace.local import running
from headrace.local.config import LocalConfig


@dsl.component
def write(text: str, data: Output[Dataset]) -> int:
    print("writing", text)
    Path = __import__("pathlib").Path
    Path(data.path).write_text(text)
    data.metadata["length"] = len(text)
    return len(text)


@dsl.component
def read(data: Input[Dataset]) -> str:
    with open(data.path) as file:
        return file.read() + str(data.metadata.get("length", ""))


@dsl.component
def double(n: int) -> int:
    return 2 * n


@dsl.component
def total(numbers: list) -> int:
    return sum(numbers)


@dsl.component
def fail(why: str) -> int:
    raise ValueError(why)


@dsl.component
def split(text: str) -> NamedTuple("Halves", [("left", str), ("right", str)]):
    middle = len(text) // 2
    return text[:middle], text[middle:]


@dsl.component
def thread_name() -> str:
    import threading

    return threading.current_thread().name


@dsl.component
def train(data: Input[Dataset], rate: float, model: Output[Model], metrics: Output[Metrics]) -> None:
    with open(data.path) as file:
        rows = len(file.readlines())
    metrics.log_metric("rows", rows)
    model.metadata["rate"] = rate
    with open(model.path, "w") as file:
        file.write("weights")


@dsl.pipeline
def doubled(numbers: list = [1, 2, 3]) -> int:
    with dsl.ParallelFor(numbers) as number:
        task = double(n=number)
    return total(numbers=dsl.Collected(task.output)).output


@dsl.pipeline
def branching(go: bool) -> None:
    with dsl.If(go == True):  # noqa: E712
        double(n=1)
    with dsl.Else():
        fail(why="not going")


@pytest.fixture(params=["processes", "inline"])
def runner(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path / "home"))
    local.init(pipeline_root=tmp_path / "outputs", inline=request.param == "inline")
    yield request.param
    local.init()


def test_a_component_answers_its_outputs(runner: str, tmp_path: Path) -> None:
    task = write(text="hello")
    assert task.state == "SUCCEEDED"
    assert task.outputs["Output"] == 5
    data = task.outputs["data"]
    assert isinstance(data, Dataset)
    assert data.metadata == {"length": 5}
    assert Path(data.path).read_text() == "hello"
    assert Path(data.path).is_relative_to(tmp_path / "outputs")


def test_an_artifact_of_one_call_is_an_argument_of_the_next(runner: str) -> None:
    assert read(data=write(text="abc").outputs["data"]).output == "abc3"


def test_several_outputs_go_by_name(runner: str) -> None:
    task = split(text="leftright")
    assert task.outputs == {"left": "left", "right": "right"}
    with pytest.raises(AttributeError, match="left, right"):
        _ = task.output


def test_a_pipeline_with_a_loop_collects(runner: str) -> None:
    assert doubled().output == 12
    assert doubled(numbers=[5]).output == 10
    assert doubled(numbers=[]).output == 0


def test_a_failure_is_raised_with_its_cause(runner: str) -> None:
    with pytest.raises(local.LocalRunError, match="ValueError: no luck") as raised:
        fail(why="no luck")
    assert (raised.value.code, raised.value.task) == ("USER_EXCEPTION", "fail")
    assert isinstance(raised.value.__cause__, ValueError) == (runner == "inline")


def test_a_failure_inside_a_pipeline_names_the_task(runner: str) -> None:
    assert branching(go=True).state == "SUCCEEDED"
    with pytest.raises(local.LocalRunError, match="not going") as raised:
        branching(go=False)
    assert raised.value.task.endswith("/fail")


def test_without_raising_the_task_says_what_happened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path / "home"))
    local.init(pipeline_root=tmp_path, raise_on_error=False, inline=True)
    try:
        task = fail(why="quietly")
    finally:
        local.init()
    assert (task.state, task.outputs) == ("FAILED", {})
    assert isinstance(task.error, local.LocalRunError)


def test_a_wrong_argument_is_refused_before_anything_runs(runner: str, tmp_path: Path) -> None:
    with pytest.raises(local.LocalRunError, match="expected int") as raised:
        double(n="three")
    assert raised.value.code == "INVALID_ARGUMENTS"


def test_inline_runs_on_the_calling_thread(tmp_path: Path) -> None:
    local.init(pipeline_root=tmp_path, inline=True)
    try:
        assert thread_name().output == threading.current_thread().name
    finally:
        local.init()


@dsl.component
def leave(folder: str, text: str) -> str:
    import os

    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "note"), "w") as file:
        file.write(text)
    return folder


@dsl.component
def find(folder: str) -> str:
    import os

    with open(os.path.join(folder, "note")) as file:
        return file.read()


@dsl.pipeline(pipeline_config=dsl.PipelineConfig(workspace=dsl.WorkspaceConfig(size="1Gi")))
def sharing(text: str) -> str:
    left = leave(folder=f"{dsl.WORKSPACE_PATH_PLACEHOLDER}/notes", text=text)
    return find(folder="/kfp-workspace/notes").after(left).output


def test_tasks_share_the_workspace_of_their_run(runner: str, tmp_path: Path) -> None:
    """By its placeholder and by the path that KFP mounts it at; what is in it is never deleted."""
    local.init(pipeline_root=tmp_path / "outputs", workspace_root=tmp_path / "spaces", inline=runner == "inline")
    assert sharing(text="for you").output == "for you"
    assert sharing(text="for me").output == "for me"
    assert sorted(note.read_text() for note in (tmp_path / "spaces").glob("*/notes/note")) == ["for me", "for you"]


@dsl.component
def meet(folder: str, me: str, other: str) -> bool:
    import os
    import time

    open(os.path.join(folder, me), "w").close()
    deadline = time.monotonic() + 60
    while not os.path.exists(os.path.join(folder, other)):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{other} never came")
        time.sleep(0.01)
    return True


@dsl.pipeline
def meeting(folder: str) -> None:
    meet(folder=folder, me="a", other="b")
    meet(folder=folder, me="b", other="a")


def test_tasks_that_do_not_depend_on_each_other_run_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each waits for the other: one after the other, neither would ever end."""
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path / "home"))
    local.init(pipeline_root=tmp_path / "outputs", max_parallel=2)
    try:
        assert meeting(folder=str(tmp_path)).state == "SUCCEEDED"
    finally:
        local.init()


def test_what_tasks_print_is_shown_with_their_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path / "home"))
    local.init(pipeline_root=tmp_path)
    try:
        write(text="aloud")
    finally:
        local.init()
    assert "[write] | writing aloud\n" in capsys.readouterr().out


def test_with_caching_the_second_call_reuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path / "home"))
    local.init(pipeline_root=tmp_path / "outputs", enable_caching=True)
    try:
        first = write(text="once").outputs["data"]
        second = write(text="once").outputs["data"]
    finally:
        local.init()
    assert first.uri == second.uri


@dsl.component
def note(file: str) -> int:
    with open(file, "a") as notes:
        notes.write("x")
    return 1


def test_without_caching_equal_tasks_of_one_run_both_run(tmp_path: Path) -> None:
    @dsl.pipeline
    def twice(file: str):
        note(file=file).after(note(file=file))

    local.init(inline=True, pipeline_root=tmp_path / "outputs")
    try:
        twice(file=str(tmp_path / "notes"))
    finally:
        local.init()
    assert (tmp_path / "notes").read_text() == "xx"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [({"max_parallel": 0}, "max_parallel")],
)
def test_settings_that_cannot_be_are_refused(arguments: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        local.init(**arguments)


def test_a_component_is_tried_with_artifacts_made_by_the_test(tmp_path: Path) -> None:
    data = tmp_path / "data.csv"
    data.write_text("1,2\n3,4\n")
    result = train.test(data=data, rate=0.5, folder=tmp_path / "out")
    assert result.outputs["metrics"].metadata == {"rows": 2}
    assert result.outputs["model"].metadata == {"rate": 0.5}
    assert Path(result.outputs["model"].path).read_text() == "weights"


def test_a_tried_component_raises_what_its_function_raises() -> None:
    with pytest.raises(ValueError, match="plainly"):
        fail.test(why="plainly")
    with pytest.raises(TypeError, match="it has: why"):
        fail.test(y="x")


# --- settings of the runner -----------------------------------------------------------------------


@pytest.mark.parametrize("given", [{"A": "1", "B": "x=y"}, ["A=1", "B=x=y"]])
def test_a_docker_runner_s_environment_reaches_every_container_but_what_a_task_sets_itself(given: Any) -> None:
    runner = local.DockerRunner(environment=given)
    assert runner.environment == {"A": "1", "B": "x=y"}
    spec = {
        "deploymentSpec": {
            "executors": {
                "exec-one": {"container": {"image": "i", "env": [{"name": "A", "value": "own"}]}},
                "exec-two": {"container": {"image": "i"}},
                "exec-three": {"importer": {}},
            }
        }
    }
    filled = running._with_variables(spec, LocalConfig(runner=runner))["deploymentSpec"]["executors"]
    assert filled["exec-one"]["container"]["env"] == [{"name": "A", "value": "own"}, {"name": "B", "value": "x=y"}]
    assert filled["exec-two"]["container"]["env"] == [{"name": "A", "value": "1"}, {"name": "B", "value": "x=y"}]
    assert filled["exec-three"] == {"importer": {}}
    assert running._with_variables(spec, LocalConfig(runner=local.SubprocessRunner())) is spec


@pytest.mark.parametrize("given", [["A"], [3], {"A": 1}, {"": "x"}, {3: "x"}])
def test_an_environment_of_another_form_is_refused(given: Any) -> None:
    with pytest.raises(ValueError, match="environment="):
        local.DockerRunner(environment=given)


def test_other_settings_of_containers_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="got network_mode"):
        local.DockerRunner(network_mode="host")
