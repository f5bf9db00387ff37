"""The stock `kfp.Client` 2.17 against a running server, and our own client with the same calls."""

import json
import tarfile
import warnings
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import headrace.client
from harness import FINAL, Server, until

kfp = pytest.importorskip("kfp")
from kfp import compiler, dsl  # noqa: E402
from kfp_server_api import ApiException  # noqa: E402

pytestmark = [pytest.mark.kfp, pytest.mark.slow]


@dsl.component
def double(x: int) -> int:
    print("doubling", x)
    return 2 * x


@dsl.component
def fail(message: str):
    raise RuntimeError(message)


@dsl.component
def sleep(seconds: float):
    import time

    time.sleep(seconds)


@dsl.pipeline(name="doubling")
def doubling(x: int = 3) -> int:
    return double(x=double(x=x).output).output


@dsl.pipeline(name="failing")
def failing():
    fail(message="on purpose")


@dsl.component
def need(path: str):
    import os

    assert os.path.exists(path), "not yet"


@dsl.pipeline(name="needy")
def needy(path: str):
    need(path=path).after(double(x=1))


@dsl.pipeline(name="sleeping")
def sleeping():
    sleep(seconds=600.0)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    one = Server(tmp_path_factory.mktemp("kfp") / "home")
    try:
        yield one.start()
    finally:
        one.end()


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("package") / "doubling.yaml"
    compiler.Compiler().compile(doubling, str(path))
    return str(path)


@pytest.fixture
def client(server: Server) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return kfp.Client(host=server.url, existing_token=server.token)


@pytest.fixture
def ours(server: Server) -> headrace.client.Client:
    return headrace.client.Client(home=server.home, verbose=False)


@pytest.fixture(params=["kfp", "headrace"])
def either(request: pytest.FixtureRequest) -> Any:
    """Both clients: the same calls, the same answers."""
    return request.getfixturevalue({"kfp": "client", "headrace": "ours"}[request.param])


def filter_by(key: str, operation: str, **value: Any) -> str:
    return json.dumps({"predicates": [{"operation": operation, "key": key, **value}]})


def unique(noun: str) -> str:
    unique.count = getattr(unique, "count", 0) + 1  # type: ignore[attr-defined]
    return f"{noun}-{unique.count}"  # type: ignore[attr-defined]


def refused(call: Any, *args: Any, **options: Any) -> Any:
    """The error of a call that must fail."""
    with pytest.raises((ApiException, headrace.client.ApiError)) as caught:
        call(*args, **options)
    return caught.value


def test_health(either: Any) -> None:
    health = either.get_kfp_healthz()
    assert (health.multi_user, health.pipeline_store) == (False, "database")


def test_no_token_no_answer(server: Server) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for token in (None, "wrong"):
            stranger = kfp.Client(host=server.url, existing_token=token)
            assert refused(stranger.list_runs).status == 401


# --- experiments -------------------------------------------------------------------------------


def test_experiments(either: Any) -> None:
    name = unique("experiment")
    made = either.create_experiment(name, description="For tests")
    assert either.create_experiment(name).experiment_id == made.experiment_id
    got = either.get_experiment(experiment_name=name)
    assert (got.experiment_id, got.display_name, got.description) == (made.experiment_id, name, "For tests")
    assert got.storage_state == "AVAILABLE"
    assert datetime.now(UTC) - got.created_at < timedelta(minutes=5) and got.created_at.microsecond == 0
    assert got.last_run_created_at == datetime.fromtimestamp(0, UTC)

    either.archive_experiment(made.experiment_id)
    assert either.get_experiment(made.experiment_id).storage_state == "ARCHIVED"
    either.unarchive_experiment(made.experiment_id)
    assert either.get_experiment(made.experiment_id).storage_state == "AVAILABLE"

    either.delete_experiment(made.experiment_id)
    assert refused(either.get_experiment, made.experiment_id).status == 404
    with pytest.raises(ValueError, match="No experiment is found with name"):
        either.get_experiment(experiment_name=name)


def test_experiments_that_cannot_be(client: Any) -> None:
    name = unique("experiment")
    client.create_experiment(name)
    body = client.api_models.V2beta1Experiment(display_name=name)
    taken = refused(client._experiment_api.experiment_service_create_experiment, body)
    assert taken.status == 409 and json.loads(taken.body)["code"] == 6
    for bad in ("", " ", "x" * 129):
        body = client.api_models.V2beta1Experiment(display_name=bad)
        assert refused(client._experiment_api.experiment_service_create_experiment, body).status == 400
    default = client.get_experiment(experiment_name="Default")
    assert refused(client.delete_experiment, default.experiment_id).status == 409
    for act in (client.archive_experiment, client.unarchive_experiment, client.delete_experiment):
        assert refused(act, "11111111-1111-4111-8111-111111111111").status == 404


def test_lists_page_sort_and_filter(either: Any) -> None:
    stem = unique("listed")
    for letter in "bca":
        either.create_experiment(f"{stem}-{letter}")
    mine = filter_by("display_name", "IS_SUBSTRING", stringValue=stem + "-")

    def names(**options: Any) -> list[str]:
        found = either.list_experiments(filter=mine, **options)
        return [one.display_name.removeprefix(f"{stem}-") for one in found.experiments or []]

    assert names() == ["b", "c", "a"]
    assert names(sort_by="display_name") == ["a", "b", "c"]
    assert names(sort_by="display_name DESC") == ["c", "b", "a"]
    first = either.list_experiments(filter=mine, page_size=2, sort_by="name")
    assert first.total_size == 3 and len(first.experiments) == 2
    rest = either.list_experiments(page_token=first.next_page_token, page_size=2)
    assert [one.display_name for one in rest.experiments] == [f"{stem}-c"] and not rest.next_page_token
    only = filter_by("name", "IN", string_values={"values": [f"{stem}-a", f"{stem}-c"]})
    assert either.list_experiments(filter=only).total_size == 2
    later = filter_by("created_at", "GREATER_THAN", timestamp_value="2999-01-01T00:00:00Z")
    assert not either.list_experiments(filter=later).experiments


@pytest.mark.parametrize(
    "options",
    [
        {"page_size": -1},
        {"page_token": "garbage"},
        {"sort_by": "no_such_key"},
        {"sort_by": "name sideways"},
        {"filter": "not json"},
        {"filter": filter_by("no_such_key", "EQUALS", string_value="x")},
        {"filter": filter_by("name", "LIKE", string_value="x")},
        {"filter": filter_by("created_at", "EQUALS", string_value="'; DROP TABLE runs; --")},
    ],
)
@pytest.mark.parametrize("noun", ["experiments", "pipelines", "runs"])
def test_lists_that_cannot_be(client: Any, noun: str, options: dict[str, Any]) -> None:
    error = refused(getattr(client, f"list_{noun}"), **options)
    assert error.status == 400 and json.loads(error.body)["code"] == 3


# --- pipelines ---------------------------------------------------------------------------------


def test_pipelines_and_versions(either: Any, package: str) -> None:
    name = unique("pipeline")
    made = either.upload_pipeline(package, pipeline_name=name, description="Doubles")
    assert (made.display_name, made.name, made.description) == (name, name, "Doubles")
    assert either.get_pipeline_id(name) == made.pipeline_id
    assert either.get_pipeline(made.pipeline_id).display_name == name
    (first,) = either.list_pipeline_versions(made.pipeline_id).pipeline_versions
    assert (first.name, first.display_name, first.pipeline_id) == (name, name, made.pipeline_id)
    assert first.pipeline_spec["pipelineInfo"] == {"name": "doubling"}

    second = either.upload_pipeline_version(package, "v2", pipeline_name=name, description="Again")
    got = either.get_pipeline_version(made.pipeline_id, second.pipeline_version_id)
    assert (got.display_name, got.description) == ("v2", "Again")
    newest = either.list_pipeline_versions(made.pipeline_id, page_size=1, sort_by="created_at desc")
    assert newest.total_size == 2 and newest.next_page_token

    assert refused(either.delete_pipeline, made.pipeline_id).status == 400
    for version in (first, second):
        either.delete_pipeline_version(made.pipeline_id, version.pipeline_version_id)
    assert not either.list_pipeline_versions(made.pipeline_id).pipeline_versions
    either.delete_pipeline(made.pipeline_id)
    assert refused(either.get_pipeline, made.pipeline_id).status == 404
    assert either.get_pipeline_id(name) is None


def test_packages_in_archives(either: Any, package: str, tmp_path: Path) -> None:
    zipped, tarred = tmp_path / "p.zip", tmp_path / "p.tar.gz"
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.write(package, "pipeline.yaml")
    with tarfile.open(tarred, "w:gz") as archive:
        archive.add(package, "pipeline.yaml")
    for path in (zipped, tarred):
        assert either.upload_pipeline(str(path), pipeline_name=unique("packed")).pipeline_id


def test_uploads_that_cannot_be(client: Any, package: str, tmp_path: Path) -> None:
    name = unique("pipeline")
    client.upload_pipeline(package, pipeline_name=name)
    taken = refused(client.upload_pipeline, package, pipeline_name=name)
    assert taken.status == 409 and set(json.loads(taken.body)) == {"error_message", "error_details"}
    bad = tmp_path / "bad.yaml"
    bad.write_text("just: text\n")
    assert refused(client.upload_pipeline, str(bad), pipeline_name=unique("bad")).status == 400
    nowhere = "11111111-1111-4111-8111-111111111111"
    assert refused(client.upload_pipeline_version, package, "v", pipeline_id=nowhere).status == 404


def test_what_has_no_wrapper_in_the_client(client: Any, package: str) -> None:
    name = unique("pipeline")
    made = client.upload_pipeline(package, pipeline_name=name)
    by_name = client.pipelines.pipeline_service_get_pipeline_by_name(name)
    assert by_name.pipeline_id == made.pipeline_id
    tagged = client.pipelines.pipeline_service_update_pipeline(made.pipeline_id, {"tags": {"team": "red"}})
    assert tagged.tags == {"team": "red"} and tagged.display_name == name
    renamed = client.pipelines.pipeline_service_update_pipeline(made.pipeline_id, {"display_name": "Other"})
    assert (renamed.display_name, renamed.tags) == ("Other", {"team": "red"})
    found = client.list_pipelines(filter=filter_by("tags.team", "EQUALS", string_value="red"))
    assert [one.pipeline_id for one in found.pipelines] == [made.pipeline_id]
    cleared = client.pipelines.pipeline_service_update_pipeline(made.pipeline_id, {"tags": {}})
    assert not cleared.tags


# --- runs --------------------------------------------------------------------------------------


def test_a_run_from_a_function(either: Any) -> None:
    started = either.create_run_from_pipeline_func(doubling, arguments={"x": 5}, experiment_name=unique("runs"))
    assert started.run_info.state == "PENDING" and started.run_info.storage_state == "AVAILABLE"
    run = started.wait_for_run_completion(timeout=120)
    assert run.state == "SUCCEEDED", run
    assert run.finished_at >= run.created_at and run.scheduled_at == run.created_at
    assert run.runtime_config.parameters == {"x": 5}
    assert run.pipeline_spec["pipelineInfo"] == {"name": "doubling"}
    history = [one.state for one in run.state_history]
    assert history[0] == "PENDING" and history[-1] == "SUCCEEDED"

    details = {detail.display_name: detail for detail in run.run_details.task_details}
    assert set(details) == {"root", "double", "double-2"}
    assert {detail.state for detail in details.values()} == {"SUCCEEDED"}
    root = details["root"]
    assert {child.task_id for child in root.child_tasks} == {details["double"].task_id, details["double-2"].task_id}
    assert details["double"].parent_task_id == root.task_id and details["double"].run_id == run.run_id
    assert details["double"].end_time >= details["double"].start_time


def test_a_run_from_a_package_and_from_a_version(either: Any, package: str) -> None:
    started = either.create_run_from_pipeline_package(package, arguments={"x": 1}, enable_caching=False)
    pipeline = either.upload_pipeline(package, pipeline_name=unique("pipeline"))
    (version,) = either.list_pipeline_versions(pipeline.pipeline_id).pipeline_versions
    experiment = either.create_experiment(unique("experiment"))
    other = either.run_pipeline(
        experiment.experiment_id,
        "from a version",
        pipeline_id=pipeline.pipeline_id,
        version_id=version.pipeline_version_id,
    )
    assert started.wait_for_run_completion(timeout=120).state == "SUCCEEDED"
    run = either.wait_for_run_completion(other.run_id, timeout=120, sleep_duration=1)
    assert run.state == "SUCCEEDED"
    assert run.pipeline_version_reference.pipeline_version_id == version.pipeline_version_id
    assert run.pipeline_spec is None and run.experiment_id == experiment.experiment_id
    found = either.list_runs(experiment_id=experiment.experiment_id)
    assert [one.run_id for one in found.runs] == [run.run_id] and found.total_size == 1
    ended = filter_by("state", "EQUALS", string_value="SUCCEEDED")
    assert run.run_id in [one.run_id for one in either.list_runs(filter=ended, page_size=200).runs]
    assert either.get_experiment(experiment.experiment_id).last_run_created_at == run.created_at


def test_a_failing_run_says_why(either: Any) -> None:
    started = either.create_run_from_pipeline_func(failing, enable_caching=False)
    run = started.wait_for_run_completion(timeout=120)
    assert run.state == "FAILED"
    failed = next(detail for detail in run.run_details.task_details if detail.display_name == "fail")
    assert failed.state == "FAILED" and failed.error.message
    assert run.error is not None and "fail" in run.error.message


def test_terminate_archive_delete(either: Any, server: Server) -> None:
    started = either.create_run_from_pipeline_func(sleeping, enable_caching=False)
    run_id = started.run_id
    until(lambda: _task_state(either, run_id, "sleep") == "RUNNING", "the task runs")
    unfinished = either.get_run(run_id)
    assert unfinished.state == "RUNNING" and unfinished.finished_at == datetime.fromtimestamp(0, UTC)
    either.terminate_run(run_id)
    assert either.get_run(run_id).state in ("CANCELING", "CANCELED")
    until(lambda: either.get_run(run_id).state in FINAL, "the run ends")
    run = either.get_run(run_id)
    assert run.state == "CANCELED" and run.finished_at >= run.created_at
    assert refused(either.terminate_run, run_id).status == 400

    either.archive_run(run_id)
    assert either.get_run(run_id).storage_state == "ARCHIVED"
    either.unarchive_run(run_id)
    assert either.get_run(run_id).storage_state == "AVAILABLE"
    either.delete_run(run_id)
    assert refused(either.get_run, run_id).status == 404
    for act in (either.terminate_run, either.archive_run, either.unarchive_run, either.delete_run):
        assert refused(act, run_id).status == 404


def test_waiting_ends_for_a_cancelled_run_too(ours: headrace.client.Client) -> None:
    started = ours.create_run_from_pipeline_func(sleeping, enable_caching=False)
    with pytest.raises(TimeoutError, match=started.run_id):
        ours.wait_for_run_completion(started.run_id, timeout=0.2, sleep_duration=0.1)
    ours.terminate_run(started.run_id)
    assert started.wait_for_run_completion(timeout=60).state == "CANCELED"


def test_a_failed_run_is_tried_again(either: Any, client: Any, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    started = either.create_run_from_pipeline_func(needy, arguments={"path": str(flag)}, enable_caching=False)
    assert started.wait_for_run_completion(timeout=120).state == "FAILED"
    doubled = _detail(either, started.run_id, "double").end_time
    flag.touch()
    # The stock client has no method for it, only the generated call.
    client.runs.run_service_retry_run(started.run_id)
    until(lambda: either.get_run(started.run_id).state == "SUCCEEDED", "the second try succeeds")
    assert _detail(either, started.run_id, "double").end_time == doubled, "what had succeeded ran again"
    assert refused(client.runs.run_service_retry_run, started.run_id).status == 409


def test_recurring_runs(either: Any, package: str) -> None:
    experiment = either.create_experiment(unique("experiment"))
    made = either.create_recurring_run(
        experiment.experiment_id,
        "Every minute",
        cron_expression="0 * * * * *",
        start_time="1970-01-02T00:00:00Z",
        end_time="1970-01-02T00:02:00Z",
        pipeline_package_path=package,
        params={"x": 3},
    )
    assert (made.status, made.max_concurrency, made.trigger.cron_schedule.cron) == ("ENABLED", "1", "0 * * * * *")

    def runs() -> list[Any]:
        listed = either.list_runs(experiment_id=experiment.experiment_id).runs or []
        return [one for one in listed if one.recurring_run_id == made.recurring_run_id]

    until(lambda: [one.state for one in runs()] == ["SUCCEEDED", "SUCCEEDED"], "each minute of the window has its run")
    assert all(one.display_name.startswith("everyminute") for one in runs())
    either.disable_recurring_run(made.recurring_run_id)
    assert either.get_recurring_run(made.recurring_run_id).status == "DISABLED"
    either.enable_recurring_run(made.recurring_run_id)
    listed = either.list_recurring_runs(experiment_id=experiment.experiment_id)
    assert [one.recurring_run_id for one in listed.recurring_runs] == [made.recurring_run_id]
    assert listed.recurring_runs[0].status == "ENABLED"
    either.delete_recurring_run(made.recurring_run_id)
    assert refused(either.get_recurring_run, made.recurring_run_id).status == 404
    assert len(runs()) == 2
    error = refused(
        either.create_recurring_run,
        experiment.experiment_id,
        "j",
        cron_expression="0 0 0 30 2 *",
        pipeline_package_path=package,
        params={"x": 3},
    )
    assert error.status == 400 and "never due" in json.loads(error.body)["message"]


@pytest.mark.parametrize("arguments", [{"y": 1}, {"x": "three"}, {"x": 1.5}, {"x": None, "z": 0}])
def test_arguments_that_do_not_fit(client: Any, package: str, arguments: dict[str, Any]) -> None:
    error = refused(client.create_run_from_pipeline_package, package, arguments=arguments)
    assert error.status == 400 and json.loads(error.body)["message"]


def test_runs_that_cannot_be(client: Any, package: str) -> None:
    nowhere = "11111111-1111-4111-8111-111111111111"
    experiment = client.create_experiment(unique("experiment"))
    assert refused(client.run_pipeline, nowhere, "x", package).status == 404
    version = refused(client.run_pipeline, experiment.experiment_id, "x", pipeline_id=nowhere, version_id=nowhere)
    assert version.status == 404
    assert refused(client.run_pipeline, experiment.experiment_id, "", package).status == 400
    assert refused(client.get_run, nowhere).status == 404
    assert refused(client.get_run, "no such id/../../x").status == 404


def _detail(client: Any, run_id: str, task: str) -> Any:
    run = client.get_run(run_id)
    details = run.run_details.task_details if run.run_details else []
    return next((detail for detail in details or [] if detail.display_name == task), None)


def _task_state(client: Any, run_id: str, task: str) -> str:
    return getattr(_detail(client, run_id, task), "state", "")
