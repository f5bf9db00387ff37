"""A run as a list of facts: each is given to the engine, and returns the commands that follow from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from headrace import engine
from headrace.attempt.derive import launch_order
from headrace.attempt.order import LaunchOrder
from headrace.engine.index import rebuild
from headrace.engine.model import (
    AnyEvent,
    Artifact,
    ArtifactType,
    AttemptFailed,
    AttemptId,
    AttemptLost,
    AttemptStarted,
    AttemptStopped,
    AttemptSucceeded,
    AttemptWaiting,
    Bundle,
    CacheHit,
    CacheMissed,
    CancelRequested,
    Command,
    Execution,
    ExecutionMarked,
    LookUpCache,
    Origin,
    PauseRequested,
    Reason,
    ResumeRequested,
    RetryRequested,
    RunStarted,
    State,
    Stop,
    Tick,
)
from headrace.spec.document import Document

Json = Any


def artifact(name: str) -> Artifact:
    return Artifact(artifact_id=name, name=name, type=ArtifactType(schema_title="system.Model"), uri=f"file:///{name}")


class Scenario:
    """One run. Facts return commands as short texts: `launch a#1`, `stop a#1`, `look up a`."""

    def __init__(self, document: Document, *, caching: bool | None = None, **arguments: Json) -> None:
        self.plan = engine.plan(document)
        self.state = engine.new_run(
            self.plan, run_id="r", display_name="my run", arguments=arguments, at=0.0, caching=caching
        )
        self.now = 0.0
        #: Of a rerun: what it may reuse, and the commands of its start.
        self.reuse_plan: engine.ReusePlan | None = None
        self.begun: list[str] = []

    # --- facts -------------------------------------------------------------------------------

    def happens(self, event: AnyEvent) -> list[str]:
        step = engine.advance(self.plan, self.state, event)
        self.state = step.state
        assert step.state.index == rebuild(self.plan, step.state.executions)
        return [_short(command) for command in step.commands]

    def starts(self) -> list[str]:
        return self.happens(RunStarted(at=self.now))

    def runs(self, path: str) -> list[str]:
        return self.happens(AttemptStarted(at=self.now, attempt=self.attempt(path)))

    def waits(self, path: str, code: str = "SLOT") -> list[str]:
        return self.happens(AttemptWaiting(at=self.now, attempt=self.attempt(path), reason=_reason(code)))

    def succeeds(self, path: str, /, *, model: Artifact | None = None, **parameters: Json) -> list[str]:
        artifacts = {"model": (model,)} if model else {}
        outputs = Bundle(parameters=parameters, artifacts=artifacts)
        return self.happens(AttemptSucceeded(at=self.now, attempt=self.attempt(path), outputs=outputs))

    def fails(self, path: str, code: str = "TASK_FAILED", *, retryable: bool = True) -> list[str]:
        event = AttemptFailed(at=self.now, attempt=self.attempt(path), error=_reason(code), retryable=retryable)
        return self.happens(event)

    def is_lost(self, path: str) -> list[str]:
        return self.happens(AttemptLost(at=self.now, attempt=self.attempt(path), error=_reason("HOST_RESTARTED")))

    def is_stopped(self, path: str) -> list[str]:
        return self.happens(AttemptStopped(at=self.now, attempt=self.attempt(path)))

    def hits(self, path: str, **parameters: Json) -> list[str]:
        event = CacheHit(at=self.now, path=path, outputs=Bundle(parameters=parameters), cached_from="earlier")
        return self.happens(event)

    def misses(self, path: str) -> list[str]:
        return self.happens(CacheMissed(at=self.now, path=path))

    def is_cancelled(self) -> list[str]:
        return self.happens(CancelRequested(at=self.now))

    def is_paused(self) -> list[str]:
        return self.happens(PauseRequested(at=self.now))

    def is_resumed(self) -> list[str]:
        return self.happens(ResumeRequested(at=self.now))

    def is_retried(self) -> list[str]:
        return self.happens(RetryRequested(at=self.now))

    def is_marked(self, path: str, word: str = "SUCCEEDED", /, *, model: Artifact | None = None, **parameters: Json):
        artifacts = {"model": (model,)} if model else {}
        outputs = Bundle(parameters=parameters, artifacts=artifacts)
        event = ExecutionMarked(
            at=self.now, path=path, state=State(word), outputs=outputs, by="ann", note="looked at it"
        )
        return self.happens(event)

    def again(
        self, *wanted: str, document: Document | None = None, caching: bool | None = None, **arguments: Json
    ) -> Scenario:
        """A rerun of this run, started."""
        scenario = Scenario(document or self.plan.document, caching=caching, **arguments)
        if document is None:
            scenario.plan = self.plan
        scenario.reuse_plan = engine.plan_reuse(scenario.plan, self.plan, self.state, wanted)
        origin = Origin(run_id="r", again=scenario.reuse_plan.again)
        scenario.begun = scenario.happens(RunStarted(at=0.0, origin=origin, reuse=scenario.reuse_plan.reuse))
        return scenario

    def is_woken(self, at: float) -> list[str]:
        self.now = at
        return self.happens(Tick(at=at))

    # --- the state --------------------------------------------------------------------------

    def __getitem__(self, path: str) -> Execution:
        return self.state.executions[path]

    def attempt(self, path: str, number: int | None = None) -> AttemptId:
        return AttemptId(run_id="r", path=path, number=number or len(self[path].attempts))

    def states(self) -> dict[str, str]:
        """All executions but the root."""
        return {path: str(self[path].state) for path in sorted(self.state.executions) if path}

    def gets(self, path: str) -> dict[str, Json]:
        return self[path].inputs.parameters

    def gives(self, path: str = "") -> dict[str, Json]:
        return self[path].outputs.parameters

    def code(self, path: str) -> str:
        reason = self[path].reason
        return reason.code if reason else ""

    def message(self, path: str) -> str:
        reason = self[path].reason
        return reason.message if reason else ""

    def order(self, path: str) -> LaunchOrder:
        return launch_order(self.plan, self.state, self.attempt(path))

    def outstanding(self) -> list[str]:
        return [_short(command) for command in engine.outstanding(self.plan, self.state)]

    def survives_a_restart(self) -> None:
        """The state is what its stored form says."""
        rows = msgspec.json.encode(list(self.state.executions.values()))
        executions = msgspec.json.decode(rows, type=list[Execution])
        header = engine.decode_header(engine.encode_header(self.state))
        back = engine.restore(self.plan, header, executions, reuse=self.reuse_plan.reuse if self.reuse_plan else None)
        assert back == self.state
        self.state = back

    def ignores(self, *facts: Callable[[], list[str]]) -> None:
        """None of these changes anything."""
        before = self.state
        for fact in facts:
            assert fact() == []
            assert self.state == before

    @property
    def end(self) -> State:
        return self.state.state


def _short(command: Command) -> str:
    if isinstance(command, LookUpCache):
        return f"look up {command.path}"
    word = "stop" if isinstance(command, Stop) else "launch"
    return f"{word} {command.attempt.path}#{command.attempt.number}"


def _reason(code: str) -> Reason:
    return Reason(code=code, message=f"{code.lower()} happened")
