"""Compile a pipeline or component to a file."""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headrace.compiler.checking import check_document, check_written
from headrace.compiler.compiler_utils import KubernetesManifestOptions
from headrace.compiler.header import header
from headrace.compiler.values import wire_value
from headrace.compiler.yaml_text import dump_all
from headrace.dsl.base_component import BaseComponent
from headrace.dsl.component_factory import checked_default
from headrace.dsl.errors import DslNotImplementedError, DslValueError
from headrace.dsl.structures import IR
from headrace.dsl.types.type_utils import ParameterType

_MANIFEST_VERSION = "pipelines.kubeflow.org/v2beta1"


class Compiler:
    """Compiles pipelines and components to files."""

    def compile(
        self,
        pipeline_func: BaseComponent,
        package_path: str,
        pipeline_name: str | None = None,
        pipeline_display_name: str | None = None,
        pipeline_parameters: Mapping[str, Any] | None = None,
        type_check: bool = True,
        kubernetes_manifest_options: KubernetesManifestOptions | None = None,
        kubernetes_manifest_format: bool = False,
    ) -> None:
        """Compile a pipeline or component to a YAML file that every KFP 2 backend reads.

        Args:
            pipeline_func: A pipeline or a component; not the plain function.
            package_path: The file to write: `*.yaml` or `*.yml` (`*.json` is deprecated). It is replaced if it
                exists.
            pipeline_name: Another name for the pipeline. Default: its own.
            pipeline_display_name: The name that the UI shows. Default: the pipeline's own.
            pipeline_parameters: Other default values for inputs of the pipeline. Default: none.
            type_check: Accepted because KFP has it; types are always checked.
            kubernetes_manifest_options: Names for `kubernetes_manifest_format=True`. Default: they follow from the
                pipeline's name.
            kubernetes_manifest_format: Whether to write Kubernetes resources (`PipelineVersion`) instead of IR
                YAML. Default: False.

        Raises:
            DslValueError: The file has another suffix (`OUTPUT_SUFFIX`), or `pipeline_func` is not a component
                (`NOT_A_COMPONENT`).
            DslError: A value does not fit its input, or the document is not valid.

        Example:
            >>> import pathlib, tempfile
            >>> from headrace import compiler, dsl
            >>> @dsl.component
            ... def add(a: int, b: int) -> int:
            ...     return a + b
            >>> @dsl.pipeline
            ... def adding(a: int = 1):
            ...     add(a=a, b=2)
            >>> file = pathlib.Path(tempfile.mkdtemp()) / "adding.yaml"
            >>> compiler.Compiler().compile(adding, str(file), pipeline_parameters={"a": 5})
            >>> file.read_text().splitlines()[1]
            '# Name: adding'
        """
        pipeline_spec, platform_spec = compiled(
            pipeline_func, pipeline_name, pipeline_display_name, dict(pipeline_parameters or {})
        )
        path = str(package_path)
        if kubernetes_manifest_format:
            options = (kubernetes_manifest_options or KubernetesManifestOptions()).completed(
                pipeline_spec["pipelineInfo"]["name"]
            )
            documents = _manifests(pipeline_spec, platform_spec, pipeline_func.description, options)
            text = dump_all(documents)
        elif path.endswith(".json"):
            documents = [pipeline_spec]
            text = _json_text(path, pipeline_spec, platform_spec)
        elif path.endswith((".yaml", ".yml")):
            documents = _documents(pipeline_spec, platform_spec)
            text = document_text(pipeline_spec, platform_spec, pipeline_func.description)
        else:
            raise DslValueError(
                f'The output path {path} should end with ".yaml".', code="OUTPUT_SUFFIX", hint="name the file *.yaml."
            )
        check_written(text, documents)
        with Path(path).open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)


def compiled(
    component: BaseComponent,
    name: str | None = None,
    display_name: str | None = None,
    parameters: dict[str, Any] | None = None,
) -> tuple[IR, IR]:
    """Compile to dicts instead of a file, with another name or other default values, and check the result.

    Args:
        component: A pipeline or a component.
        name: Another name for the pipeline. Default: its own.
        display_name: The name that the UI shows. Default: the pipeline's own.
        parameters: Other default values for inputs of the pipeline. Default: none.

    Returns:
        `(pipeline spec, platform spec)`. Do not change them: they may be the component's own.

    Raises:
        DslValueError: `component` is not a component (`NOT_A_COMPONENT`).
        DslError: A value does not fit its input, or the document is not valid.
    """
    if not isinstance(component, BaseComponent):
        raise DslValueError(
            "Unsupported pipeline_func type. Expected a function decorated with @dsl.pipeline or @dsl.component. "
            f"Got: {type(component).__name__}",
            code="NOT_A_COMPONENT",
            hint="decorate it with @dsl.pipeline."
            if callable(component)
            else "a task is not a component; compile the pipeline it is in.",
        )
    pipeline_spec, platform_spec = component.documents()
    if name is not None or display_name is not None:
        info = dict(pipeline_spec["pipelineInfo"])
        info.update({"name": name} if name is not None else {})
        info.update({"displayName": display_name} if display_name else {})
        pipeline_spec = {**pipeline_spec, "pipelineInfo": info}
    if parameters:
        pipeline_spec = {**pipeline_spec, "root": _with_defaults(pipeline_spec["root"], parameters)}
    overridden = name is not None or bool(display_name) or bool(parameters)
    if overridden or not component.checked:
        _check_workspace(pipeline_spec, platform_spec)
        check_document(pipeline_spec, platform_spec)
        component.checked = component.checked or not overridden
    return pipeline_spec, platform_spec


def document_text(pipeline_spec: IR, platform_spec: IR, description: str | None = None) -> str:
    """The text of the YAML file: a comment, the pipeline spec, and the platform spec if it says anything.

    Args:
        pipeline_spec: The pipeline spec.
        platform_spec: The platform spec; an empty dict if there is none.
        description: What the pipeline does, for the comment. Default: none.

    Returns:
        The text.
    """
    return header(pipeline_spec, description) + dump_all(_documents(pipeline_spec, platform_spec))


def _documents(pipeline_spec: IR, platform_spec: IR) -> list[IR]:
    return [pipeline_spec, platform_spec] if platform_spec.get("platforms") else [pipeline_spec]


def _with_defaults(root: IR, values: dict[str, Any]) -> IR:
    root = {**root, "inputDefinitions": copy.deepcopy(root.get("inputDefinitions", {}))}
    definitions = root["inputDefinitions"]
    for name, value in values.items():
        if name in definitions.get("artifacts", {}):
            raise DslNotImplementedError(
                f"Default value for artifact input is not supported: {name!r}.", code="ARTIFACT_DEFAULT"
            )
        definition = definitions.get("parameters", {}).get(name)
        if definition is None:
            raise DslValueError(
                f"Pipeline parameter {name} does not match any known pipeline input.",
                code="PIPELINE_PARAMETER_UNKNOWN",
                hint=f"it takes: {', '.join(definitions.get('parameters', {})) or 'nothing'}.",
            )
        if value is not None:
            type_ = ParameterType(kind=definition["parameterType"])
            definition["defaultValue"] = wire_value(checked_default(name, type_, value), what=f"parameter {name!r}")
    return root


def _check_workspace(pipeline_spec: IR, platform_spec: IR) -> None:
    executors = pipeline_spec.get("deploymentSpec", {}).get("executors", {})
    if not any(one.get("importer", {}).get("downloadToWorkspace") for one in executors.values()):
        return
    if not any("workspace" in one.get("pipelineConfig", {}) for one in platform_spec.get("platforms", {}).values()):
        raise DslValueError(
            "dsl.importer(download_to_workspace=True) requires PipelineConfig(workspace=...) on the pipeline.",
            code="WORKSPACE_MISSING",
            hint="@dsl.pipeline(pipeline_config=dsl.PipelineConfig(workspace=dsl.WorkspaceConfig(size='1Gi'))).",
        )


def _json_text(path: str, pipeline_spec: IR, platform_spec: IR) -> str:
    warnings.warn("Compiling to JSON is deprecated; name the file *.yaml.", DeprecationWarning, stacklevel=3)
    if platform_spec.get("platforms"):
        raise DslValueError(
            f"Platform-specific features are only supported when serializing to YAML. Got the file {path!r}.",
            code="OUTPUT_SUFFIX",
            hint="name the file *.yaml.",
        )
    return json.dumps(pipeline_spec, indent=2, sort_keys=True)


def _manifests(
    pipeline_spec: IR, platform_spec: IR, description: str | None, options: KubernetesManifestOptions
) -> list[IR]:
    """The same as Kubernetes resources."""
    found = []
    if options.include_pipeline_manifest:
        found.append(
            _manifest(
                "Pipeline", options.pipeline_name, options, description, {"displayName": options.pipeline_display_name}
            )
        )
    version: IR = {
        "displayName": options.pipeline_version_display_name,
        "pipelineName": options.pipeline_name,
        "pipelineSpec": pipeline_spec,
    }
    if platform_spec.get("platforms"):
        version["platformSpec"] = platform_spec
    found.append(_manifest("PipelineVersion", options.pipeline_version_name, options, description, version))
    return found


def _manifest(kind: str, name: str | None, options: KubernetesManifestOptions, description: str | None, spec: IR) -> IR:
    metadata = {"name": name}
    if options.namespace:
        metadata["namespace"] = options.namespace
    if description:
        spec["description"] = description
    return {"apiVersion": _MANIFEST_VERSION, "kind": kind, "metadata": metadata, "spec": spec}
