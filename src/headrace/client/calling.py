"""Sending requests and reading answers, for all methods of the KFP client."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from headrace.client import core, packages
from headrace.client.transport import Transport
from headrace.wire import v2beta1 as wire

T = TypeVar("T")


class PipelineToRun(msgspec.Struct, frozen=True, kw_only=True):
    """What to run: a document, or one that was uploaded before."""

    pipeline_spec: dict[str, Any] | None
    reference: wire.PipelineVersionReference | None


class ApiClient:
    """Sends requests and reads answers as messages."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def _list(
        self,
        where: str,
        kind: type[T],
        page_token: str,
        page_size: int,
        sort_by: str,
        filter: str | None,
        extra: Mapping[str, Any] | None = None,
    ) -> T:
        query = {"page_token": page_token, "page_size": page_size, "sort_by": sort_by, "filter": filter}
        return self._ask(core.get(where, {**query, **(extra or {})}), kind)

    def _ask(self, request: core.HttpRequest, kind: type[T]) -> T:
        return core.read(self._transport.send(request), kind)

    def _do(self, request: core.HttpRequest) -> dict[str, Any]:
        core.check(self._transport.send(request))
        return {}


def find_source(
    package_path: str | Path | None,
    pipeline_id: str | None,
    version_id: str | None,
    enable_caching: bool | None,
    cache_key: str | None,
) -> PipelineToRun:
    """Either a file, or an uploaded pipeline. Raises ValueError for both or neither."""
    if (package_path is None) == (pipeline_id is None and version_id is None):
        raise ValueError("Give either pipeline_package_path, or pipeline_id (and version_id).")
    if package_path is None:
        reference = wire.PipelineVersionReference(pipeline_id=pipeline_id or "", pipeline_version_id=version_id or "")
        return PipelineToRun(pipeline_spec=None, reference=reference)
    spec = packages.read_package(package_path)
    if enable_caching is not None:
        spec = packages.override_caching(spec, enable_caching, cache_key)
    return PipelineToRun(pipeline_spec=spec, reference=None)
