"""Documents as the protobuf messages that other tools expect."""

from __future__ import annotations

import importlib
from typing import Any

from headrace.dsl.errors import DslRuntimeError
from headrace.dsl.structures import IR


def message(kind: str, document: IR) -> Any:
    """A `PipelineSpec` or `PlatformSpec` message."""
    try:
        messages = importlib.import_module("kfp.pipeline_spec.pipeline_spec_pb2")
        json_format = importlib.import_module("google.protobuf.json_format")
    except ImportError as error:
        raise DslRuntimeError(
            f"A {kind} message needs Kubeflow's protobuf definitions, which are not installed.",
            code="PROTOBUF_MISSING",
            hint="pip install kfp-pipeline-spec, or use component.documents(): plain dicts.",
        ) from error
    return json_format.ParseDict(document, getattr(messages, kind)())
