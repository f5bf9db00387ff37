"""Pipeline documents inside KFP's messages: how a request holds one, and how an answer does."""

from __future__ import annotations

from typing import Any, TypeAlias, TypeVar, cast

Json: TypeAlias = Any
T = TypeVar("T")
#: From here on protobuf writes numbers with an exponent.
_LARGEST_WHOLE = 1e21
#: `(pipeline_spec, platform_spec)` as plain JSON objects.
Specs: TypeAlias = tuple[dict[str, Json], dict[str, Json] | None]


def from_inline(raw: dict[str, Json]) -> Specs:
    """Both forms KFP's clients send: the bare document, or `{pipeline_spec, platform_spec}`."""
    for spec_key, platform_key in (("pipeline_spec", "platform_spec"), ("pipelineSpec", "platformSpec")):
        if isinstance(raw.get(spec_key), dict):
            return raw[spec_key], raw.get(platform_key) or None
    return raw, None


def inline(pipeline_spec: dict[str, Json], platform_spec: dict[str, Json] | None) -> dict[str, Json]:
    """The document as KFP's answers hold it."""
    if not platform_spec:
        return written(pipeline_spec)
    return written({"pipeline_spec": pipeline_spec, "platform_spec": platform_spec})


def written(value: T) -> T:
    """Plain JSON values as protobuf writes them: whole numbers have no `.0`."""
    return cast("T", _written(value))


def _written(value: Json) -> Json:
    match value:
        case float() if value.is_integer() and abs(value) < _LARGEST_WHOLE:
            return int(value)
        case dict():
            return {name: _written(one) for name, one in value.items()}
        case list():
            return [_written(one) for one in value]
        case _:
            return value
