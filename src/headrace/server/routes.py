"""The route table: what can be asked over HTTP, which access that needs, in which shapes.

Deny is the default. The table refuses to be made with a route that declares no access, or whose handler asks its
session for another access than the route declares.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from urllib.parse import unquote

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from headrace.server.handlers import asked_of_session
from headrace.service.access import Access
from headrace.service.session import Session, access_of
from headrace.wire.protojson import snake_case

if TYPE_CHECKING:
    from headrace.server.app_state import AppState
    from headrace.server.auth import Identity

MEBIBYTE = 1 << 20


class NeededProof(Enum):
    """How a request must show who it is from before a route is used. What the caller may then do, `access` decides."""

    NONE = "none"  #: not at all: the answer says nothing worth knowing
    COOKIE = "cookie"  #: by a session's cookie at least: for the files of the UI, which hold nothing of a user
    SIGNED_IN = "signed in"  #: by the token or a session
    TOKEN = "token"  # noqa: S105  #: by the token itself; a session is not enough
    CODE = "code"  #: by a one-time code, which the handler checks


class ApiCall(msgspec.Struct, frozen=True, kw_only=True):
    """One request on its way to its handler."""

    #: What the caller may ask, of the access that the route declares.
    session: Session
    state: AppState
    request: Request
    route: Route
    #: Decoded values of the path's parameters.
    path: dict[str, str]
    identity: Identity

    @property
    def query(self) -> Mapping[str, str]:
        """Query parameters; of repeated ones the last. KFP's may be written `page_size` and `pageSize`."""
        given = self.request.query_params
        if self.route.errors == "own":
            return given
        return {snake_case(name): value for name, value in given.items()}


Handler: TypeAlias = Callable[[ApiCall], Awaitable[Response]]
ErrorStyle: TypeAlias = Literal["own", "gateway", "upload", "page"]


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """One query parameter, for the API's description."""

    name: str
    type: Literal["string", "integer", "boolean"] = "string"
    note: str = ""


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that can be asked."""

    method: Literal["GET", "POST", "PATCH", "DELETE"]
    #: `/runs/{run_id}:archive`; a parameter never spans a slash.
    path: str
    handler: Handler
    access: Access
    proof: NeededProof = NeededProof.SIGNED_IN
    #: One line for the API's description.
    summary: str
    #: Shape of the JSON body, if one is read.
    body: type[Any] | None = None
    #: Whether a body may be left out.
    body_optional: bool = False
    #: Multipart upload instead of JSON.
    upload: bool = False
    #: Shape of a JSON answer, or a media type.
    answer: type[Any] | str
    #: Shape of one server-sent event, for `text/event-stream`.
    event: type[Any] | None = None
    query: tuple[Query, ...] = ()
    #: Whether an `Idempotency-Key` header keeps a repeated request from doing the same again.
    idempotent: bool = False
    max_body: int = MEBIBYTE
    errors: ErrorStyle = "own"
    tag: str = ""

    @property
    def operation_id(self) -> str:
        """`post_api_runs_run_id_retry`: unique, from method and path."""
        return f"{self.method.lower()}_{'_'.join(re.findall(r'[a-zA-Z0-9_]+', self.path))}"


class RouteTableError(Exception):
    """The table cannot be served: a route without an access or with a wrong one, or two of one path."""


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """A route and the parameters found in the path."""

    route: Route
    path: dict[str, str]


class _Segment(msgspec.Struct, frozen=True):
    """One piece of a pattern: literal text, or a parameter with an optional `:verb` behind it."""

    literal: str = ""
    parameter: str = ""
    verb: str = ""

    @classmethod
    def parse(cls, text: str) -> _Segment:
        if not text.startswith("{"):
            return cls(literal=text)
        name, _, verb = text[1:].partition("}")
        return cls(parameter=name, verb=verb)

    def match(self, text: str) -> dict[str, str] | None:
        if not self.parameter:
            return {} if text == self.literal else None
        if not text.endswith(self.verb) or len(text) == len(self.verb):
            return None
        return {self.parameter: text[: len(text) - len(self.verb)]}

    @property
    def rank(self) -> int:
        """Literal before verb before bare parameter."""
        return 0 if not self.parameter else 1 if self.verb else 2


class RouteTable:
    """Finds the route of a request. Refuses, when made, what must not be served."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        self._by_length: dict[int, list[tuple[tuple[_Segment, ...], Route]]] = {}
        for route in self.routes:
            _check(route)
            pattern = tuple(_Segment.parse(text) for text in route.path.split("/"))
            self._by_length.setdefault(len(pattern), []).append((pattern, route))
        for candidates in self._by_length.values():
            candidates.sort(key=lambda candidate: [segment.rank for segment in candidate[0]])
        _check_unique(self.routes)

    def find(self, method: str, raw_path: str) -> Match | frozenset[str]:
        """The match, or the methods that the path does allow (none: no such path)."""
        segments = [unquote(text) for text in raw_path.split("/")]
        allowed: set[str] = set()
        for pattern, route in self._by_length.get(len(segments), ()):
            found = _match(pattern, segments)
            if found is None:
                continue
            if route.method == method:
                return Match(route=route, path=found)
            allowed.add(route.method)
        return frozenset(allowed)


def _match(pattern: tuple[_Segment, ...], segments: list[str]) -> dict[str, str] | None:
    found: dict[str, str] = {}
    for segment, text in zip(pattern, segments, strict=True):
        part = segment.match(text)
        if part is None:
            return None
        found |= part
    return found


def _check(route: Route) -> None:
    name = f"{route.method} {route.path}"
    if not isinstance(route.access, Access) or not isinstance(route.proof, NeededProof):
        raise RouteTableError(f"{name} says nothing about who may use it; give it an access.")
    if not route.summary:
        raise RouteTableError(f"{name} has no summary.")
    for method in asked_of_session(route.handler):
        needed = access_of(getattr(Session, method))
        if needed != route.access:
            raise RouteTableError(f"{name} declares {route.access}, but its handler calls {method}: {needed}.")


def _check_unique(routes: tuple[Route, ...]) -> None:
    seen: set[tuple[str, str]] = set()
    for route in routes:
        key = (route.method, route.path)
        if key in seen:
            raise RouteTableError(f"{route.method} {route.path} is in the table twice.")
        seen.add(key)
