"""A request with an idempotency key makes one run, however often and wherever it is sent.

The key is recorded in the transaction that records the run: there is no moment at which one is there without the other.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from headrace.service import runs
from headrace.service.context import Context
from headrace.service.errors import Conflict, NotFound
from headrace.store import errors as store
from headrace.store import idempotency as rows
from headrace.store.idempotency import KeyScope
from headrace.store.records import RunRecord

#: A key is remembered this long, in seconds; sent later, the request makes another run.
REMEMBERED_S = 24 * 3600.0


async def once(
    context: Context,
    scope: KeyScope,
    request: Sequence[msgspec.Struct | str],
    make: Callable[[runs.WithRun], Awaitable[RunRecord]],
) -> RunRecord:
    """The run that was made with this key, or else the one that `make` makes now.

    `make` makes a run whose transaction carries what it is given. Raises Conflict IDEMPOTENCY_KEY_REUSED when
    the key was sent with another request, IDEMPOTENT_RUN_DELETED when its run is gone.
    """
    digest = await asyncio.to_thread(_digest, request)
    if (made := await _made(context, scope, digest)) is not None:
        return made
    now = context.now()
    insert = functools.partial(rows.insert_key, scope=scope, digest=digest, at=now, after=now - REMEMBERED_S)
    try:
        return await make(insert)
    except store.Duplicate:
        # The same request, sent at the same time, was first.
        made = await _made(context, scope, digest)
        if made is None:
            raise
        return made


async def _made(context: Context, scope: KeyScope, digest: str) -> RunRecord | None:
    found = await context.read(rows.find_made, scope, context.now() - REMEMBERED_S)
    if found is None:
        return None
    if found.digest != digest:
        raise Conflict(
            "This idempotency key was sent with another request already. Use a new key for each run.",
            code="IDEMPOTENCY_KEY_REUSED",
            run_id=found.run_id,
        )
    try:
        return await runs.get(context, found.run_id)
    except NotFound as error:
        raise Conflict(
            f"The run {found.run_id} that was made with this idempotency key has been deleted. Use a new key.",
            code="IDEMPOTENT_RUN_DELETED",
            run_id=found.run_id,
        ) from error


def _digest(request: Sequence[msgspec.Struct | str]) -> str:
    return hashlib.sha256(msgspec.json.encode(request)).hexdigest()
