"""Plans of recorded documents, kept while they are in use: a large document takes long to read."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

from headrace.engine import Plan, plan
from headrace.spec.document import parse_document
from headrace.store import runs as rows
from headrace.store.database import Connection

_KEPT = 64
#: Tasks that the kept plans may have in all: about a kilobyte of memory each.
_KEPT_TASKS = 50_000


class Plans:
    """The last few plans, by the digest of their document. Plans never change, so any thread may share them."""

    def __init__(self) -> None:
        self._plans: OrderedDict[str, Plan] = OrderedDict()
        self._lock = Lock()

    def of(self, conn: Connection, run_id: str) -> Plan | None:
        """The run's plan; None when there is no such run."""
        digest = rows.get_document_digest(conn, run_id)
        if digest is None:
            return None
        with self._lock:
            known = self._plans.get(digest)
            if known is not None:
                self._plans.move_to_end(digest)
                return known
        document = rows.get_document(conn, run_id)
        return None if document is None else self._keep(digest, plan(parse_document(*document)))

    def _keep(self, digest: str, made: Plan) -> Plan:
        with self._lock:
            self._plans[digest] = made
            while len(self._plans) > 1 and (len(self._plans) > _KEPT or self._tasks() > _KEPT_TASKS):
                self._plans.popitem(last=False)
        return made

    def _tasks(self) -> int:
        return sum(len(made.document.components) + made.root.size for made in self._plans.values())
