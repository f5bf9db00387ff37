"""What the service's parts share: the open database, the executor, the clock, and the translation of store errors."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Concatenate, ParamSpec, TypeVar

from headrace.artifacts.port import ArtifactStore
from headrace.executors.port import Executor
from headrace.service.changes import Changes
from headrace.service.errors import Invalid, ServiceError, Unavailable
from headrace.service.home import Home, unavailable
from headrace.service.plans import Plans
from headrace.service.settings import Settings
from headrace.store import errors as store
from headrace.store.database import Connection, Database

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(kw_only=True)
class Context:
    """One open service, as its parts see it."""

    settings: Settings
    home: Home
    database: Database
    executor: Executor
    artifacts: ArtifactStore
    changes: Changes = field(default_factory=Changes)
    plans: Plans = field(default_factory=Plans)
    now: Callable[[], float] = time.time

    async def read(self, op: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """A consistent read. Raises service errors."""
        try:
            return await self.database.read(op, *args, **kwargs)
        except store.StoreError as error:
            raise self.translated(error) from error

    async def write(self, op: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """A transaction, durable on return. Raises service errors, and the store's Duplicate for the caller to word."""
        try:
            return await self.database.write(op, *args, **kwargs)
        except store.Duplicate:
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
        case store.Full():
            return unavailable(settings.home, "HOME_FULL", str(error))
        case store.ReadOnly():
            return unavailable(settings.home, "HOME_READ_ONLY", str(error))
        case store.Newer():
            return Unavailable(
                f"The data directory {settings.home} was made by a newer version of Headrace (schema {error.found}, "
                f"this version knows up to {error.known}). Upgrade Headrace, or choose another directory with "
                "HEADRACE_HOME. Nothing was changed.",
                code="HOME_NEWER",
                home=str(settings.home),
                found=error.found,
                known=error.known,
            )
        case store.Busy():
            return Unavailable(f"The database is busy; try again. ({error})", code="STORE_BUSY")
        case _:
            return Unavailable(f"The database cannot be used: {error}", code="STORE_FAILED")


def new_id() -> str:
    """An id nobody can guess."""
    return str(uuid.uuid4())
