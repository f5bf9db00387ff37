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


class Broken(StoreError):
    """The disk failed, or the file is not a database of ours."""


class Newer(StoreError):
    """The schema was made by a newer version of Headrace."""

    def __init__(self, *, found: int, known: int) -> None:
        super().__init__(f"The database has schema version {found}; this version of Headrace knows up to {known}.")
        self.found = found
        self.known = known


class Duplicate(StoreError):
    """A unique key is taken."""


class BadQuery(StoreError):
    """A list query that cannot be right; `code` is stable."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Stale(StoreError):
    """The row has changed since it was read: somebody else drives this run."""
