"""People who make runs, ask things of them, and follow them, at whichever server answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from random import Random
from typing import TYPE_CHECKING, Any

from headrace.engine.model import *
from headrace.service.errors import Conflict, Invalid, NotFound, ServiceError, Unavailable
from headrace.service.service import NewMark, NewRun, Rerun
from headrace.service.session import Session
from simulation.server import ConnectionLost, Server

if TYPE_CHECKING:
    from simulation.world import World

#: What a server may answer to somebody who asks for what cannot be (any more).
_NO = (Conflict, NotFound, Invalid)


class People:
    """They never die, and ask again when they hear nothing."""

    def __init__(self, world: World, specs: list[tuple[dict[str, Any], dict[str, Any]]]) -> None:
        self.world = world
        self.specs = specs
        self.rng = Random(f"{world.seed}/people")
        #: Runs that somebody was told of.
        self.told: set[str] = set()
        #: Runs that somebody has paused and nobody has resumed.
        self.busy: set[asyncio.Task[None]] = set()

    def server(self) -> Server:
        """Any server."""
        return self.rng.choice(self.world.servers)

    # --- making --------------------------------------------------------------------------------

    async def make_runs(self) -> None:
        """Make all runs of this world, some at the same moment."""
        for number in range(self.world.faults.runs):
            if number:
                await asyncio.sleep(self.rng.choice((0.0, 0.1, 2.0, 8.0)))
            await self._make(number)

    async def _make(self, number: int) -> None:
        spec, arguments = self.specs[number % len(self.specs)]
        caching = self.rng.choice((None, None, None, True, False))
        new = NewRun(pipeline_spec=spec, parameters=arguments, display_name=f"run {number}", caching=caching)
        while True:
            try:
                record = await self.server().ask(lambda service: service.create_run(new))
            except (ConnectionLost, Unavailable):
                # It may have been made or not. People look, and make it again where they do not find it.
                if any(run.engine.first.display_name == f"run {number}" for run in self.world.watch.runs.values()):
                    return
                await asyncio.sleep(0.5 + self.rng.random())
                continue
            self.told.add(record.run_id)
            here = record.run_id in self.world.watch.runs or record.run_id in self.world.watch.unwanted
            self.world.check(here, "a run was acknowledged that is not recorded")
            return

    # --- asking --------------------------------------------------------------------------------

    async def ask_now_and_then(self) -> None:
        """Ask for anything, until it is calm."""
        if not self.world.faults.ask_every:
            return
        while True:
            await asyncio.sleep(self.rng.expovariate(1 / self.world.faults.ask_every))
            if self.world.calm:
                return
            if self.world.watch.runs:
                self._aside(self._ask_something())

    def _aside(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.busy.add(task)
        task.add_done_callback(self.busy.discard)

    async def _ask_something(self) -> None:
        run_id = self.rng.choice(sorted(self.world.watch.runs))
        what = self.rng.choice(
            ("terminate", "pause", "resume", "pause", "resume", "retry", "retry", "mark", "mark", "delete", "rerun")
        )
        if what == "terminate" and self.rng.random() < 0.4:
            return
        if what == "delete" and self.rng.random() < 0.5:
            return
        await self.ask(what, run_id)

    async def ask(self, what: str, run_id: str) -> None:
        """Ask for it once; what was acknowledged must be there."""
        world, server = self.world, self.server()
        world.trace(f"somebody asks {server.name} to {what} {world.name_of(run_id)}")
        do, kind = self._request(what, run_id)
        if do is None:
            return
        if what == "delete":
            world.watch.unwanted.add(run_id)
        process = server.process
        if process is None:
            return
        before = world.watch.requests_of(run_id, kind) if kind is not None else []
        run = world.watch.runs.get(run_id)
        had_ended = run is not None and run.state.state.final
        try:
            made = await server.ask(do)
        except _NO as no:
            world.trace(f"{server.name} refuses to {what} {world.name_of(run_id)}: {no.code}")
        except (ConnectionLost, Unavailable) as error:
            world.trace(f"nobody knows whether {server.name} did {what} {world.name_of(run_id)}: {error}"[:150])
        else:
            world.trace(f"{server.name} says that {what} of {world.name_of(run_id)} is done")
            if kind is not None:
                world.watch.acknowledged(run_id, kind, before, had_ended)
            elif what == "delete":
                world.check(run_id not in world.watch.runs, "a run is there although its deletion was acknowledged")
            elif what == "rerun":
                world.check(
                    made.run_id in world.watch.runs or made.run_id in world.watch.unwanted, "a rerun is not there"
                )

    def _request(
        self, what: str, run_id: str
    ) -> tuple[Callable[[Session], Coroutine[Any, Any, Any]] | None, type | None]:
        match what:
            case "terminate":
                return (lambda service: service.terminate_run(run_id)), CancelRequested
            case "pause":
                return (lambda service: service.pause_run(run_id)), PauseRequested
            case "resume":
                return (lambda service: service.resume_run(run_id)), ResumeRequested
            case "retry":
                return (lambda service: service.retry_run(run_id)), RetryRequested
            case "delete":
                return (lambda service: service.delete_run(run_id)), None
            case "rerun":
                if len(self.world.watch.runs) > 4:
                    return None, None
                return (lambda service: service.rerun_run(run_id, Rerun())), None
            case "mark":
                return self._mark(run_id)
        raise AssertionError(what)

    def _mark(self, run_id: str) -> Any:
        run = self.world.watch.runs.get(run_id)
        paths = [] if run is None else sorted(
            path for path, one in run.state.executions.items() if one.kind in (Kind.TASK, Kind.IMPORTER)
        )  # fmt: skip
        if run is None or not paths:
            return None, None
        path = self.rng.choice(paths)
        if self.rng.random() < 0.5:
            mark = NewMark(state="SKIPPED")
        else:
            declared = run.plan.task_at(path).component.outputs.parameters
            values = {"STRING": "heads", "NUMBER_INTEGER": 1, "NUMBER_DOUBLE": 0.5, "BOOLEAN": True}
            values |= {"LIST": ["heads"], "STRUCT": {"a": "heads"}}
            mark = NewMark(state="SUCCEEDED", parameters={n: values[d.type] for n, d in declared.items()})
        ident = execution_id(run_id, path)
        return (lambda service: service.mark_execution(run_id, ident, mark)), ExecutionMarked

    # --- following -----------------------------------------------------------------------------

    async def follow(self) -> None:
        """Now and then somebody follows a run to its end, at any server."""
        if not self.world.faults.follow:
            return
        seen: set[str] = set()
        while True:
            await asyncio.sleep(1.0)
            for run_id in sorted(self.world.watch.runs.keys() - seen):
                seen.add(run_id)
                if self.rng.random() < self.world.faults.follow:
                    self._aside(self._follow(run_id))

    async def _follow(self, run_id: str) -> None:
        while True:
            version = 0
            last: list[Any] = []

            async def watch(service: Session) -> None:
                nonlocal version
                async for change in service.watch_run(run_id, after_version=version):
                    assert change.version > version or not version, "a watcher is told an older version"
                    version = change.version
                    last[:] = [change]

            try:
                await self.server().ask(watch, limit_s=10_000.0)
            except NotFound:
                return
            except (ConnectionLost, ServiceError):
                await asyncio.sleep(1.0)
                continue
            final = bool(last) and State(last[0].run.state).final
            run = self.world.watch.runs.get(run_id)
            self.world.check(final or run is None, "a watcher's stream ends before the run has")
            return

    # --- in calm times -------------------------------------------------------------------------

    async def resume_all(self) -> None:
        """Let go on whatever is paused."""
        for run in list(self.world.watch.runs.values()):
            if run.state.paused and not run.state.state.final:
                await self.ask("resume", run.run_id)

    async def ask_again(self) -> bool:
        """Retry, or mark, runs that have ended badly; whether anything was asked."""
        asked = False
        for run in list(self.world.watch.runs.values()):
            if run.state.state in (State.FAILED, State.CANCELED) and self.rng.random() < self.world.faults.again:
                asked = True
                await self.ask(self.rng.choice(("retry", "retry", "mark")), run.run_id)
        return asked
