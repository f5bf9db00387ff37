"""Why a run and its tasks are in their states: one scenario for each code."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headrace.engine.model import (
    AttemptFailed,
    AttemptLost,
    AttemptWaiting,
    Bundle,
    CacheHit,
    CacheMissed,
    CacheWaiting,
    Reason,
    State,
)
from headrace.runtime.problems import report_exception
from headrace.service import explain_rules
from headrace.service.explain_rules import Subject, explain, explain_run
from headrace.service.failures import failure_view, package_of
from headrace.service.fixes import fix_for
from headrace.wire import api, codes
from properties.documents import const, given, group, leaf, out, param, pipeline
from scenario import Scenario


def told(scenario: Scenario, path: str = "a", **known: Any) -> api.Explanation:
    return explain(Subject(plan=scenario.plan, state=scenario.state, now=scenario.now, **known), path)


def one(**fields: Any) -> Scenario:
    """A run of one task, begun."""
    scenario = Scenario(pipeline({"a": leaf(**fields)}))
    scenario.starts()
    return scenario


def two(**fields: Any) -> Scenario:
    """`a`, then `b` which takes its output."""
    first = leaf(gives={"Output": "STRING"}, **fields)
    scenario = Scenario(pipeline({"a": first, "b": leaf(takes={"v": "STRING"}, wires={"v": out("a")})}))
    scenario.starts()
    return scenario


def cached(**event: Any) -> Scenario:
    scenario = one(cache=True)
    scenario.happens(CacheMissed(at=0.0, path="a", fingerprint="f" * 64, **event))
    return scenario


# --- each code -----------------------------------------------------------------------------------

#: Code -> a scenario whose execution `path` has it.
STORIES: dict[str, Callable[[], tuple[Scenario, str]]] = {}


def tells(code: str, path: str = "a") -> Callable[[Callable[[], Scenario]], Callable[[], Scenario]]:
    def keep(make: Callable[[], Scenario]) -> Callable[[], Scenario]:
        STORIES[code] = lambda: (make(), path)
        return make

    return keep


@tells("RUN_NOT_STARTED", "")
def not_started() -> Scenario:
    return Scenario(pipeline({"a": leaf()}))


@tells("STARTING")
def starting() -> Scenario:
    return one()


@tells("RUNNING")
def running() -> Scenario:
    scenario = one()
    scenario.runs("a")
    return scenario


@tells("STORING_OUTPUTS")
def storing() -> Scenario:
    scenario = running()
    scenario.waits("a", "STORING_OUTPUTS")
    return scenario


@tells("SUCCEEDED")
def succeeded() -> Scenario:
    scenario = running()
    scenario.succeeds("a")
    return scenario


@tells("STOPPING")
def stopping() -> Scenario:
    scenario = running()
    scenario.is_cancelled()
    return scenario


@tells("RUN_CANCELED", "b")
def canceled() -> Scenario:
    scenario = two()
    scenario.is_cancelled()
    return scenario


@tells("WAITING_FOR_UPSTREAM", "b")
def upstream() -> Scenario:
    scenario = two()
    scenario.runs("a")
    return scenario


@tells("WAITING_FOR_SLOT")
def slot() -> Scenario:
    scenario = one()
    reason = Reason(code="WAITING_FOR_SLOT", message="2 attempts are running.", details={"position": 1})
    scenario.happens(AttemptWaiting(at=0.0, attempt=scenario.attempt("a"), reason=reason))
    return scenario


@tells("WAITING_FOR_RETRY")
def retry() -> Scenario:
    scenario = one(retry=(3, 30))
    scenario.runs("a")
    scenario.fails("a", "USER_EXCEPTION")
    return scenario


@tells("RUN_PAUSED", "b")
def paused() -> Scenario:
    scenario = two()
    scenario.runs("a")
    scenario.is_paused()
    scenario.succeeds("a", Output="x")
    return scenario


def loop(limit: int = 1) -> Scenario:
    body = group(
        {"x": leaf(takes={"item": "NUMBER_INTEGER"}, wires={"item": param("item")})},
        loop="[1, 2]", takes={"item": "NUMBER_INTEGER"}, parallelism=limit,
    )  # fmt: skip
    scenario = Scenario(pipeline({"loop": body}))
    scenario.starts()
    return scenario


@tells("WAITING_FOR_PARALLELISM", "loop[1]")
def parallelism() -> Scenario:
    return loop()


@tells("WAITING_FOR_GROUP", "g/x")
def group_to_come() -> Scenario:
    scenario = Scenario(pipeline({"a": leaf(), "g": group({"x": leaf()}, after=["a"], always=True)}))
    scenario.starts()
    scenario.runs("a")
    scenario.fails("a", "EXIT_CODE")
    scenario.runs("g/x")
    scenario.succeeds("g/x")
    scenario.is_retried()
    return scenario


@tells("LOOKING_UP_CACHE")
def looking_up() -> Scenario:
    return one(cache=True)


@tells("WAITING_FOR_SAME_TASK")
def same_task() -> Scenario:
    scenario = one(cache=True)
    reason = Reason(
        code="WAITING_FOR_SAME_TASK", message="m", details={"run_id": "r2", "path": "a", "execution_id": "e2"}
    )
    scenario.happens(CacheWaiting(at=0.0, path="a", reason=reason, fingerprint="f"))
    return scenario


@tells("CACHE_HIT")
def hit() -> Scenario:
    scenario = one(cache=True)
    scenario.happens(CacheHit(at=0.0, path="a", outputs=Bundle(), cached_from="earlier", fingerprint="f"))
    return scenario


@tells("USER_EXCEPTION")
def user_exception() -> Scenario:
    scenario = one()
    scenario.runs("a")
    scenario.fails("a", "USER_EXCEPTION")
    return scenario


@tells("EXECUTOR_LOST")
def lost() -> Scenario:
    scenario = one()
    for _ in range(4):
        scenario.is_lost("a")
        scenario.now = scenario["a"].retry_at or scenario.now
        scenario.is_woken(scenario.now)
    return scenario


@tells("CONDITION_FALSE")
def condition() -> Scenario:
    task = leaf(takes={"v": "STRING"}, wires={"v": const("low")}, condition="inputs.parameter_values['v'] == 'high'")
    scenario = Scenario(pipeline({"a": task}))
    scenario.starts()
    return scenario


@tells("UPSTREAM_FAILED", "b")
def upstream_failed() -> Scenario:
    scenario = two()
    scenario.runs("a")
    scenario.fails("a", "USER_EXCEPTION")
    return scenario


@tells("UPSTREAM_SKIPPED", "b")
def upstream_skipped() -> Scenario:
    scenario = two(condition="1 == 2")
    return scenario


@tells("INPUT_MISSING", "b")
def input_missing() -> Scenario:
    scenario = two()
    scenario.runs("a")
    scenario.succeeds("a")
    return scenario


@tells("REUSED", "a")
def reused() -> Scenario:
    scenario = two()
    scenario.succeeds("a", Output="x")
    scenario.succeeds("b")
    return scenario.again("b")


@pytest.mark.parametrize("code", STORIES)
def test_each_code_has_its_story_and_its_page(code: str) -> None:
    scenario, path = STORIES[code]()
    found = told(scenario, path)
    assert (found.reason.code, bool(found.reason.message)) == (code, True)
    page = codes.find(code)
    assert page is not None and page.cause and page.example and page.fix


def test_every_code_that_explaining_gives_has_a_story() -> None:
    source = Path(explain_rules.__file__).read_text()
    given = set(re.findall(r'code="([A-Z_]+)"', source)) - {"UNKNOWN"}
    assert {code for code in given if not code.startswith("CACHE_")} <= set(STORIES)


def test_what_the_document_of_a_failed_attempt_says_comes_through() -> None:
    for code in (
        "TIMEOUT",
        "OUT_OF_MEMORY",
        "KILLED_BY_SIGNAL",
        "IMAGE_NOT_FOUND",
        "PACKAGE_NOT_FOUND",
        "ATTEMPT_LOST",
    ):
        scenario = one()
        error = Reason(
            code=code, message="first\nlast", details={"signal": "SIGKILL", "image": "x:1", "packages": ["p"]}
        )
        scenario.happens(AttemptFailed(at=0.0, attempt=scenario.attempt("a"), error=error))
        found = told(scenario)
        assert found.reason.code == code
        assert found.failure is not None
        assert (found.failure.told, found.failure.signal, found.failure.image, found.failure.packages) == (
            "last", "SIGKILL", "x:1", ["p"],
        )  # fmt: skip


# --- the facts behind it -------------------------------------------------------------------------


def test_what_it_waits_for_is_named_with_its_state() -> None:
    found = told(upstream(), "b")
    assert [(ref.path, ref.state) for ref in found.waiting_for] == [("a", "RUNNING")]
    assert found.reason.message == "It waits for a (RUNNING)."


def test_a_retry_says_which_of_how_many_after_what_and_when() -> None:
    scenario = retry()
    scenario.now = 10.0
    found = told(scenario)
    assert found.retry is not None and found.retry.after is not None
    assert (found.retry.number, found.retry.at_most, found.retry.after.code) == (1, 3, "USER_EXCEPTION")
    assert found.retry.due_at == "1970-01-01T00:00:30.000Z"
    assert "Retry 1 of 3 after:" in found.reason.message and "due in 20 s" in found.reason.message
    scenario.is_woken(30.0)
    scenario.runs("a")
    scenario.fails("a", "EXIT_CODE")
    again = told(scenario).retry
    assert again is not None and again.after is not None and (again.number, again.after.code) == (2, "EXIT_CODE")


def test_after_the_last_retry_it_says_how_many_there_were_and_what_came_before() -> None:
    scenario = one(retry=(1, 0))
    for code in ("EXIT_CODE", "USER_EXCEPTION"):
        scenario.runs("a")
        scenario.fails("a", code)
    found = told(scenario)
    assert found.state == "FAILED" and found.reason.code == "USER_EXCEPTION"
    assert found.retry is not None and found.retry.after is not None
    assert (found.retry.number, found.retry.at_most, found.retry.after.code) == (1, 1, "EXIT_CODE")


def test_lost_attempts_are_no_retries() -> None:
    scenario = one(retry=(2, 0))
    scenario.is_lost("a")
    assert told(scenario).reason.message.startswith("Its attempt was lost 1 times after: ")
    scenario.is_woken(1.0)
    scenario.runs("a")
    found = told(scenario).retry
    assert found is not None and (found.number, found.lost) == (0, 1)


def test_a_first_attempt_has_no_retry() -> None:
    assert told(running()).retry is None
    assert told(user_exception()).retry is None


def test_a_nested_pipeline_that_begins_again_tells_of_its_rounds() -> None:
    scenario = Scenario(pipeline({"g": group({"x": leaf()}, retry=(2, 60))}))
    scenario.starts()
    scenario.runs("g/x")
    scenario.fails("g/x", "EXIT_CODE")
    found = told(scenario, "g")
    assert (found.reason.code, found.retry and (found.retry.number, found.retry.at_most)) == (
        "WAITING_FOR_RETRY",
        (1, 2),
    )


def test_a_condition_comes_with_its_values() -> None:
    found = told(condition()).condition
    assert found is not None
    assert (found.condition, found.values) == ("inputs.parameter_values['v'] == 'high'", {"v": "'low'"})


def test_the_chain_leads_down_through_groups_and_upstream_to_the_first_cause() -> None:
    inner = group({"x": leaf(), "y": leaf(after=["x"])})
    scenario = Scenario(
        pipeline({"g": group({"h": inner}), "last": leaf(after=["g"]), "very-last": leaf(after=["last"])})
    )
    scenario.starts()
    scenario.runs("g/h/x")
    scenario.fails("g/h/x", "USER_EXCEPTION")
    assert [ref.path for ref in told(scenario, "very-last").causes] == ["last", "g", "g/h", "g/h/x"]
    assert [ref.path for ref in told(scenario, "").causes] == ["g", "g/h", "g/h/x"]
    run = explain_run(Subject(plan=scenario.plan, state=scenario.state, now=1.0), limit=10)
    assert run.cause is not None
    assert (run.cause.path, run.cause.reason.code, run.reason.code) == ("g/h/x", "USER_EXCEPTION", "USER_EXCEPTION")


def test_the_chain_of_a_loop_names_the_iteration() -> None:
    scenario = loop(limit=2)
    scenario.runs("loop[1]/x")
    scenario.fails("loop[1]/x", "USER_EXCEPTION")
    scenario.runs("loop[0]/x")
    scenario.succeeds("loop[0]/x")
    assert [ref.path for ref in told(scenario, "").causes] == ["loop", "loop[1]", "loop[1]/x"]


def test_a_cancel_says_when() -> None:
    found = told(canceled(), "b", canceled_at=3.0)
    assert found.canceled_at == "1970-01-01T00:00:03.000Z"
    assert found.causes == []
    assert told(running(), canceled_at=3.0).canceled_at is None


def test_groups_count_what_is_below_them() -> None:
    assert told(loop(), "loop").reason.message == "Of its 2 iterations 0 are done and 1 running."


# --- the cache -----------------------------------------------------------------------------------


def use(scenario: Scenario, **known: Any) -> api.CacheUse:
    found = told(scenario, **known).cache
    assert found is not None
    return found


def test_where_the_cache_is_off_it_is_said_by_whom() -> None:
    assert use(one()).reason.code == "CACHE_OFF_TASK"
    by_run = Scenario(pipeline({"a": leaf(cache=True)}), caching=False)
    by_run.starts()
    assert use(by_run).reason.code == "CACHE_OFF_RUN"
    told_off = cached(reason=Reason(code="CACHE_OFF_SERVER", message="m"))
    assert (use(told_off).use, use(told_off).reason.code) == ("OFF", "CACHE_OFF_SERVER")
    assert use(upstream_of_cached()).use == "NOT_ASKED"
    assert use(upstream_of_cached(), caching=False).reason.code == "CACHE_OFF_SERVER"


def upstream_of_cached() -> Scenario:
    scenario = Scenario(pipeline({"z": leaf(), "a": leaf(cache=True, after=["z"])}))
    scenario.starts()
    return scenario


def test_a_miss_names_what_differs() -> None:
    differs = [{"part": "parameter lr", "there": "0.1", "here": "0.2"}]
    source = {"run_id": "r0", "execution_id": "e0", "created_at": 1.0}
    reason = Reason(code="CACHE_KEY_DIFFERS", message="m", details={"differs": differs, "from": source})
    found = use(cached(reason=reason))
    assert (found.use, found.fingerprint) == ("MISS", "f" * 64)
    assert found.differs == [api.DifferenceView(part="parameter lr", there="0.1", here="0.2")]
    assert found.source is not None and (found.source.run_id, found.source.execution_id) == ("r0", "e0")


def test_a_hit_names_its_source_and_who_leads_now_is_told() -> None:
    assert use(hit()).use == "HIT"
    source = use(hit()).source
    assert source is not None and source.execution_id == "earlier"
    found = told(same_task(), leaders={"a": ("r3", "b")})
    assert found.cache is not None and found.cache.use == "WAITING"
    assert [(ref.run_id, ref.path) for ref in found.waiting_for] == [("r3", "b")]


# --- runs ----------------------------------------------------------------------------------------


def run_of(scenario: Scenario, limit: int = 100) -> api.RunExplanation:
    return explain_run(Subject(plan=scenario.plan, state=scenario.state, now=scenario.now), limit=limit)


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (not_started, "RUN_NOT_STARTED"), (running, "RUNNING"), (paused, "RUN_PAUSED"), (stopping, "STOPPING"),
        (succeeded, "SUCCEEDED"), (user_exception, "USER_EXCEPTION"), (canceled, "STOPPING"),
    ],
)  # fmt: skip
def test_a_run_says_why_it_is_in_its_state(make: Callable[[], Scenario], code: str) -> None:
    assert run_of(make()).reason.code == code


def test_a_run_counts_what_its_tasks_wait_for() -> None:
    scenario = upstream()
    (wait,) = run_of(scenario).waiting
    assert (wait.code, wait.count, wait.example.path) == ("WAITING_FOR_UPSTREAM", 1, "b")


def test_of_many_tasks_those_that_tell_most_come_first() -> None:
    scenario = Scenario(pipeline({f"t{n}": leaf() for n in range(12)}))
    scenario.starts()
    for n in (0, 1, 2):
        scenario.runs(f"t{n}")
        scenario.succeeds(f"t{n}")
    scenario.runs("t5")
    scenario.fails("t5")
    found = run_of(scenario, limit=3)
    assert (found.tasks[0].path, len(found.tasks), found.omitted) == ("t5", 3, 9)
    assert "SUCCEEDED" not in {task.state for task in found.tasks}


# --- failures ------------------------------------------------------------------------------------

TRACE = """  File "/home/x/attempts/1/source/ephemeral_component.py", line 12, in train
    model.fit(x, y)
  File "/home/x/envs/ab/lib/python3.11/site-packages/sklearn/base.py", line 1152, in wrapper
    return fit_method(estimator, *args, **kwargs)
"""


def test_the_place_of_a_failure_is_in_the_users_own_source() -> None:
    details = {"exception_type": "ValueError", "exception_message": "bad\nworse", "traceback": TRACE, "line": 1152}
    found = failure_view(Reason(code="USER_EXCEPTION", message="ValueError: bad\nworse", details=details))
    assert (found.file, found.line, found.function, found.source_line) == (
        "ephemeral_component.py", 12, "train", "model.fit(x, y)",
    )  # fmt: skip
    assert (found.exception_type, found.exception_message, found.told) == ("ValueError", "bad\nworse", "")


def test_the_place_that_the_runtime_has_recorded_wins() -> None:
    # Not the traceback's: the author's file may lie among installed packages.
    file = "/x/lib/python3.11/site-packages/mine/steps.py"
    place = {"file": file, "line": 8, "function": "train", "source_line": "fit()", "lines": [[7, "x"], [8, "fit()"]]}
    found = failure_view(Reason(code="USER_EXCEPTION", message="m", details={"traceback": TRACE, **place}))
    assert (found.file, found.line, found.function) == ("steps.py", 8, "train")
    assert found.lines == [api.CodeLine(number=7, text="x"), api.CodeLine(number=8, text="fit()")]


@pytest.mark.parametrize("lines", ["x", [1, [2]], [[{}, []]], None])
def test_lines_that_a_task_has_made_up_break_nothing(lines: Any) -> None:
    failure_view(Reason(code="USER_EXCEPTION", message="m", details={"file": "a.py", "line": 8, "lines": lines}))


@pytest.mark.parametrize(
    ("code", "details", "said", "never"),
    [
        ("OUTPUT_INVALID", {"expected": "int", "got": "str"}, "int(x)", "float"),
        ("OUTPUT_INVALID", {"expected": "list", "got": "numpy.ndarray"}, "tolist", "float"),
        ("OUTPUT_MISSING", {"expected": "int", "function": "f"}, "Return a value of type int", "command"),
        ("OUTPUT_MISSING", {"expected": "int"}, "command", "on every way"),
        ("KILLED_BY_SIGNAL", {"signal": "SIGKILL"}, "from outside", "extension"),
        ("KILLED_BY_SIGNAL", {"signal": "SIGSEGV"}, "extension", "from outside"),
    ],
)
def test_the_fix_fits_what_happened(code: str, details: dict[str, Any], said: str, never: str) -> None:
    one = api.Explanation(
        run_id="r", execution_id="e", path="f", task="f", kind="TASK", state="FAILED",
        reason=api.ReasonView(code=code, message="m", details=details),
    )  # fmt: skip
    assert said in fix_for(one)
    assert never not in fix_for(one)


@pytest.mark.parametrize(
    ("module", "package"),
    [
        ("sklearn", "scikit-learn"), ("sklearn.linear_model", "scikit-learn"), ("yaml", "PyYAML"), ("pandas", "pandas"),
        ("google.cloud.storage", "google-cloud-storage"), ("google.cloud.pubsub", "google-cloud-pubsub"),
        ("my_module.sub", "my-module"), ("pkg_resources", "setuptools<82"), ("pip", "pip"),
    ],
)  # fmt: skip
def test_a_missing_module_names_its_package(module: str, package: str) -> None:
    details = {"exception_message": f"No module named {module!r}"}
    found = failure_view(Reason(code="MODULE_NOT_FOUND", message="m", details=details))
    assert (found.module, found.packages, package_of(module)) == (module, [package], package)


def test_what_images_of_python_have_is_named(tmp_path: Path) -> None:
    report_exception(str(tmp_path / "outcome"), ModuleNotFoundError("x", name="pkg_resources"), {"source": "s"})
    assert "'setuptools<82'" in json.loads((tmp_path / "outcome").read_text())["message"]


def test_a_failure_of_which_nothing_is_known_is_empty() -> None:
    assert failure_view(Reason(code="TIMEOUT", message="m", details={"timeout_s": 60.0})) == api.FailureView(
        limit="60 s"
    )


# --- pages ---------------------------------------------------------------------------------------


def test_a_page_is_plain_text() -> None:
    page = codes.find("out_of_memory")
    assert page is not None and page.code == "OUT_OF_MEMORY"
    assert "](" not in page.fix and "\n" not in page.meaning


def test_codes_without_a_section_have_their_row() -> None:
    page = codes.find("NAME_TOO_LONG")
    assert page == api.CodePage(code="NAME_TOO_LONG", meaning="The name has more characters than allowed.")


@pytest.mark.parametrize(("asked", "near"), [("OUT_OF_MEM", "OUT_OF_MEMORY"), ("TIMOUT", "TIMEOUT"), ("xyzzy", None)])
def test_codes_that_come_near(asked: str, near: str | None) -> None:
    assert codes.find(asked) is None
    assert (codes.near(asked)[:1] or [None]) == [near]
