"""What the service's parts share: the open database, the executor, the clock, and the translation of store errors."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Concatenate, ParamSpec, TypeVar

from headrace.artifacts.object_stores import ObjectStoreConfig
from headrace.artifacts.port import ArtifactStore
from headrace.executors.router import ExecutorRouter
from headrace.service.changes import Changes
from headrace.service.data_dir import DataDirectory, unavailable
from headrace.service.errors import Invalid, ServiceError, Unavailable
from headrace.service.handling import HandlingNotes
from headrace.service.lease import ServerLease
from headrace.service.plans import Plans
from headrace.service.secrets import SigningKeys
from headrace.service.settings import Settings
from headrace.store import errors as store
from headrace.store.database import Connection, Database
from headrace.store.leases import Owner

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(kw_only=True)
class Context:
    """One open service, as its parts see it."""

    settings: Settings
    data_dir: DataDirectory
    database: Database
    executor: ExecutorRouter
    artifacts: ArtifactStore
    #: The object stores behind `artifacts`.
    objects: ObjectStoreConfig = field(default_factory=ObjectStoreConfig)
    #: Ours among the servers of one PostgreSQL; None with SQLite, and for a service that only looks.
    lease: ServerLease | None = None
    #: What this server signs with, as every server of the deployment does.
    keys: SigningKeys = field(default_factory=SigningKeys.new)
    changes: Changes = field(default_factory=Changes)
    now: Callable[[], float] = time.time
    #: Set when a recurring run was made or changed here.
    schedules_changed: asyncio.Event = field(default_factory=asyncio.Event)
    #: Held while an ended run's files are removed, and while an ended run is taken up again: never both.
    clearing: asyncio.Lock = field(default_factory=asyncio.Lock)
    #: Notes of the runs that are being handled; a service that only looks notes nothing.
    handling: HandlingNotes = field(default_factory=HandlingNotes)
    plans: Plans = field(init=False)

    def __post_init__(self) -> None:
        self.plans = Plans(self.read)

    @property
    def owner(self) -> Owner | None:
        """This server, as it signs what it commits to runs; None where there is only one server."""
        if self.lease is None:
            return None
        return Owner(server_id=self.lease.server_id, executor_domains=self.executor.domains)

    @property
    def registered(self) -> Owner:
        """As `owner`, of one of several servers."""
        assert self.owner is not None, "a server that shares its database has a lease"
        return self.owner

    async def read(self, op: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """A consistent read. Raises service errors."""
        try:
            return await self.database.read(op, *args, **kwargs)
        except store.StoreError as error:
            raise self.translated(error) from error

    async def write(self, op: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """A transaction, durable on return. Raises service errors; and the store's Duplicate and Missing, which mean
        something else for each caller."""
        try:
            return await self.database.write(op, *args, **kwargs)
        except (store.Duplicate, store.Missing):
            raise
        except store.StoreError as error:
            raise self.translated(error) from error

    def translated(self, error: store.StoreError) -> ServiceError:
        """A store's error as the service's."""
        return translated(error, self.settings)


def translated(error: store.StoreError, settings: Settings) -> ServiceError:
    """A store's error as the service's."""
    match error:
        case store.BadQuery():
            return Invalid(str(error), code=error.code)
        case store.Full() if settings.database is not None:
            message = f"The disk of the database server is full. Free some space on it; nothing was lost. ({error})"
            return Unavailable(message, code="DATABASE_FULL")
        case store.DatabaseUnreachable():
            return Unavailable(
                f"The database server does not answer; try again. Runs go on once it does. ({error})",
                code="DATABASE_UNREACHABLE",
            )
        case store.CommitUnknown():
            return Unavailable(
                "The database server went away in the middle of this; it may have been done or not. Look, and try "
                f"again. ({error})",
                code="OUTCOME_UNKNOWN",
            )
        case store.DiskFailed():
            return Unavailable(disk_failed(error, settings), code="DISK_FAILED", home=str(settings.home))
        case store.Full():
            return unavailable(settings.home, "HOME_FULL", str(error))
        case store.ReadOnly():
            return unavailable(settings.home, "HOME_READ_ONLY", str(error))
        case store.SchemaTooNew():
            where, other = _place(settings)
            return Unavailable(
                f"The {where} was made by a newer version of Headrace (schema {error.found}, this version knows up to "
                f"{error.known}). Upgrade Headrace, or choose another {other}. Nothing was changed.",
                code="HOME_NEWER",
                home=str(settings.home),
                found=error.found,
                known=error.known,
            )
        case store.Busy():
            return Unavailable(f"The database is busy; try again. ({error})", code="STORE_BUSY")
        case _:
            return Unavailable(f"The database cannot be used: {error}", code="STORE_FAILED")


def _place(settings: Settings) -> tuple[str, str]:
    """What keeps the data, and how to say another, in words for a person."""
    if settings.database is not None:
        return f"database {settings.database}", "database with HEADRACE_DATABASE_URL"
    return f"data directory {settings.home}", "directory with HEADRACE_HOME"


def disk_failed(error: store.DiskFailed, settings: Settings) -> str:
    """Why the process ends, in words for a person."""
    return (
        f"The disk with the data directory {settings.home} failed ({error}). Headrace ends without touching the "
        "database any more; what it has acknowledged is in there. Look at the disk, then start Headrace again: it "
        "goes on from what is really on the disk."
    )


def new_id() -> str:
    """A new id, which cannot be guessed."""
    return str(uuid.uuid4())
