"""A server process, from its sockets to its last request."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import logging
import os
import resource
import secrets
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

import msgspec
import uvicorn

from headrace.server.app import create_app
from headrace.server.app_state import AppState, installed_version
from headrace.server.auth import Gate, load_token, token_hash
from headrace.server.collector import shorten_collections
from headrace.server.connections import Connections, HttpConnection, backlog_of, room_for_connections
from headrace.server.signing import Signer
from headrace.service.errors import Invalid, ServiceError, Unavailable
from headrace.service.service import Service
from headrace.service.settings import Settings
from headrace.wire.server_file import STAYS, server_file
from headrace.wire.server_file import ServerInfo as ServerInfo
from headrace.wire.server_file import read_info as read_info

log = logging.getLogger("headrace.server")

DEFAULT_PORT = 8090
#: Ports that are tried after it, where the user has named none.
_FURTHER_PORTS = 50
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
#: Files and sockets that a server wants to be able to open.
_DESCRIPTORS = 65_536
#: The `date` of answers is as fresh as this, in seconds.
_TICK_S = 1.0
#: Answers under way when the server must stop may take so long, in seconds.
_LAST_ANSWERS_S = 1.0
_LOOK_S = 0.002


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """A server that answers."""

    info: ServerInfo
    state: AppState
    service: Service
    #: Ends the server; from any thread.
    stop: Callable[[], None]

    def sign_in_link(self, *, ttl_s: float = 600.0) -> str:
        """A link that signs one browser in, once."""
        code, _ = self.state.gate.mint_code(ttl_s=ttl_s)
        return f"{self.state.origin}/auth?code={code}"


class _Uvicorn(uvicorn.Server):
    """uvicorn's server that says when it has started and when it is about to end."""

    def __init__(self, config: uvicorn.Config, stopping: asyncio.Event) -> None:
        super().__init__(config)
        self._stopping = stopping
        self._loop = asyncio.get_running_loop()
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    async def main_loop(self) -> None:
        # uvicorn's own looks ten times a second whether it should end; ours waits, and wakes for its clock.
        while not (await self.on_tick(0) or self._stopping.is_set()):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TICK_S):
                    await self._stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # As uvicorn's, without its pauses of a tenth of a second each.
        self._stopping.set()
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        deadline = self._loop.time() + _LAST_ANSWERS_S
        while (self.server_state.connections or self.server_state.tasks) and self._loop.time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_S)
        for task in self.server_state.tasks:
            task.cancel()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # Not raised again afterwards: a signal to stop is a good end.
        self.stop()

    def stop(self) -> None:
        self.should_exit = True
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._stopping.set)


def check_binding(host: str) -> None:
    """Refuse what others could reach: there are no user accounts yet that would keep them out."""
    if host not in LOOPBACK:
        raise Invalid(
            f"Headrace listens on this machine only, not on {host}: anyone who reaches it could run code here. "
            "Use 127.0.0.1; to work from elsewhere, forward the port with `ssh -L`.",
            code="BINDING_REFUSED",
            host=host,
        )


def public_origin(url: str) -> str:
    """The origin of a proxy's address; "" for none. Raises Invalid PUBLIC_URL_INVALID."""
    parts = urlsplit(url)
    if url and (parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query):
        raise Invalid(
            f"{url!r} is not an address that browsers could use for Headrace. Give scheme, host and port only, such as "
            "https://headrace.example.com.",
            code="PUBLIC_URL_INVALID",
        )
    return f"{parts.scheme}://{parts.netloc.lower()}" if url else ""


def check_origins(settings: Settings) -> None:
    """Raise Invalid PUBLIC_URL_INVALID unless pages and content have an address each, or none."""
    pages, content = public_origin(settings.public_url), public_origin(settings.public_content_url)
    if pages == content != "":
        raise Invalid(
            f"Pages and the content of artifacts have one address, {pages}: content could act as our pages. Give "
            "HEADRACE_PUBLIC_CONTENT_URL another host or port.",
            code="PUBLIC_URL_INVALID",
        )


@contextlib.asynccontextmanager
async def running(
    settings: Settings,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    insecure_no_auth: bool = False,
    open_service: Callable[[Settings], Awaitable[Service]] | None = None,
    command: str = STAYS,
) -> AsyncIterator[tuple[Running, asyncio.Task[None]]]:
    """A server that answers, and the task that ends when the server stops.

    `port` 0 takes any free one, None the first free one from 8090 on. `command` is what the user has started.

    Raises Invalid (BINDING_REFUSED), Unavailable (PORT_IN_USE, HOME_…).
    """
    check_binding(host)
    check_origins(settings)
    with contextlib.ExitStack() as sockets:
        app_socket = sockets.enter_context(_listen_from(DEFAULT_PORT) if port is None else _listen(port))
        content_sockets = _listen_for_content(settings.content_port)
        for content_socket in content_sockets:
            sockets.enter_context(content_socket)
        service = await (open_service or Service.open)(settings)
        try:
            state = await _state(service, settings, app_socket, content_sockets[0], insecure=insecure_no_auth)
            server = _server(service, state)
            task = asyncio.ensure_future(server._serve([app_socket, *content_sockets]))
            await _until_listening(server, task)
            info = _info(state, command)
            with _announced(settings.home, info):
                watch = asyncio.create_task(_watch(service, server))
                try:
                    yield Running(info=info, state=state, service=service, stop=server.stop), task
                finally:
                    watch.cancel()
                server.stop()
                await task
                with contextlib.suppress(asyncio.CancelledError):
                    await watch
        finally:
            await service.close()


async def _watch(service: Service, server: _Uvicorn) -> None:
    """End the server when nothing can be kept any more; raises why."""
    try:
        await service.broken()
    except ServiceError:
        server.stop()
        raise


async def serve(
    settings: Settings,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    insecure_no_auth: bool = False,
    on_ready: Callable[[Running], None] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM; attempts go on. `on_ready` is called once the server answers."""
    async with running(settings, host=host, port=port, insecure_no_auth=insecure_no_auth) as (server, task):
        if insecure_no_auth:
            log.warning("Anybody on this machine can use this server: it was started with --insecure-no-auth.")
        with _stopped_by_signals(server.stop):
            if on_ready is not None:
                on_ready(server)
            shorten_collections()
            await task


def run_server(settings: Settings, **options: Any) -> None:
    """`serve`, with its own event loop."""
    raise_descriptor_limit()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(serve(settings, **options))


@contextlib.contextmanager
def in_background(settings: Settings, **options: Any) -> Iterator[Running]:
    """A server in a thread of this process, for as long as the block lasts. Raises what `running` raises."""
    raise_descriptor_limit()
    ready = threading.Event()
    outcome: list[Running | BaseException] = []

    async def live() -> None:
        async with running(settings, **options) as (server, task):
            outcome.append(server)
            ready.set()
            await task

    def work() -> None:
        try:
            with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                runner.run(live())
        except BaseException as error:
            outcome.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=work, name="headrace-server", daemon=True)
    thread.start()
    ready.wait()
    if isinstance(outcome[0], BaseException):
        thread.join()
        raise outcome[0]
    try:
        yield outcome[0]
    finally:
        outcome[0].stop()
        thread.join()


def raise_descriptor_limit() -> None:
    """Let this process open many files: most systems begin with 1,024, however many they allow.

    Not more than some ten thousand: tasks inherit the limit, and some programs close every descriptor up to it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _state(
    service: Service, settings: Settings, app: socket.socket, content: socket.socket, *, insecure: bool
) -> AppState:
    token = load_token(settings.home)
    await service.sign_ins.register_token(token_hash(token))
    port, content_port = app.getsockname()[1], content.getsockname()[1]
    return AppState(
        origin=public_origin(settings.public_url) or f"http://127.0.0.1:{port}",
        content_origin=public_origin(settings.public_content_url) or f"http://localhost:{content_port}",
        port=port,
        content_port=content_port,
        version=installed_version(),
        gate=Gate(token=token, keys=service.keys, ledger=service.sign_ins, insecure=insecure),
        signer=Signer(service.keys.content_links),
        stopping=asyncio.Event(),
    )


def _server(service: Service, state: AppState) -> _Uvicorn:
    connections = Connections(room_for_connections())
    # uvicorn calls it as it calls the class.
    protocol: Any = partial(HttpConnection, connections=connections)
    config = uvicorn.Config(
        create_app(service, state),
        http=protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=backlog_of(connections.room),
        timeout_keep_alive=30,
    )
    return _Uvicorn(config, state.stopping)


async def _until_listening(server: _Uvicorn, task: asyncio.Task[None]) -> None:
    listening = asyncio.ensure_future(server.listening.wait())
    await asyncio.wait({listening, task}, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        listening.cancel()
        task.result()
        raise Unavailable("The server ended before it answered.", code="SERVER_FAILED")


def _listen_from(first: int) -> socket.socket:
    """The first free port from this one on: another program, or a server over another directory, may have it."""
    for port in range(first, first + _FURTHER_PORTS):
        try:
            return _listen(port)
        except Unavailable as error:
            if error.code != "PORT_IN_USE":
                raise
    return _listen(0)


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        # Now, not later: two listeners may bind one port, but only one may listen.
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise _port_error(port, error) from error
    listener.setblocking(False)
    return listener


def _port_error(port: int, error: OSError) -> Exception:
    if error.errno == errno.EACCES:
        return Unavailable(f"Port {port} needs privileges; take one from 1024.", code="PORT_FORBIDDEN", port=port)
    if error.errno != errno.EADDRINUSE:
        return error
    owner = _port_owner(port)
    return Unavailable(
        f"Port {port} is in use{f' by {owner}' if owner else ''}. Stop that, or choose another port: --port {port + 1}",
        code="PORT_IN_USE",
        port=port,
        owner=owner,
    )


def _port_owner(port: int) -> str:
    """Who listens there, as far as we may know."""
    import psutil

    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,) and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
    return ""


def _listen_for_content(port: int) -> list[socket.socket]:
    """`localhost` on this port, or with 0 on a free one: in IPv4 and in IPv6, so that no other process has the name."""
    for _ in range(20 if port == 0 else 1):
        first = _listen(port)
        try:
            return [first, *_twin(first.getsockname()[1])]
        except OSError:
            first.close()
    raise Unavailable("No free port was found for artifacts' content.", code="PORT_IN_USE")


def _twin(port: int) -> list[socket.socket]:
    if not socket.has_ipv6:
        return []
    listener = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    try:
        listener.bind(("::1", port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise
        return []
    listener.setblocking(False)
    return [listener]


def _info(state: AppState, command: str) -> ServerInfo:
    return ServerInfo(
        pid=os.getpid(),
        url=state.local_origin,
        content_url=state.content_origin,
        started_at=time.time(),
        version=state.version,
        command=command,
    )


@contextlib.contextmanager
def _announced(home: Path, info: ServerInfo) -> Iterator[None]:
    """`server.json` is there for as long as the server is."""
    path = server_file(home)
    draft = home / f".server-{os.getpid()}-{secrets.token_hex(4)}.json"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(msgspec.to_builtins(info), file, indent=1)
    draft.replace(path)
    try:
        yield
    finally:
        known = read_info(home)
        if known is None or known == info:
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def _stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    import signal

    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
