"""What `headrace explain` prints, as people read it: `explanations.txt`."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from headrace.cli.terminal import Paint
from headrace.cli.why import Names, code_text, run_text, task_text
from headrace.engine.model import AttemptFailed, AttemptWaiting, Bundle, CacheHit, CacheMissed, Reason
from headrace.engine.model import execution_id as id_of
from headrace.service.explain_rules import Subject, explain, explain_run
from headrace.wire import api, codes
from properties.documents import const, group, leaf, out, param, pipeline
from scenario import Scenario

EXPECTED = Path(__file__).parent / "explanations.txt"
PLAIN = Paint(False)

TRACE = """  File "/data/attempts/1/source/ephemeral_component.py", line 12, in train
    model.fit(x, y)
  File "/data/envs/ab/lib/python3.11/site-packages/sklearn/base.py", line 1152, in wrapper
    return fit_method(estimator, *args, **kwargs)
"""
RAISED = Reason(
    code="USER_EXCEPTION",
    message="ValueError: could not convert string to float: 'n/a'",
    details={
        "exception_type": "ValueError", "exception_message": "could not convert string to float: 'n/a'",
        "traceback": TRACE, "line": 1152, "function": "wrapper", "source_line": "return fit_method(estimator)",
    },
)  # fmt: skip
LOG = "epoch 1\nTraceback (most recent call last):\n" + TRACE + "ValueError: could not convert string to float: 'n/a'"


def scenario() -> Scenario:
    """A demo that has something of everything: see the transcripts."""
    score = leaf(takes={"item": "NUMBER_INTEGER"}, wires={"item": param("item")})
    low = "inputs.parameter_values['rows'] == 'many'"
    return Scenario(
        pipeline({
            "load": leaf(cache=True, gives={"Output": "STRING"}),
            "train": leaf(cache=True, takes={"data": "STRING"}, wires={"data": out("load")}, retry=(2, 30)),
            "big": group({"deep": leaf()}, takes={"rows": "STRING"}, wires={"rows": out("load")}, condition=low),
            "scores": group(
                {"score": score}, loop="[1, 2, 3]", takes={"item": "NUMBER_INTEGER"}, parallelism=1
            ),
            "report": leaf(after=["train", "scores"]),
        })
    )  # fmt: skip


def fails(run: Scenario, path: str, reason: Reason) -> None:
    run.happens(AttemptFailed(at=run.now, attempt=run.attempt(path), error=reason))


def begun() -> Scenario:
    run = scenario()
    run.starts()
    source = {"run_id": "0b9d2f60-1111", "execution_id": "e", "created_at": 0.0}
    miss = Reason(
        code="CACHE_KEY_DIFFERS",
        message="The most similar earlier result (2 h ago) differs: parameter lr: 0.1 there, 0.2 here; command differs.",
        details={"from": source, "differs": [{"part": "parameter lr", "there": "0.1", "here": "0.2"}]},
    )
    run.happens(
        CacheHit(at=0.0, path="load", outputs=Bundle(parameters={"Output": "few"}), cached_from="c0", fingerprint="f")
    )  # fmt: skip
    run.happens(CacheMissed(at=0.0, path="train", reason=miss, fingerprint="f" * 64))
    return run


def waiting() -> Scenario:
    run = begun()
    run.runs("scores[0]/score")
    slot = Reason(code="WAITING_FOR_SLOT", message="1 attempts are running, as many as allowed (setting max_parallel).")
    run.happens(AttemptWaiting(at=0.0, attempt=run.attempt("train"), reason=slot))
    return run


def retrying() -> Scenario:
    run = begun()
    run.runs("train")
    fails(run, "train", RAISED)
    run.now = 10.0
    return run


def failed() -> Scenario:
    run = retrying()
    for due in (30.0, 100.0):
        run.is_woken(due)
        run.runs("train")
        fails(run, "train", RAISED)
    for i in range(3):
        run.runs(f"scores[{i}]/score")
        run.succeeds(f"scores[{i}]/score")
    return run


def out_of_memory() -> Scenario:
    run = begun()
    run.runs("train")
    run.succeeds("train")
    run.runs("scores[0]/score")
    reason = Reason(
        code="OUT_OF_MEMORY",
        message="The process was killed by the system because memory ran out.",
        details={"signal": "SIGKILL"},
    )
    fails(run, "scores[0]/score", reason)
    for i in (1, 2):
        run.runs(f"scores[{i}]/score")
        run.succeeds(f"scores[{i}]/score")
    return run


def packages() -> Scenario:
    run = Scenario(pipeline({"a": leaf()}))
    run.starts()
    told = (
        "error: No solution found\n  ╰─▶ Because sklern was not found in the package registry, it cannot be installed."
    )
    message = f"A package that the component asks for (sklern) cannot be had:\n{told}"
    error = Reason(code="PACKAGE_NOT_FOUND", message=message, details={"packages": ["sklern"]})
    run.happens(AttemptFailed(at=0.0, attempt=run.attempt("a"), error=error, retryable=False))
    return run


def cancelled() -> Scenario:
    run = waiting()
    run.is_cancelled()
    run.is_stopped("scores[0]/score")
    run.is_stopped("train")
    return run


def subject(run: Scenario, **known: Any) -> Subject:
    return Subject(plan=run.plan, state=run.state, now=run.now, **known)


def with_parts(found: api.Explanation) -> api.Explanation:
    assert found.cache is not None
    parts = {"parameter data": '"few"', "image": '"python:3.11"', "command": "sha256:0123456789abcdef (929 bytes)"}
    source = api.TaskRef(run_id="0b9d2f60-1111", run_name="monday", execution_id="e", path="train", state="SUCCEEDED")
    use = msgspec.structs.replace(found.cache, parts=parts, source=source)
    return msgspec.structs.replace(found, cache=use)


def transcripts() -> Iterator[tuple[str, str]]:
    names = Names()

    def run(made: Scenario, tail: str = "", **known: Any) -> str:
        return run_text(explain_run(subject(made, **known), limit=50), names, tail, PLAIN)

    def task(made: Scenario, path: str, tail: str = "", **known: Any) -> str:
        return task_text(explain(subject(made, **known), path), names, tail, PLAIN)

    yield "a run that waits", run(waiting())
    yield "a run whose task failed", run(failed(), LOG)
    yield "a run that failed in a loop", run(out_of_memory())
    yield "a run that was cancelled", run(cancelled(), canceled_at=3.0)
    yield "waiting for upstream", task(waiting(), "report")
    yield "waiting for a slot", task(waiting(), "train")
    yield "waiting for its turn in the loop", task(waiting(), "scores[1]")
    yield "waiting for a retry", task(retrying(), "train")
    yield "not taken from the cache", task_text(with_parts(explain(subject(waiting()), "train")), names, "", PLAIN)
    yield "taken from the cache", task(waiting(), "load")
    yield "skipped by a condition", task(waiting(), "big")
    yield "skipped because of upstream", task(failed(), "report")
    yield "failed by an exception, without a log", task(failed(), "train")
    yield "packages that cannot be had", task(packages(), "a")
    page = codes.find("OUT_OF_MEMORY")
    assert page is not None
    yield "a code", code_text(page, PLAIN)


def test_explanations_read_as_they_should(golden: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as here:
        here.setenv("TZ", "UTC")
        time.tzset()
        told = "\n\n".join(f"### {title}\n{text}" for title, text in transcripts())
    time.tzset()
    golden(EXPECTED, told + "\n")


def test_no_line_is_wider_than_a_terminal() -> None:
    wide = [line for _, text in transcripts() for line in text.splitlines() if len(line) > 120]
    assert wide == []


def test_nothing_of_a_users_text_steers_the_terminal() -> None:
    run = Scenario(pipeline({"a": leaf()}))
    run.starts()
    run.runs("a")
    fails(run, "a", Reason(code="USER_EXCEPTION", message="ValueError: \x1b[2J\x1b]0;title\x07gone", details={}))
    text = task_text(explain(subject(run), "a"), Names(), "\x1b[31mred\x1b[0m", PLAIN)
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", text)
    assert id_of("r", "a") not in text
