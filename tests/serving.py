"""The application over a service in which there is nothing but two artifacts and a log, asked without a network.

For what the server decides by itself: who may, which shapes, which headers. What needs runs is in tests/e2e.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from headrace.engine.model import Artifact, ArtifactType
from headrace.server.app import create_app
from headrace.server.app_state import AppState
from headrace.server.auth import Gate
from headrace.server.signing import Signer
from headrace.service.access import Access, Caller
from headrace.service.errors import NotFound
from headrace.service.plans import Plans
from headrace.service.requests import GivenDocument, IdempotencyKey, NewRun, NewVersion, Rerun
from headrace.service.secrets import SigningKeys
from headrace.service.service import Service
from headrace.service.session import Session, access_of, needs
from headrace.service.settings import Settings
from headrace.store.records import ArtifactRecord, BrowserSession, Page, PipelineRecord, RunRecord, VersionRecord
from headrace.wire.api import ListChange, RunChange

ARTIFACT = "a0a0a0a0-0000-4000-8000-000000000001"
FOLDER = "a0a0a0a0-0000-4000-8000-000000000002"
KEYS = SigningKeys(page_tokens=b"p" * 32, sign_ins=b"s" * 32, content_links=b"c" * 32)
EXECUTION = "e0e0e0e0-0000-4000-8000-000000000001"
FILES = {
    ARTIFACT: {"": b"<h1>report</h1><script>document.title = 'ran'</script>"},
    FOLDER: {"a/note.txt": b"0123456789", "model.bin": b"\x00\x01"},
}


class EmptySession(Session):
    """Obeys the signatures and the accesses, reads documents as the real one does, and keeps nothing."""

    def __init__(self, caller: Caller, *, only: Access | None = None) -> None:
        """Over nothing."""
        self.caller = caller
        self._only = only
        self._access = None

    log = b"line 1\nline \xff2\n" + "gr\u00fc\u00dfe\n".encode()

    async def get_artifact(self, artifact_id: str) -> ArtifactRecord:
        return _artifact(artifact_id)

    async def list_artifact_members(self, artifact_id: str) -> tuple[tuple[str, int], ...]:
        _artifact(artifact_id)
        return tuple((name, len(content)) for name, content in FILES[artifact_id].items())

    async def find_content(self, artifact_id: str, member: str = "") -> tuple[ArtifactRecord, int]:
        record = _artifact(artifact_id)
        if member not in FILES[artifact_id]:
            raise NotFound("There is no such file.", code="MEMBER_NOT_FOUND")
        return record, len(FILES[artifact_id][member])

    async def read_artifact(
        self, artifact_id: str, *, offset: int = 0, limit: int | None = None, member: str = ""
    ) -> AsyncIterator[bytes]:
        content = FILES[artifact_id][member][offset:]
        yield content if limit is None else content[:limit]

    async def log_size(self, execution_id: str, attempt: int) -> int:
        if (execution_id, attempt) != (EXECUTION, 1):
            raise NotFound("There is no such log.", code="LOG_NOT_FOUND")
        return len(self.log)

    async def read_log(
        self, execution_id: str, attempt: int, *, offset: int = 0, limit: int | None = None, follow: bool = False
    ) -> AsyncIterator[bytes]:
        end = len(self.log) if limit is None else min(len(self.log), offset + limit)
        for at in range(offset, end):
            yield self.log[at : at + 1]

    async def create_pipeline(self, *, version: NewVersion | None = None, **fields: object) -> PipelineRecord:
        return await _checked(version)

    async def create_version(self, pipeline_id: str, version: NewVersion) -> VersionRecord:
        return await _checked(version)

    async def create_run(self, new: NewRun, *, key: IdempotencyKey | None = None) -> RunRecord:
        return await _checked(new)

    async def rerun_run(self, run_id: str, wanted: Rerun, *, key: IdempotencyKey | None = None) -> RunRecord:
        return await _checked(wanted)

    async def watch_run(self, run_id: str, *, after_version: int = 0) -> AsyncIterator[RunChange]:
        raise NotFound("There is no such run.", code="RUN_NOT_FOUND")
        yield

    async def watch_runs(self) -> AsyncIterator[ListChange]:
        yield ListChange(runs=[])


async def _checked(given: GivenDocument | None) -> Any:
    if given is not None and given.has_document:
        plans = Plans(_nothing)
        try:
            await plans.of_document(given)
        finally:
            plans.close()
    raise NotFound("There is no such thing.", code="NOT_FOUND")


async def _nothing(*args: object) -> None:
    return None


def _artifact(artifact_id: str) -> ArtifactRecord:
    if artifact_id not in FILES:
        raise NotFound("There is no such artifact.", code="ARTIFACT_NOT_FOUND")
    name = "report.html" if artifact_id == ARTIFACT else "folder"
    artifact = Artifact(
        artifact_id=artifact_id, name=name, type=ArtifactType(schema_title="system.HTML"), uri=f"file:///x/{name}"
    )
    return ArtifactRecord(artifact=artifact, run_id=None, execution_id=None, created_at=1.5)


def _absent(name: str):
    async def method(self, *args: object, **options: object) -> object:
        if name.startswith("list_"):
            return Page(items=(), total_size=0)
        raise NotFound("There is no such thing.", code="NOT_FOUND")

    return method


for _name, _value in vars(Session).items():
    if not _name.startswith("_") and callable(_value):
        _access = access_of(_value)
        _ours = vars(EmptySession).get(_name) or _absent(_name)
        setattr(EmptySession, _name, needs(_access.kind, _access.verb, _access.scope)(_ours))


class EmptyService(Service):
    """A service in which there is nothing."""

    home: Path

    session = EmptySession
    keys = KEYS

    @property
    def sign_ins(self) -> Any:
        return MemoryLedger()

    def __init__(self) -> None:
        """Over no directory."""

    @classmethod
    async def open(cls, settings: Settings) -> EmptyService:
        settings.home.mkdir(parents=True, exist_ok=True)
        opened = cls()
        opened.home = settings.home
        return opened

    def for_caller(self, caller: Caller, *, only: Access | None = None) -> Session:
        return self.session(caller, only=only)

    async def close(self) -> None:
        pass

    async def broken(self) -> None:
        await asyncio.Event().wait()


TOKEN = "t" * 43
PORT = 8888
CONTENT_PORT = 9999
HOST = f"127.0.0.1:{PORT}"
CONTENT_HOST = f"localhost:{CONTENT_PORT}"


class MemoryLedger:
    """A ledger of one server."""

    def __init__(self) -> None:
        self.used: set[str] = set()
        self.hashes: set[str] = set()
        self.sessions: dict[str, BrowserSession] = {}

    async def token_hashes(self) -> frozenset[str]:
        return frozenset(self.hashes)

    async def register_token(self, hashed: str) -> None:
        self.hashes = {hashed}

    async def use_code(self, code_id: str, *, expires_at: float) -> bool:
        first = code_id not in self.used
        self.used.add(code_id)
        return first

    async def begin_session(self, session: BrowserSession) -> None:
        self.sessions[session.session_id] = session

    async def find_session(self, session_id: str) -> BrowserSession | None:
        return self.sessions.get(session_id)

    async def list_sessions(self, user: str) -> tuple[BrowserSession, ...]:
        return tuple(one for one in self.sessions.values() if one.user == user)

    async def note_use(self, session_id: str, at: float) -> None:
        self.sessions[session_id] = msgspec.structs.replace(self.sessions[session_id], used_at=at)

    async def end_session(self, session_id: str, *, user: str) -> bool:
        return self.sessions.pop(session_id, None) is not None

    async def end_sessions(self, *, user: str) -> int:
        count = len(self.sessions)
        self.sessions.clear()
        return count


class Told(NamedTuple):
    """An answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as plain values."""
        return json.loads(self.body)


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def make_state(clock: Clock | None = None, *, insecure: bool = False) -> AppState:
    """A server's state."""
    clock = clock or Clock()
    return AppState(
        origin=f"http://{HOST}",
        content_origin=f"http://{CONTENT_HOST}",
        port=PORT,
        content_port=CONTENT_PORT,
        version="1.2.3",
        gate=Gate(token=TOKEN, keys=KEYS, ledger=MemoryLedger(), insecure=insecure, clock=clock),
        signer=Signer(b"k" * 32, clock=clock),
        stopping=asyncio.Event(),
    )


class App:
    """The application, asked in-process."""

    def __init__(self, service: Service | None = None, state: AppState | None = None, routes: Any = None) -> None:
        self.state = state or make_state()
        self.app = create_app(service or EmptyService(), self.state, routes)

    async def ask(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        token: str | None = TOKEN,
        host: str | None = HOST,
        port: int = PORT,
        more: tuple[tuple[str, str], ...] = (),
    ) -> Told:
        """One request, to its end."""
        given = {"host": host, "authorization": f"Bearer {token}" if token else None, **(headers or {})}
        pairs = [(name.lower(), value) for name, value in given.items() if value is not None] + list(more)
        raw_path, _, query = path.partition("?")
        scope = {
            "type": "http",
            "http_version": "1.1",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "method": method,
            "scheme": "http",
            "path": _decoded(raw_path),
            "raw_path": raw_path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in pairs],
            "client": ("127.0.0.1", 50000),
            "server": ("127.0.0.1", port),
        }
        return await self._run(scope, body)

    async def content(self, url: str, *, method: str = "GET", headers: Mapping[str, str] | None = None, **options: Any):
        """One request to the content origin; `url` may be whole."""
        path = url.removeprefix(f"http://{CONTENT_HOST}")
        options = {"host": CONTENT_HOST, "port": CONTENT_PORT, "token": None, **options}
        return await self.ask(method, path, headers=headers, **options)

    async def _run(self, scope: dict[str, Any], body: bytes) -> Told:
        pieces = [body[at : at + 65536] for at in range(0, len(body), 65536)] or [b""]
        started: dict[str, Any] = {}
        sent = bytearray()

        async def receive() -> dict[str, Any]:
            if pieces:
                piece = pieces.pop(0)
                return {"type": "http.request", "body": piece, "more_body": bool(pieces)}
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                started.update(message)
            else:
                sent.extend(message.get("body", b""))

        await self.app(scope, receive, send)
        headers = {name.decode(): value.decode("latin-1") for name, value in started["headers"]}
        return Told(started["status"], headers, bytes(sent))


def _decoded(path: str) -> str:
    from urllib.parse import unquote

    return unquote(path)
