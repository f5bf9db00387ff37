"""The header with which a client says that a request, sent again, is the same one."""

from __future__ import annotations

from headrace.server.errors import HttpError
from headrace.server.routes import ApiCall
from headrace.service.requests import IdempotencyKey

_LONGEST = 255


def idempotency_key(call: ApiCall) -> IdempotencyKey | None:
    """The request's key; None when it has none. Raises HttpError IDEMPOTENCY_KEY_INVALID."""
    values = call.request.headers.getlist("idempotency-key")
    if not values:
        return None
    value = values[0]
    if len(values) > 1 or not 1 <= len(value) <= _LONGEST or not value.isascii() or not value.isprintable():
        raise HttpError(
            400,
            "IDEMPOTENCY_KEY_INVALID",
            f"Send one Idempotency-Key of 1 to {_LONGEST} printable ASCII characters, for example a UUID.",
        )
    return IdempotencyKey(value=value, route=call.route.operation_id)
