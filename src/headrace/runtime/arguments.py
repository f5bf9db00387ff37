"""Builds the arguments a component is called with from the ExecutorInput."""

from __future__ import annotations

import os
import sys

from headrace.runtime import annotations as asks
from headrace.runtime.problems import Problem
from headrace.runtime.values import to_argument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Files:
    """The attempt's artifacts as objects, and where its outputs go."""

    def __init__(
        self,
        executor_input: dict[str, Any],
        function: Callable[..., Any],
        root: dict[str, str] | None = None,
        elsewhere: dict[str, Any] | None = None,
    ) -> None:
        """`root`: URI and path of the folder for outputs; `elsewhere`: why content is not on this machine, by URI."""
        self.annotations = asks.annotations_of(function)
        self.globals = function.__globals__
        self.outputs = executor_input.get("outputs", {})
        self.output_file: str = self.outputs["outputFile"]
        self._mirrors = _mirror(root, elsewhere or {})
        here = os.path.dirname(self.output_file)  # noqa: PTH120
        set_task_root(root["uri"] if root and root["uri"] else here, here)
        self.inputs = {
            name: [self._artifact(name, fields) for fields in value.get("artifacts", ())]
            for name, value in executor_input.get("inputs", {}).get("artifacts", {}).items()
        }
        self.made: dict[str, Any] = {
            name: self._artifact(name, value["artifacts"][0])
            for name, value in self.outputs.get("artifacts", {}).items()
            if value.get("artifacts")
        }
        for artifact in self.made.values():
            make_parent(artifact.path)

    def _artifact(self, name: str, fields: dict[str, Any]) -> Any:
        title = fields.get("type", {}).get("schemaTitle", "")
        kind = asks.of_title(self._annotation(name), title) or base_artifact()
        make = getattr(kind, "_from_executor_fields", kind)
        made = make(name=fields.get("name", ""), uri=fields.get("uri", ""), metadata=fields.get("metadata") or {})
        if fields.get("custom_path"):
            if self._mirrors is None or not isinstance(made, self._mirrors):
                # A class of the real kfp. One with a `custom_path` ignores a path that is set later.
                if made.uri.startswith("/"):
                    made.uri = fields["custom_path"]
                else:
                    made.custom_path = fields["custom_path"]
            else:
                _mirror({"uri": fields["uri"], "path": fields["custom_path"]}, {})
        return made

    def _annotation(self, name: str) -> Any:
        """The annotation of artifact `name`: an argument's, or the return value's."""
        if name in self.annotations:
            return self.annotations[name]
        returned = self.annotations.get("return")
        return getattr(returned, "__annotations__", {}).get(name, returned)

    def parameter_path(self, name: str) -> str:
        """Where an `OutputPath(str)` is to be written."""
        path: str = self.outputs["parameters"][name]["outputFile"]
        make_parent(path)
        return path


def arguments_for(function: Callable[..., Any], executor_input: dict[str, Any], files: Files) -> dict[str, Any]:
    """Keyword arguments for the function; for missing ones the function uses its defaults."""
    values = executor_input.get("inputs", {}).get("parameterValues", {})
    arguments: dict[str, Any] = {}
    for name, annotation in files.annotations.items():
        if name != "return":
            fill = _FILLERS[asks.kind_of(annotation)]
            fill(arguments, name, annotation, values, files)
    _check_complete(function, arguments, values)
    return arguments


def _check_complete(function: Callable[..., Any], arguments: dict[str, Any], values: dict[str, Any]) -> None:
    for name in _required(function):
        if name not in arguments:
            if name not in values:
                message = f"input {name!r} has no value, and the function no default for it."
                raise Problem("INPUT_MISSING", message, input=name)
            arguments[name] = None


def _required(function: Callable[..., Any]) -> list[str]:
    """Names of the arguments without a default (`inspect` would say it too, but takes long to import)."""
    code = function.__code__
    positional = code.co_varnames[: code.co_argcount]
    by_name = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    defaults = len(function.__defaults__ or ())
    with_default = function.__kwdefaults__ or {}
    return [*positional[: len(positional) - defaults], *(name for name in by_name if name not in with_default)]


def _parameter(arguments: dict[str, Any], name: str, annotation: Any, values: dict[str, Any], files: Files) -> None:
    if values.get(name) is not None:
        arguments[name] = to_argument(values[name], annotation)


def _final_status(arguments: dict[str, Any], name: str, annotation: Any, values: dict[str, Any], files: Files) -> None:
    value = values.get(name) or {}
    error = value.get("error") or {}
    arguments[name] = asks.strip_optional(annotation)(
        state=value.get("state"),
        pipeline_job_resource_name=value.get("pipelineJobResourceName", value.get("pipeline_job_resource_name")),
        pipeline_task_name=value.get("pipelineTaskName", value.get("pipeline_task_name")),
        error_code=error.get("code"),
        error_message=error.get("message"),
    )


def _task_config(arguments: dict[str, Any], name: str, annotation: Any, values: dict[str, Any], files: Files) -> None:
    value = values.get(name) or {}
    arguments[name] = asks.strip_optional(annotation)(
        affinity=value.get("affinity"),
        tolerations=value.get("tolerations"),
        node_selector=value.get("nodeSelector"),
        env=value.get("env"),
        volumes=value.get("volumes"),
        volume_mounts=value.get("volumeMounts"),
        resources=value.get("resources"),
    )


def _input_artifact(
    arguments: dict[str, Any], name: str, annotation: Any, values: dict[str, Any], files: Files
) -> None:
    arguments[name] = next(iter(files.inputs.get(name, ())), None)


def _input_artifacts(
    arguments: dict[str, Any], name: str, annotation: Any, values: dict[str, Any], files: Files
) -> None:
    arguments[name] = files.inputs.get(name)


def _output_artifact(
    arguments: dict[str, Any], name: str, annotation: Any, values: dict[str, Any], files: Files
) -> None:
    arguments[name] = files.made.get(name)


def _input_path(arguments: dict[str, Any], name: str, annotation: Any, values: dict[str, Any], files: Files) -> None:
    given = next(iter(files.inputs.get(name, ())), None)
    if given is not None:
        arguments[name] = given.path


def _output_path(arguments: dict[str, Any], name: str, annotation: Any, values: dict[str, Any], files: Files) -> None:
    made = files.made.get(name)
    arguments[name] = files.parameter_path(name) if made is None else made.path


def _embedded(arguments: dict[str, Any], name: str, annotation: Any, values: dict[str, Any], files: Files) -> None:
    """Files that are embedded in the source, which unpacks them; two globals have their paths."""
    path = files.globals.get("__KFP_EMBEDDED_ASSET_FILE") or files.globals.get("__KFP_EMBEDDED_ASSET_DIR")
    if not path:
        raise Problem("INPUT_MISSING", f"input {name!r} is embedded, but the source brings no asset.", input=name)
    asset = (asks.artifact_class(annotation) or base_artifact())()
    asset.path = path
    arguments[name] = asset


_FILLERS: dict[str, Callable[[dict[str, Any], str, Any, dict[str, Any], Files], None]] = {
    asks.PARAMETER: _parameter,
    asks.FINAL_STATUS: _final_status,
    asks.TASK_CONFIG: _task_config,
    asks.INPUT_ARTIFACT: _input_artifact,
    asks.INPUT_ARTIFACTS: _input_artifacts,
    asks.OUTPUT_ARTIFACT: _output_artifact,
    asks.INPUT_PATH: _input_path,
    asks.OUTPUT_PATH: _output_path,
    asks.EMBEDDED: _embedded,
}


def base_artifact() -> Any:
    """The class `Artifact` of the `kfp.dsl` that the user's code imports."""
    from kfp.dsl import Artifact

    return Artifact


def set_task_root(root: str, here: str) -> None:
    """Set the task's root for `get_uri()`: ours knows that what lies at the root is written to the folder `here`."""
    for name, path in (("kfp.dsl.types.artifact_types", here), ("headrace.dsl.types.artifact_types", root)):
        if name in sys.modules:
            setattr(sys.modules[name], "CONTAINER_TASK_ROOT", path)  # noqa: B010


def _mirror(root: dict[str, str] | None, elsewhere: dict[str, Any]) -> Any:
    """Give our artifact classes the paths of content on this machine, or the reason why it is not here.

    Returns their base class; None where the user's code sees those of the real kfp, which we cannot change.
    """
    kinds = sys.modules.get("headrace.dsl.types.artifact_types")
    if kinds is None:
        return None
    if root and root["uri"]:
        kinds.MIRRORS[root["uri"]] = root["path"]
    for uri, problem in elsewhere.items():
        kinds.ELSEWHERE[uri] = (problem["code"], problem["message"])
    return kinds.Artifact


def make_parent(path: str) -> None:
    """Make the directory a file is to be written into."""
    os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120
