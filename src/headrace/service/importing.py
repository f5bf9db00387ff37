"""Importers: an artifact that exists somewhere becomes one of ours. The service does it itself, without a process.

Nothing is fetched, looked at or copied: the URI is registered, and tasks that want the content get it when they start.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from headrace.attempt.executor_input import local_path
from headrace.attempt.order import LaunchOrder
from headrace.attempt.workspace import IN_WORKSPACE
from headrace.engine.model import AnyEvent, Artifact, AttemptFailed, AttemptStarted, AttemptSucceeded, Bundle, Reason
from headrace.service.context import Context
from headrace.service.outcomes import artifact_id
from headrace.store.artifacts import find_equal_artifact

#: The one output of an importer, by KFP's naming.
OUTPUT = "artifact"
#: Pseudo file systems: what is read there is the server's own state, not data.
_NEVER = (Path("/proc"), Path("/sys"), Path("/dev"))


async def import_artifact(context: Context, order: LaunchOrder, pipeline_name: str) -> tuple[AnyEvent, ...]:
    """What the importer's attempt did."""
    importer, attempt = order.importer, order.attempt
    assert importer is not None, "an importer's order says what to import"
    started = AttemptStarted(at=context.now(), attempt=attempt)
    refusal = await asyncio.to_thread(_refused, context, importer.uri)
    if refusal is not None:
        return started, AttemptFailed(at=context.now(), attempt=attempt, error=refusal, retryable=False)
    name = next(iter(order.outputs.artifacts), OUTPUT)
    artifact = Artifact(
        artifact_id=artifact_id(attempt, name, 0),
        name=name,
        type=importer.type,
        uri=importer.uri,
        metadata={**importer.metadata, **({IN_WORKSPACE: True} if importer.download_to_workspace else {})},
    )
    if not importer.reimport:
        known = await context.read(find_equal_artifact, artifact, pipeline_name)
        artifact = artifact if known is None else known
    outputs = Bundle(artifacts={name: (artifact,)})
    return started, AttemptSucceeded(at=context.now(), attempt=attempt, outputs=outputs)


def _refused(context: Context, uri: str) -> Reason | None:
    """Why this may not be imported. Blocks."""
    if not uri.strip():
        return _reason(uri, "The importer has no URI: its input is empty.")
    path = local_path(uri)
    if path is None:
        return None
    if "\0" in path or not os.path.isabs(path):  # noqa: PTH117
        return _reason(uri, f"{uri!r} is no absolute path.")
    # Links are followed before it is decided, so that none leads out of what is allowed.
    real = Path(os.path.realpath(path))
    home = Path(os.path.realpath(context.settings.home))
    if real.is_relative_to(home):
        if real.is_relative_to(home / "artifacts") and real != home / "artifacts":
            return None
        return _reason(uri, f"{uri!r} lies in the data directory, of which only artifacts can be imported.")
    roots = context.settings.import_roots
    if any(real.is_relative_to(never) for never in _NEVER) or not any(
        real.is_relative_to(os.path.realpath(root)) for root in roots
    ):
        allowed = ", ".join(str(root) for root in roots) or "no directory"
        return _reason(uri, f"{uri!r} may not be imported; files may be from {allowed} (setting import_roots).")
    return None


def _reason(uri: str, message: str) -> Reason:
    return Reason(code="IMPORT_REFUSED", message=message, details={"uri": uri})
