"""Values to JSON text and back, for the columns that hold values."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from headrace.engine.model import AnyEvent, Execution, Json, Reason, State

T = TypeVar("T")

_encoder = msgspec.json.Encoder()

_history = msgspec.json.Decoder(tuple[tuple[float, State, Reason | None], ...])
_counts = msgspec.json.Decoder(dict[State, int])
_execution = msgspec.json.Decoder(Execution)
_event: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)
_reason = msgspec.json.Decoder(Reason)


def encode(value: Any) -> str:
    """Any value as JSON text."""
    return _encoder.encode(value).decode()


def decode(text: str) -> Any:
    """Plain JSON."""
    return msgspec.json.decode(text)


def decode_as(text: str, kind: type[T]) -> T:
    """JSON text as a value of this type."""
    return msgspec.json.decode(text, type=kind)


def decode_object(text: str) -> dict[str, Json]:
    """A JSON object."""
    return msgspec.json.decode(text, type=dict[str, Any])


def decode_reason(text: str | None) -> Reason | None:
    """A reason, or none."""
    return None if text is None else _reason.decode(text)


def decode_history(text: str) -> tuple[tuple[float, State, Reason | None], ...]:
    """A run's state history."""
    return _history.decode(text)


def decode_counts(text: str) -> dict[State, int]:
    """Tasks by state."""
    return _counts.decode(text)


def decode_execution(text: str) -> Execution:
    """One execution."""
    return _execution.decode(text)


def decode_event(text: str) -> AnyEvent:
    """One event of the log."""
    return _event.decode(text)
