"""Signed texts: what this server said before, recognised again, until it expires."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Callable
from typing import TypeVar

import msgspec

T = TypeVar("T", bound=msgspec.Struct)


class Signer:
    """Signs small values with HMAC-SHA256. `purpose` keeps one use from passing for another."""

    def __init__(self, key: bytes, *, clock: Callable[[], float] = time.time) -> None:
        self._key = key
        self._clock = clock

    def sign(self, purpose: str, value: msgspec.Struct, *, ttl_s: float) -> tuple[str, float]:
        """`(text for a URL or cookie, when it ends)`."""
        expires_at = self._clock() + ttl_s
        payload = msgspec.json.encode([expires_at, value])
        return f"{_text(payload)}.{_text(self._mac(purpose, payload))}", expires_at

    def open(self, purpose: str, signed: str, kind: type[T]) -> T | None:
        """The value, or None when it is not ours, not for this purpose, or too old."""
        payload_text, _, mac_text = signed.partition(".")
        try:
            payload, mac = _bytes(payload_text), _bytes(mac_text)
        except (binascii.Error, ValueError):
            return None
        if not hmac.compare_digest(mac, self._mac(purpose, payload)):
            return None
        expires_at, value = msgspec.json.decode(payload, type=tuple[float, kind])  # type: ignore[valid-type]
        return value if self._clock() < expires_at else None

    def _mac(self, purpose: str, payload: bytes) -> bytes:
        return hmac.digest(self._key, purpose.encode() + b"\0" + payload, hashlib.sha256)


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
