"""What can go wrong in the store. The service says it to people; the store only says it exactly."""

from __future__ import annotations


class StoreError(Exception):
    """Base: a sentence for the log."""


class Full(StoreError):
    """No room left on the disk (or in the quota) for a write; reads go on."""


class ReadOnly(StoreError):
    """The database cannot be written to."""


class Busy(StoreError):
    """Somebody else held the database for longer than the busy timeout."""


class DatabaseUnreachable(StoreError):
    """The database server cannot be reached, or hung up; nothing of what was asked was done."""


class CommitUnknown(StoreError):
    """The database server hung up while it committed, and has not been back to say whether it did."""


class Broken(StoreError):
    """Not a database of ours, or it refuses what we say."""


class DiskFailed(StoreError):
    """Reading, writing or syncing the file failed: what is cached of it, also by the system, can be wrong.

    Never tried again. The process ends, and the next one begins with what is really on the disk.
    """


class NotDurable(StoreError):
    """The database server is set up so that a power failure loses what it has acknowledged."""

    def __init__(self, setting: str) -> None:
        super().__init__(f"PostgreSQL runs with {setting} = off.")
        self.setting = setting


class BadUrl(StoreError):
    """What was given as the database's address is none."""


class SchemaTooNew(StoreError):
    """The schema was made by a newer version of Headrace."""

    def __init__(self, *, found: int, known: int) -> None:
        super().__init__(f"The database has schema version {found}; this version of Headrace knows up to {known}.")
        self.found = found
        self.known = known


class Duplicate(StoreError):
    """A unique key is taken."""


class Missing(StoreError):
    """What a new row refers to is not there any more."""


class BadQuery(StoreError):
    """A list query that cannot be right; `code` is stable."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Stale(StoreError):
    """Runs have changed since they were read, or are not ours to drive any more: somebody else drives them."""

    def __init__(self, message: str, *, run_ids: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        #: Which, as far as the database tells.
        self.run_ids = run_ids
