"""A service: opened over a data directory, resumed, and closed. What it can be asked, `session` says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace.executors.port import Executor
from headrace.service import experiments
from headrace.service.access import Access, Caller
from headrace.service.context import Context
from headrace.service.expiry import Expiry
from headrace.service.loop import RunLoop
from headrace.service.opening import close_context, open_context, resumable
from headrace.service.requests import NewMark as NewMark
from headrace.service.requests import NewRun as NewRun
from headrace.service.requests import NewVersion as NewVersion
from headrace.service.requests import Rerun as Rerun
from headrace.service.secrets import SigningKeys, SignInLedger
from headrace.service.session import Session
from headrace.service.settings import Settings
from headrace.service.ticker import Ticker

if TYPE_CHECKING:
    from headrace.service.sharing import Sharing


async def _close(context: Context, loop: RunLoop, sharing: Sharing | None) -> None:
    await loop.close()
    if sharing is not None:
        await sharing.close()
    await close_context(context)


class Service:
    """A running service over one data directory."""

    def __init__(self, context: Context, loop: RunLoop, sharing: Sharing | None = None) -> None:
        self._context = context
        self._loop = loop
        self._sharing = sharing
        self._expiry = Expiry(context, loop)
        self._ticker = Ticker(context, loop)

    @classmethod
    async def open(
        cls, settings: Settings, *, executor: Executor | None = None, in_memory: bool = False, drive: bool = True
    ) -> Service:
        """Open or make the data directory, take it for this process alone, resume every run.

        `executor` takes the place of this machine's own; `in_memory` keeps nothing beyond `close` but artifacts.
        Without `drive` nothing is resumed, stopped or started: for looking only.

        Raises Unavailable: HOME_READ_ONLY, HOME_FULL, HOME_IN_USE (details: pid, url of who has it),
        HOME_NEWER (made by a newer version of Headrace).
        """
        return await cls.over(await open_context(settings, executor=executor, in_memory=in_memory, drive=drive), drive)

    @classmethod
    async def over(cls, context: Context, drive: bool = True) -> Service:
        """Resume every run of what is open, or with several servers a share of them; closes it if that fails."""
        loop = RunLoop(context)
        sharing: Sharing | None = None
        try:
            await experiments.find_or_create(context, experiments.DEFAULT_NAME)
            if context.lease is not None and context.database.server is not None:
                # Half a second to import with its driver, and only for those who use it.
                from headrace.service.sharing import Sharing

                sharing = Sharing(context, loop, context.lease, context.database.server)
                await loop.start((), alone=False)
                await sharing.start()
            elif drive:
                await loop.start(await resumable(context))
        except BaseException:
            await _close(context, loop, sharing)
            raise
        service = cls(context, loop, sharing)
        if drive:
            service._expiry.start()
            service._ticker.start()
        return service

    async def broken(self) -> None:
        """Wait until nothing can be kept any more, which may be never. Raises Unavailable DISK_FAILED."""
        database = self._context.database
        await database.failed.wait()
        assert database.failure is not None
        raise self._context.translated(database.failure)

    async def close(self) -> None:
        """Let go: attempts go on running and are adopted by the next `open`."""
        await self._ticker.close()
        await self._expiry.close()
        await _close(self._context, self._loop, self._sharing)

    @property
    def keys(self) -> SigningKeys:
        """What this server signs with, as every server of the deployment does."""
        return self._context.keys

    @property
    def sign_ins(self) -> SignInLedger:
        """The tokens and sign-in codes that all servers of the deployment know."""
        return SignInLedger(self._context)

    def for_caller(self, caller: Caller, *, only: Access | None = None) -> Session:
        """Everything that can be asked, in this caller's name; with `only`, nothing that needs another access."""
        return Session(self._context, self._loop, caller, only=only)
