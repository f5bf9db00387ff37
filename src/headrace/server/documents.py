"""Pipeline documents as they arrive: text, JSON or an archive, within limits, checked before they are believed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeAlias

from headrace.server.bodies import Upload
from headrace.server.errors import HttpError
from headrace.spec.reading import DocumentError, read_pipeline, read_upload
from headrace.spec.verify import Finding, verify

Json: TypeAlias = Any
#: `(pipeline_spec, platform_spec)` as plain JSON objects.
Specs: TypeAlias = tuple[dict[str, Json], dict[str, Json] | None]

#: How many faults of a document the sentence names; the details hold all.
_TOLD = 5


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


async def from_upload(upload: Upload) -> Specs:
    """The document in an uploaded file: YAML, JSON, zip or tar.gz. Raises HttpError (400)."""
    return await _off_loop(lambda: _uploaded(upload.content))


async def from_text(text: str) -> Specs:
    """The document in a text. Raises HttpError (400)."""
    return await _off_loop(lambda: _valid(read_pipeline(text)))


async def checked(specs: Specs) -> Specs:
    """The document, if it is one. Raises HttpError (400)."""
    return await _off_loop(lambda: _valid(specs))


def _uploaded(content: bytes) -> Specs:
    file = read_upload(content)
    return _valid((file.pipeline_spec, file.platform_spec))


def _valid(specs: Specs) -> Specs:
    found = [finding for finding in verify(*specs) if finding.severity == "error"]
    if found:
        raise _invalid(found)
    return specs


def _invalid(found: list[Finding]) -> HttpError:
    told = "; ".join(str(finding) for finding in found[:_TOLD])
    more = f"; and {len(found) - _TOLD} more" if len(found) > _TOLD else ""
    findings = [{"code": finding.code, "path": finding.path, "message": finding.message} for finding in found]
    return HttpError(400, found[0].code, f"The pipeline document is not right: {told}{more}", findings=findings)


async def _off_loop(read: Callable[[], Specs]) -> Specs:
    """In a thread, since a large document takes a while and others want answers meanwhile."""
    try:
        return await asyncio.to_thread(read)
    except DocumentError as error:
        raise HttpError(400, error.code, str(error), line=error.line, column=error.column) from error
    except RecursionError as error:
        raise HttpError(400, "TOO_DEEP", "The document is nested too deeply.") from error
