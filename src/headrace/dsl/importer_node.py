"""Bring an artifact that already exists into a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headrace.dsl.base_component import ImporterComponent
from headrace.dsl.errors import DslTypeError
from headrace.dsl.pipeline_channel import PipelineChannel, PipelineParameterChannel
from headrace.dsl.pipeline_task import PipelineTask
from headrace.dsl.placeholders import InputValuePlaceholder
from headrace.dsl.structures import ComponentSpec, ImporterImplementation, InputSpec, OutputSpec
from headrace.dsl.text import replace_tokens
from headrace.dsl.types.type_utils import STRING, ParameterType, artifact_type, is_artifact_class

_URI, _OUTPUT, _METADATA = "uri", "artifact", "metadata"


class _MetadataInputs:
    """The extra inputs that channels inside the metadata need: one for each distinct channel."""

    def __init__(self) -> None:
        self.channels: dict[str, PipelineChannel] = {}
        self._names: dict[str, str] = {}

    def placeholder(self, channel: PipelineChannel) -> str:
        if not isinstance(channel, PipelineParameterChannel):
            raise DslTypeError(
                f"Metadata of an importer cannot hold {channel.described()}: it is not a parameter.",
                code="METADATA_NOT_PARAMETER",
            )
        name = self._names.get(channel.full_name)
        if name is None:
            name = _METADATA if not self.channels else f"{_METADATA}-{len(self.channels) + 1}"
            self._names[channel.full_name] = name
            self.channels[name] = channel
        return str(InputValuePlaceholder(name))

    def filled(self, value: Any) -> Any:
        """The metadata with placeholders in place of channels."""
        if isinstance(value, PipelineChannel):
            return self.placeholder(value)
        if isinstance(value, str):
            return replace_tokens(value, self.placeholder)
        if isinstance(value, Mapping):
            return {self.filled(key): self.filled(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.filled(item) for item in value]
        return value


def importer(
    artifact_uri: PipelineParameterChannel | str,
    artifact_class: Any,
    reimport: bool = False,
    metadata: Mapping[str, Any] | None = None,
    download_to_workspace: bool = False,
) -> PipelineTask:
    """Use an artifact that exists already. Returns a task whose `.output` is the artifact.

    Args:
        artifact_uri: Where the artifact is: a URI such as `s3://bucket/key`, a path, or a text parameter of the
            pipeline.
        artifact_class: The artifact's class, such as `dsl.Dataset`.
        reimport: Whether the artifact is recorded again although one with this URI was recorded before. Default:
            False.
        metadata: Metadata of the artifact; texts in it may be values of the pipeline. Default: none.
        download_to_workspace: Whether the content is copied into the run's workspace, which the pipeline must
            declare. Default: False.

    Returns:
        The task.

    Raises:
        DslTypeError: `artifact_class` is not an artifact class (`IMPORTER_CLASS_INVALID`), or the metadata has
            something that is not a parameter (`METADATA_NOT_PARAMETER`).

    Example:
        >>> from headrace import dsl
        >>> @dsl.component
        ... def train(data: dsl.Input[dsl.Dataset]):
        ...     print(data.uri)
        >>> @dsl.pipeline
        ... def training(uri: str = "s3://bucket/data.csv"):
        ...     data = dsl.importer(uri, dsl.Dataset, metadata={"source": "warehouse"})
        ...     train(data=data.output)
    """
    if not is_artifact_class(artifact_class):
        raise DslTypeError(
            f"artifact_class must be an artifact class; got {artifact_class!r}.",
            code="IMPORTER_CLASS_INVALID",
            hint="use dsl.Dataset, dsl.Model, dsl.Artifact or a class of your own that extends one.",
        )
    inputs = _MetadataInputs()
    filled = inputs.filled(metadata)
    type_ = artifact_type(artifact_class)
    spec = ComponentSpec(
        name="importer",
        implementation=ImporterImplementation(artifact_uri, type_, reimport, filled, download_to_workspace),
        inputs={
            _URI: InputSpec(type=ParameterType(kind=STRING)),
            **{name: InputSpec(type=channel.type) for name, channel in inputs.channels.items()},
        },
        outputs={_OUTPUT: OutputSpec(type=type_)},
    )
    return ImporterComponent(spec)(**{_URI: artifact_uri, **inputs.channels})
