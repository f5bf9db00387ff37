"""One server of a simulated world: the service's own code, opened, killed and opened again."""

from __future__ import annotations

import asyncio
import functools
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.artifacts.port import Member, NotStored
from headrace.service.access import owner
from headrace.service.context import Context
from headrace.service.data_dir import DataDirectory
from headrace.service.errors import ServiceError
from headrace.service.lease import ServerLease
from headrace.service.opening import executors_of, importer_executor
from headrace.service.service import Service
from headrace.service.session import Session
from headrace.service.settings import Settings
from headrace.store.errors import StoreError
from simulation.simulated_executor import Machines, SimulatedExecutor
from simulation.virtual import Process

if TYPE_CHECKING:
    from simulation.world import World

LEASE_S = 15.0


@functools.cache
def data_dir() -> DataDirectory:
    """One data directory for all servers of this process: they keep nothing in it here."""
    folder = tempfile.TemporaryDirectory(prefix="headrace-simulation-")
    data_dir.folder = folder  # type: ignore[attr-defined] # removed at the end of the process
    return DataDirectory.open(Path(folder.name))


class NoArtifacts:
    """An artifact store in which everything that attempts say they have stored is there."""

    def owns(self, uri: str) -> bool:
        """See `ArtifactStore`."""
        return uri.startswith("fake:")

    async def exists(self, uri: str, *, digest: str = "", size_bytes: int | None = None) -> bool:
        """See `ArtifactStore`."""
        return True

    async def delete(self, prefix: str) -> None:
        """See `ArtifactStore`."""

    async def members(self, uri: str) -> tuple[Member, ...]:
        """See `ArtifactStore`."""
        raise NotStored(uri)

    async def open_read(self, uri: str, **_: Any) -> AsyncIterator[bytes]:
        """See `ArtifactStore`."""
        raise NotStored(uri)
        yield b""


class ConnectionLost(Exception):
    """Whoever asked hears no more of it."""


class Server:
    """A server that is started again whenever it ends."""

    def __init__(self, world: World, number: int, domain: Machines) -> None:
        self.world = world
        self.name = f"server-{number}"
        self.domain = domain
        self.skew_s = world.rng.uniform(-1, 1) * world.faults.skew_s
        self.life = 0
        self.process: Process | None = None
        self.service: Service | None = None
        self.executor: SimulatedExecutor | None = None
        self.lease: ServerLease | None = None
        self.closing = False
        self._requests: set[asyncio.Task[Any]] = set()

    @property
    def up(self) -> bool:
        """Whether it answers."""
        return self.service is not None

    # --- its life ------------------------------------------------------------------------------

    def boot(self) -> None:
        """Begin a new life."""
        if self.process is not None and self.process.alive:
            return
        self.life += 1
        self._requests = set()
        self.process = Process(f"{self.name}.{self.life}", skew_s=self.skew_s)
        self.world.processes.append(self.process)
        self.world.loop.spawn(self.process, self._open(self.process))

    async def _open(self, process: Process) -> None:
        world, shared = self.world, self.world.faults.shared
        self.lease = ServerLease(LEASE_S) if shared else None
        live: Callable[[], bool] = self.lease.live if self.lease is not None else lambda: True
        self.executor = SimulatedExecutor(world, self.domain, shared=shared, may_start=live)
        kept = _Kept(data_dir(), self.domain.name)
        settings = Settings(home=kept.path, lease_s=LEASE_S, caching=world.faults.caching)
        database = world.database.open()
        context = Context(
            settings=settings, data_dir=kept, database=database, artifacts=NoArtifacts(),  # type: ignore[arg-type]
            executor=executors_of(self.executor, importer_executor(settings, database)),
            lease=self.lease, now=lambda: time.time(),
        )  # fmt: skip
        try:
            service = await Service.over(context)
        except (ServiceError, StoreError) as error:
            world.trace(f"{process} does not start: {type(error).__name__}")
            self.die(again_s=1.0 + world.rng.random())
            return
        self.service = service
        world.first_ids[process.name] = world.server_id(process)
        world.trace(f"{process} is up")

    def die(self, *, again_s: float) -> None:
        """Killed, wherever it is; started again later."""
        if self.process is None or not self.process.alive or self.closing:
            return
        self.world.trace(f"{self.process} dies")
        self.process.kill()
        self.service = None
        self.world.later(again_s, self.boot)

    async def close(self) -> None:
        """Close it in an orderly way; nothing of it may be left."""
        self.closing = True
        while self.service is None:
            await asyncio.sleep(0.5)
        assert self.process is not None
        # The service is closed after its requests, as the server of the API does it.
        for request in list(self._requests):
            request.cancel()
        await asyncio.gather(*self._requests, return_exceptions=True)
        await self.world.loop.spawn(self.process, self.service.close())
        left = [task for task in self.process.tasks if not task.done()]
        assert not left, f"{self.process} is closed, and still does {left[0]}"
        self.process.kill()

    # --- what people ask -----------------------------------------------------------------------

    async def ask(self, what: Callable[[Session], Coroutine[Any, Any, Any]], limit_s: float = 40.0) -> Any:
        """Ask it something; raises what it answers, or ConnectionLost."""
        service, process = self.service, self.process
        if service is None or process is None or not process.alive:
            raise ConnectionLost(f"{self.name} is down")
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def told(task: asyncio.Task[Any]) -> None:
            if answer.done():
                task.cancelled() or task.exception()
            elif task.cancelled():
                answer.set_exception(ConnectionLost(f"{self.name} has dropped the request"))
            elif (error := task.exception()) is not None:
                answer.set_exception(error)
            else:
                answer.set_result(task.result())

        request = self.world.loop.spawn(process, what(service.for_caller(owner())))
        self._requests.add(request)
        request.add_done_callback(self._requests.discard)
        request.add_done_callback(told)
        try:
            async with asyncio.timeout(limit_s):
                return await answer
        except TimeoutError:
            raise ConnectionLost(f"{self.name} does not answer") from None


class _Kept:
    """The data directory, which the next life opens too."""

    def __init__(self, data_dir: DataDirectory, domain: str) -> None:
        self.path = data_dir.path
        self._domain = domain

    def domain(self) -> str:
        """Which executors can reach the same attempts."""
        return self._domain

    def close(self) -> None:
        """It stays open."""
