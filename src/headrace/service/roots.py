"""Where a run's artifacts go: as the run says, else its document, else the settings, else the data directory."""

from __future__ import annotations

from headrace.artifacts.object_stores import ObjectStoreConfig
from headrace.artifacts.port import ArtifactError
from headrace.service.errors import Invalid, Unavailable
from headrace.service.settings import Settings

_TRY_S = 1.0


def root_of(settings: Settings, objects: ObjectStoreConfig, *, run: str, document: str) -> str:
    """The root, without `/` at its end. Raises Invalid PIPELINE_ROOT_UNUSABLE for a run's own that cannot be used.

    A document's root is its author's wish. It often names a bucket of somebody else's cluster, so one that this
    server is not configured to reach is passed over.
    """
    own = str(settings.home / "artifacts")
    if run:
        return own if run.rstrip("/") == own else _usable(objects, run)
    if document and objects.knows(document):
        return document.rstrip("/")
    return settings.artifact_root.rstrip("/") or own


def _usable(objects: ObjectStoreConfig, root: str) -> str:
    try:
        _open(objects, root)
    except ArtifactError as error:
        message = f"The pipeline root {root!r} cannot be used: {error} Without one, the server's own directory is used."
        raise Invalid(message, code="PIPELINE_ROOT_UNUSABLE", pipeline_root=root) from error
    return root.rstrip("/")


def _open(objects: ObjectStoreConfig, root: str) -> None:
    # A tenth of a second to import, and only for those who use object stores.
    from headrace.artifacts.buckets import open_bucket

    open_bucket(objects, root, retries=0, request_timeout_s=_TRY_S)


def check_settings(settings: Settings, objects: ObjectStoreConfig) -> None:
    """Raises Unavailable OBJECT_STORES_INVALID when the setting `artifact_root` cannot be used."""
    if not settings.artifact_root:
        return
    try:
        _open(objects, settings.artifact_root)
    except ArtifactError as error:
        message = f"The setting artifact_root is {settings.artifact_root!r}, which cannot be used: {error}"
        raise Unavailable(message, code="OBJECT_STORES_INVALID") from error
