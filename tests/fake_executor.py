"""An executor that obeys the port and runs nothing: what attempts come to is the test's to say.

What it knows lives in a `World`, which outlives it as processes outlive a server.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import msgspec

from headrace.attempt.order import LaunchOrder
from headrace.attempt.result import ProducedArtifact
from headrace.engine.model import ArtifactType, AttemptId, Reason
from headrace.executors.log_store import LiveLog
from headrace.executors.port import AnyReport, Failed, Started, Stopped, Succeeded
from headrace.service.context import Context
from headrace.spec.settings import without_effect

#: What an attempt comes to; None: it goes on until it is stopped, or the test says more.
Behaviour: TypeAlias = Callable[[LaunchOrder], "AnyReport | None"]

_VALUES = {
    "STRING": "text",
    "NUMBER_INTEGER": 1,
    "NUMBER_DOUBLE": 0.5,
    "BOOLEAN": True,
    "LIST": [1, 2, 3],
    "STRUCT": {"a": 1},
}


def succeed(order: LaunchOrder) -> Succeeded:
    """Ends well, with a value for each declared output."""
    return Succeeded(
        attempt=order.attempt,
        at=1.0,
        parameters={name: _VALUES[kind] for name, kind in order.outputs.parameters.items()},
        artifacts={name: (produced(order, name, kind),) for name, kind in order.outputs.artifacts.items()},
    )


def produced(order: LaunchOrder, name: str, kind: ArtifactType) -> ProducedArtifact:
    """An output artifact of the fake store."""
    uri = f"fake://{order.attempt.execution_id}/{order.attempt.number}/{name}"
    return ProducedArtifact(name=name, type=kind, uri=uri, metadata={"n": 1}, digest="d" * 64, size_bytes=3, owned=True)


def fail(order: LaunchOrder) -> Failed:
    """Ends badly."""
    return Failed(attempt=order.attempt, at=1.0, error=Reason(code="USER_CODE", message="It raised."))


def hang(order: LaunchOrder) -> None:
    """Goes on."""


@dataclass(kw_only=True)
class World:
    """What attempts are doing, whichever server looks."""

    behaviour: Behaviour = succeed
    orders: dict[AttemptId, LaunchOrder] = field(default_factory=dict)
    #: How each attempt ended, once it has.
    ends: dict[AttemptId, AnyReport] = field(default_factory=dict)
    #: How often each attempt's user code was begun: never more than once.
    starts: Counter[AttemptId] = field(default_factory=Counter)
    settled: set[AttemptId] = field(default_factory=set)
    discarded: set[AttemptId] = field(default_factory=set)
    #: Runs that servers have left to others.
    let_go: set[str] = field(default_factory=set)
    logs: dict[AttemptId, bytes] = field(default_factory=dict)
    #: What attempts run in.
    surroundings: dict[str, str] = field(default_factory=dict)
    #: Runs of whose attempts nothing is kept.
    forgotten: set[str] = field(default_factory=set)


class FakeLogs:
    """See `LogStore`: in pieces of four bytes."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def size(self, attempt: AttemptId) -> int:
        return len(self._world.logs.get(attempt, b""))

    async def read(self, attempt: AttemptId, *, offset: int, limit: int) -> bytes:
        return self._world.logs.get(attempt, b"")[offset : offset + min(limit, 4)]

    def live_log(self, attempt: AttemptId) -> LiveLog | None:
        return None


class FakeExecutor:
    """See `Executor`."""

    def __init__(
        self, world: World | None = None, *, fuse: Callable[[], None] = lambda: None, domain: str = "fake"
    ) -> None:
        self.domain = domain
        self.world = world or World()
        self.logs = FakeLogs(self.world)
        #: Called before each thing done: a test lets it raise to end the server there.
        self._fuse = fuse
        self._reports: asyncio.Queue[AnyReport | None] = asyncio.Queue()
        self._clock = itertools.count(1)

    async def launch(self, order: LaunchOrder) -> None:
        self._fuse()
        attempt, world = order.attempt, self.world
        if attempt not in world.orders:
            world.orders[attempt] = order
            world.starts[attempt] += 1
            world.logs[attempt] = f"hello from {attempt.path}\n".encode()
            end = world.behaviour(order)
            if isinstance(end, Succeeded):
                end = msgspec.structs.replace(end, surroundings=world.surroundings)
            if end is not None:
                world.ends[attempt] = end
        self._tell(attempt)

    def _tell(self, attempt: AttemptId) -> None:
        self._reports.put_nowait(Started(attempt=attempt, at=1.0))
        if attempt in self.world.ends:
            self._reports.put_nowait(self.world.ends[attempt])

    def end(self, report: AnyReport) -> None:
        """The attempt ends now, like this."""
        self.world.ends.setdefault(report.attempt, report)
        self._reports.put_nowait(self.world.ends[report.attempt])

    def say(self, report: AnyReport) -> None:
        """Report this, true or not."""
        self._reports.put_nowait(report)

    def without_effect(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        return without_effect(settings)

    async def surroundings(self, order: LaunchOrder) -> dict[str, str]:
        return self.world.surroundings

    async def stop(self, attempt: AttemptId) -> None:
        self._fuse()
        self.end(Stopped(attempt=attempt, at=2.0))

    async def settle(self, attempt: AttemptId) -> None:
        self._fuse()
        self.world.settled.add(attempt)

    async def live(self) -> Set[AttemptId]:
        return set(self.world.orders) - self.world.settled - self.world.discarded

    async def hand_over(self, run_id: str) -> None:
        self.world.let_go.add(run_id)

    async def keep_only(self, attempts: Set[AttemptId], *, within: Set[str] | None = None) -> None:
        self._fuse()
        unwanted = set(self.world.orders) - self.world.settled - set(attempts)
        for attempt in {one for one in unwanted if within is None or one.run_id in within}:
            self.world.discarded.add(attempt)
            self.world.ends.setdefault(attempt, Stopped(attempt=attempt, at=2.0))

    async def reports(self) -> AsyncIterator[AnyReport]:
        for attempt in set(self.world.orders) - self.world.settled - self.world.discarded:
            self._tell(attempt)
        while (report := await self._reports.get()) is not None:
            yield report

    async def delete_run(self, run_id: str) -> None:
        self.world.forgotten.add(run_id)

    async def close(self) -> None:
        self._reports.put_nowait(None)


def fake_of(context: Context) -> FakeExecutor:
    """The fake behind the router of a service that was opened with one."""
    (fake,) = [one for one in context.executor.executors() if isinstance(one, FakeExecutor)]
    return fake
