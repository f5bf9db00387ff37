"""JSON answers."""

from __future__ import annotations

import msgspec
from starlette.responses import Response

_NO_STORE = {"cache-control": "no-store"}


def json_answer(value: msgspec.Struct | dict[str, object] | list[object], status: int = 200) -> Response:
    """The shape as JSON; answers are never cached."""
    return Response(msgspec.json.encode(value), status, _NO_STORE, "application/json")
