"""Plans of documents: each is made once, in a thread, and kept while it is in use."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, TypeVar

import msgspec

from headrace.engine import Plan
from headrace.service import documents
from headrace.service.errors import NotFound, ServiceError
from headrace.service.requests import GivenDocument
from headrace.store import documents as rows
from headrace.store import pipelines as version_rows
from headrace.store import runs as run_rows
from headrace.store.documents import EncodedDocument

T = TypeVar("T")

_KEPT = 64
#: Tasks that the kept plans may have in all: about a kilobyte of memory each.
_KEPT_TASKS = 50_000
#: Documents that are worked on at once. More would only take the interpreter from each other and from the event loop.
_AT_ONCE = 2


class PlannedDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A document that can run."""

    plan: Plan
    digest: str
    #: The document itself, when it arrived just now; None when it is stored already.
    new: documents.ReadDocument | None = None
    #: The version it was uploaded as.
    pipeline_id: str | None = None
    pipeline_version_id: str | None = None

    @property
    def stored(self) -> EncodedDocument | str:
        """What `store.documents` takes for it."""
        return self.digest if self.new is None else self.new.encoded


class Plans:
    """The last few plans, by the digest of their document. Plans never change, so any thread may share them."""

    def __init__(self, read: Callable[..., Awaitable[Any]]) -> None:
        """`read` is `Context.read`."""
        self._read = read
        self._plans: OrderedDict[str, Plan] = OrderedDict()
        #: Plans that are being made: who asks meanwhile waits for the same one.
        self._making: dict[str, asyncio.Task[Plan | ServiceError]] = {}
        self._threads: Executor = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="headrace-plans")

    async def of_document(self, given: GivenDocument) -> PlannedDocument:
        """The plan of a document that arrived just now, verified. Raises Invalid."""
        read = await self._in_thread(documents.read_document, given)
        specs = read.pipeline_spec, read.platform_spec
        made = await self._plan(read.encoded.digest, lambda: self._in_thread(documents.plan_new, specs))
        return PlannedDocument(plan=made, digest=read.encoded.digest, new=read)

    async def of_version(self, pipeline_version_id: str) -> PlannedDocument:
        """The plan of an uploaded version, which was verified then. Raises NotFound."""
        found = await self._read(version_rows.find_version_document, pipeline_version_id)
        if found is None:
            message = f"There is no pipeline version {pipeline_version_id}."
            raise NotFound(message, pipeline_version_id=pipeline_version_id)
        return await self._of_version(found)

    async def of_latest_version(self, pipeline_id: str) -> PlannedDocument:
        """The plan of a pipeline's newest version. Raises NotFound, for a pipeline without versions too."""
        found = await self._read(version_rows.find_latest_document, pipeline_id)
        if found is None:
            raise NotFound(f"Pipeline {pipeline_id} has no version yet; upload one.", pipeline_id=pipeline_id)
        return await self._of_version(found)

    async def _of_version(self, version: version_rows.VersionDocument) -> PlannedDocument:
        made = await self.of_digest(version.digest)
        if made is None:
            message = f"There is no pipeline version {version.pipeline_version_id}."
            raise NotFound(message, pipeline_version_id=version.pipeline_version_id)
        return PlannedDocument(
            plan=made,
            digest=version.digest,
            pipeline_id=version.pipeline_id,
            pipeline_version_id=version.pipeline_version_id,
        )

    async def of_run(self, run_id: str) -> Plan | None:
        """The plan of a run's document; None when there is no such run."""
        digest = await self._read(run_rows.get_document_digest, run_id)
        return None if digest is None else await self.of_digest(digest)

    async def of_digest(self, digest: str) -> Plan | None:
        """The plan of a stored document; None when no document has this digest."""
        known = self._known(digest)
        if known is not None:
            return known
        body = await self._read(rows.get_body, digest)
        if body is None:
            return None
        return await self._plan(digest, lambda: self._in_thread(_plan_body, body))

    async def _plan(self, digest: str, make: Callable[[], Awaitable[Plan]]) -> Plan:
        known = self._known(digest)
        if known is not None:
            return known
        making = self._making.get(digest)
        if making is None:
            making = self._making[digest] = asyncio.create_task(self._make(digest, make))
        # Shielded: when one who waits is cancelled, the others go on waiting.
        made = await asyncio.shield(making)
        if isinstance(made, ServiceError):
            raise type(made)(made.message, code=made.code, **made.details) from made
        return made

    async def _make(self, digest: str, make: Callable[[], Awaitable[Plan]]) -> Plan | ServiceError:
        try:
            made = await make()
        except ServiceError as error:
            # Handed on as a value: an exception would show one asker's traceback to the others.
            return error
        finally:
            del self._making[digest]
        self._keep(digest, made)
        return made

    def _known(self, digest: str) -> Plan | None:
        known = self._plans.get(digest)
        if known is not None:
            self._plans.move_to_end(digest)
        return known

    def _keep(self, digest: str, made: Plan) -> None:
        self._plans[digest] = made
        while len(self._plans) > 1 and (len(self._plans) > _KEPT or self._tasks() > _KEPT_TASKS):
            self._plans.popitem(last=False)

    def _tasks(self) -> int:
        return sum(len(made.document.components) + made.root.size for made in self._plans.values())

    async def _in_thread(self, work: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *args)

    def close(self) -> None:
        """Begin nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _plan_body(body: str) -> Plan:
    return documents.plan_stored(rows.decode_document(body))
