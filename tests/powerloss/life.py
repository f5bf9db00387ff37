"""A short life of the service over one data directory: runs made, driven, tried again, deleted; artifacts taken in."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from fake_executor import FakeExecutor, World, fail, succeed
from headrace.artifacts import content
from headrace.artifacts.local import LocalStore
from headrace.attempt.order import LaunchOrder
from headrace.attempt.result import ProducedArtifact
from headrace.executors.port import Succeeded
from headrace.service.service import NewRun
from headrace.service.settings import Settings
from headrace.store import run_changes
from headrace.store import runs as rows
from headrace.store.database import Database
from owned_service import Service
from powerloss.recorder import Recorder
from properties.documents import leaf, made, spec_of

_RUNS = 14


def document(rng: Random) -> dict[str, Any]:
    """A few tasks that make artifacts, in a chain and in a loop."""
    takes = {"takes_artifacts": {"m": "system.Model"}}
    return spec_of(
        {
            "first": leaf(makes=("model",), gives={"Output": "STRING"}),
            "second": leaf(makes=("model",), wires_artifacts={"m": made("first")}, **takes),
            "each": leaf(makes=("model",), loop=str(list(range(rng.randint(0, 4)))), takes={"item": "NUMBER_INTEGER"}),
            "shaky": leaf(after=["first"], gives={"Output": "STRING"}, retry=(1, 0)),
        }
    )


class Executor:
    """What attempts come to: they leave files and directories, which are taken in as the real executors do."""

    def __init__(self, home: Path, rng: Random) -> None:
        self.home, self.rng = home, rng
        self.number = 0

    def behave(self, order: LaunchOrder) -> Any:
        if order.task == "shaky" and self.rng.random() < 0.5:
            return fail(order)
        done = succeed(order)
        store = LocalStore(self.home / "artifacts")
        made = {name: (self._made(store, order, name),) for name in order.outputs.artifacts}
        return Succeeded(attempt=order.attempt, at=1.0, parameters=done.parameters, artifacts=made)

    def _made(self, store: LocalStore, order: LaunchOrder, name: str) -> ProducedArtifact:
        self.number += 1
        path = self.home / "attempts" / f"out-{self.number}"
        if self.rng.random() < 0.4:
            (path / "inner").mkdir(parents=True)
            # Many files are synced at once, in another way.
            for n in range(self.rng.choice((1, 2, 3, content._MANY + 1 if self.number % 8 == 0 else 1))):
                (path / "inner" / f"file-{n}").write_bytes(self.rng.randbytes(self.rng.randint(0, 600)))
            (path / "top").write_bytes(self.rng.randbytes(20))
        else:
            path.write_bytes(self.rng.randbytes(self.rng.randint(0, 3000)))
        stored = store.take(f"{order.artifact_prefix}/{name}", path)
        return ProducedArtifact(
            name=name, type=order.outputs.artifacts[name], uri=stored.uri, digest=stored.digest,
            size_bytes=stored.size_bytes, is_directory=stored.is_directory, owned=True,
        )  # fmt: skip


def watch_commits(recorder: Recorder) -> None:
    """Whatever `Database.write` has answered is acknowledged: the versions of runs, and which are gone."""
    write = Database.write

    async def watched(self: Database, op: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        goes = op.__name__ == "_delete"
        if goes:
            recorder.acknowledge({args[0]: -1})
        result = await write(self, op, *args, **kwargs)
        if op is run_changes.commit_changes:
            recorder.acknowledge({change.run_id: change.base_version + 1 for change in args[0]})
        elif op is run_changes.insert_run:
            recorder.acknowledge({args[0].run_id: args[1].base_version + 1})
        elif goes:
            recorder.acknowledge({args[0]: None})
        return result

    Database.write = watched  # type: ignore[method-assign]


def live(recorder: Recorder, home: Path, seed: int) -> None:
    """Everything, with a restart in the middle."""
    logging.disable(logging.CRITICAL)
    watch_commits(recorder)
    rng = Random(seed)
    world = World(behaviour=Executor(home, rng).behave)
    asyncio.run(_days(home, rng, world))


async def _days(home: Path, rng: Random, world: World) -> None:
    kept: list[str] = []
    for _ in range(2):
        service = await Service.open(Settings(home=home), executor=FakeExecutor(world))
        for _ in range(_RUNS // 2):
            run = await service.create_run(NewRun(pipeline_spec=document(rng)))
            state = await _end(service, run.run_id)
            while state == "FAILED" and rng.random() < 0.7:
                await service.retry_run(run.run_id)
                state = await _end(service, run.run_id)
            kept.append(run.run_id)
            if rng.random() < 0.3:
                await service.delete_run(kept.pop(rng.randrange(len(kept))))
        await service.close()


async def _end(service: Service, run_id: str) -> str:
    while not (run := await service.get_run(run_id)).state.final:
        await asyncio.sleep(0.001)
    return run.state.value
