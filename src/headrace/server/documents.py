"""Pipeline documents inside KFP's messages: how a request holds one, and how an answer does."""

from __future__ import annotations

from typing import Any, TypeAlias

Json: TypeAlias = Any
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
        return pipeline_spec
    return {"pipeline_spec": pipeline_spec, "platform_spec": platform_spec}
