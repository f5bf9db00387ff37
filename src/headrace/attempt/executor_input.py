"""KFP's ExecutorInput for an attempt: artifacts by plain paths, outputs inside its layout."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from urllib.parse import quote, unquote, urlsplit

from headrace.attempt.layout import INSIDE, Layout
from headrace.attempt.order import LaunchOrder
from headrace.attempt.workspace import IN_WORKSPACE
from headrace.engine.model import Artifact, ArtifactType, Json

_MOUNTS = {"gs": "gcs", "s3": "s3", "minio": "minio", "oci": "oci"}
#: What an output's name may bring into a key as it is.
_IN_KEYS = " !$&'()*+,;=:@~"
#: A container does not see the server's directory: there the URIs are the paths where it writes.
_IN_CONTAINER = str(INSIDE.outputs)


def _same(path: str) -> str:
    return path


def executor_input(
    order: LaunchOrder,
    layout: Layout,
    seen: Callable[[str], str] = _same,
    paths: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Json]:
    """The document, with paths as the component sees them.

    `layout` is the attempt's as the component sees it; `seen` gives the component's path for a path of this machine;
    `paths` has the component's path of input content by URI. An artifact in an object store keeps its URI, as in KFP,
    and has its path as `custom_path`, as KFP's artifacts may.
    """
    outputs, parameters = str(layout.outputs), str(layout.parameters)
    return {
        "inputs": {
            "parameterValues": order.inputs.parameters,
            "artifacts": {
                name: {"artifacts": [_fields(artifact, seen, paths) for artifact in artifacts]}
                for name, artifacts in order.inputs.artifacts.items()
            },
        },
        "outputs": {
            "parameters": {name: {"outputFile": f"{parameters}/{name}"} for name in order.outputs.parameters},
            "artifacts": {
                name: {"artifacts": [_output(order, name, kind, outputs)]}
                for name, kind in order.outputs.artifacts.items()
            },
            "outputFile": str(layout.output_file),
        },
    }


def paths_by_uri(order: LaunchOrder, layout: Layout, paths: Mapping[str, str]) -> dict[str, str]:
    """What `.path` of an artifact stands for where that does not follow from its URI."""
    outputs = str(layout.outputs)
    made = {shown_uri(order, name, outputs): f"{outputs}/{name}" for name in order.outputs.artifacts}
    return {**_mounted_inputs(order), **paths, **made}


def _mounted_inputs(order: LaunchOrder) -> dict[str, str]:
    """Where KFP would put content that is not on this machine. Nothing is there, but commands name the path."""
    far = (one.uri for many in order.inputs.artifacts.values() for one in many if local_path(one.uri) is None)
    return {
        uri: f"/{_MOUNTS[scheme]}/{rest}"
        for uri in far
        for scheme, _, rest in [uri.partition("://")]
        if scheme in _MOUNTS
    }


def output_key(order: LaunchOrder, *parts: str) -> str:
    """The key in the artifact store of an output, by the parts of its path there: a URI."""
    return "/".join([order.artifact_prefix, *(quote(part, safe=_IN_KEYS, errors="surrogateescape") for part in parts)])


def shown_root(order: LaunchOrder, outputs: str) -> str:
    """What the URIs of its outputs begin with: where they will lie, so that a URI may be kept, returned, imported.

    In an object store a component may write there itself. In the server's directory it may not: what it has written to
    the path is moved there afterwards.
    """
    if order.stores_remotely:
        return order.artifact_prefix
    return outputs if outputs == _IN_CONTAINER else local_path(order.artifact_prefix) or outputs


def shown_uri(order: LaunchOrder, name: str, outputs: str) -> str:
    """The URI of one output that a component sees; in the server's directory it is a plain path."""
    return output_key(order, name) if order.stores_remotely else f"{shown_root(order, outputs)}/{name}"


def _fields(artifact: Artifact, seen: Callable[[str], str], paths: Mapping[str, str]) -> dict[str, Json]:
    path = local_path(artifact.uri)
    fields = {
        "name": artifact.name,
        "type": _type(artifact.type),
        "uri": artifact.uri if path is None else seen(path),
        "metadata": artifact.metadata,
    }
    if artifact.uri in paths and IN_WORKSPACE in artifact.metadata:
        # KFP's classes would make a path of it; where it lies is said already.
        fields["metadata"] = {key: value for key, value in artifact.metadata.items() if key != IN_WORKSPACE}
    return fields if path is not None or artifact.uri not in paths else {**fields, "custom_path": paths[artifact.uri]}


def _output(order: LaunchOrder, name: str, kind: ArtifactType, outputs: str) -> dict[str, Json]:
    uri, path = shown_uri(order, name, outputs), f"{outputs}/{name}"
    fields: dict[str, Json] = {"name": name, "type": _type(kind), "uri": uri, "metadata": {}}
    return fields if uri == path else {**fields, "custom_path": path}


def _type(kind: ArtifactType) -> dict[str, Json]:
    return {"schemaTitle": kind.schema_title, "schemaVersion": kind.schema_version}


def local_path(uri: str) -> str | None:
    """The path of a `file:` URI or of a plain path; None for what lies elsewhere."""
    if uri.startswith("/"):
        return uri
    parts = urlsplit(uri)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return unquote(parts.path)
    return None
