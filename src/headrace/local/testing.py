"""Unit tests of a component: call its function in this process, with artifacts made from the arguments of the test.

def test_train(tmp_path):
    data = tmp_path / "data.csv"
    data.write_text("1,2\\n")
    result = try_component(train, data=data, rate=0.1, folder=tmp_path)
    assert result.outputs["model"].metadata["rows"] == 1
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
from pathlib import Path
from typing import Any

from headrace.dsl.base_component import BaseComponent, PythonComponent
from headrace.dsl.types.type_utils import ArtifactType
from headrace.local.artifacts import artifact_class, is_artifact
from headrace.local.calling import call_function
from headrace.local.errors import LocalRunError


@dataclasses.dataclass(frozen=True, kw_only=True)
class ComponentResult:
    """What a component's function made when `try_component` called it.

    Args:
        outputs: Outputs by name: parameters as Python values, artifacts as `dsl.Artifact` objects with their
            content at `.path`.
        folder: The folder in which the artifacts are.
    """

    #: Parameters as Python values, artifacts as `dsl.Artifact` objects with their content at `.path`.
    outputs: dict[str, Any]
    #: Where the artifacts are.
    folder: Path

    @property
    def output(self) -> Any:
        """The only output.

        Raises:
            AttributeError: There is no output, or there are several.
        """
        if len(self.outputs) != 1:
            found = ", ".join(sorted(self.outputs)) or "none"
            raise AttributeError(f"there are {len(self.outputs)} outputs ({found}): use .outputs['name'].")
        return next(iter(self.outputs.values()))


def try_component(component: BaseComponent, *, folder: Path | None = None, **arguments: Any) -> ComponentResult:
    """Call a component's function in this process with real inputs and outputs, for a unit test.

    No environment is made and no process is started: packages come from this process. What the function raises is
    raised.

    Args:
        component: A Python component.
        folder: Where outputs are written; it is made if it does not exist. Default: a new temporary folder.
        **arguments: The component's inputs by name. For an artifact, give a `dsl.Artifact`, the path of a file or
            folder, or a dict of metadata.

    Returns:
        The outputs.

    Raises:
        LocalRunError: It is not a Python component (`NOT_PYTHON`).
        TypeError: An argument is not an input of the component, or is of the wrong kind.

    Example:
        >>> import pathlib, tempfile
        >>> from headrace import dsl, local
        >>> @dsl.component
        ... def count(data: dsl.Input[dsl.Dataset], metrics: dsl.Output[dsl.Metrics]) -> int:
        ...     with open(data.path) as file:
        ...         rows = len(file.readlines())
        ...     metrics.log_metric("rows", rows)
        ...     return rows
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> _ = (folder / "data.csv").write_text("1,2")
        >>> result = local.try_component(count, data=folder / "data.csv", folder=folder)
        >>> result.outputs["Output"], result.outputs["metrics"].metadata
        (1, {'rows': 1})
    """
    if not isinstance(component, PythonComponent):
        raise LocalRunError(
            f"{component.name} is not a Python component; call it to run it in a container.", code="NOT_PYTHON"
        )
    place = folder or Path(tempfile.mkdtemp(prefix="headrace-test-"))
    place.mkdir(parents=True, exist_ok=True)
    document = _executor_input(component, arguments, place)
    call_function(component.python_func, document)
    return ComponentResult(outputs=_outputs(document), folder=place)


def _executor_input(component: PythonComponent, arguments: dict[str, Any], place: Path) -> dict[str, Any]:
    spec = component.component_spec
    known = sorted(spec.inputs)
    for name in arguments:
        if name not in spec.inputs:
            raise TypeError(f"{component.name} has no input {name!r}; it has: {', '.join(known) or 'none'}.")
    parameters: dict[str, Any] = {}
    artifacts: dict[str, Any] = {}
    for name, declared in spec.inputs.items():
        if name not in arguments:
            continue
        if isinstance(declared.type, ArtifactType):
            artifacts[name] = {"artifacts": _inputs(name, declared.type, arguments[name])}
        else:
            parameters[name] = arguments[name]
    outputs: dict[str, Any] = {"parameters": {}, "artifacts": {}, "outputFile": str(place / "executor_output.json")}
    for name, output in spec.outputs.items():
        if isinstance(output.type, ArtifactType):
            fields = {"name": name, "type": _type(output.type.schema_title), "uri": str(place / name), "metadata": {}}
            outputs["artifacts"][name] = {"artifacts": [fields]}
        else:
            outputs["parameters"][name] = {"outputFile": str(place / "parameters" / name)}
    return {"inputs": {"parameterValues": parameters, "artifacts": artifacts}, "outputs": outputs}


def _type(title: str) -> dict[str, str]:
    return {"schemaTitle": title, "schemaVersion": "0.0.1"}


def _inputs(name: str, kind: ArtifactType, value: Any) -> list[dict[str, Any]]:
    values = value if kind.is_list and isinstance(value, (list, tuple)) else [value]
    return [_input(name, kind, member) for member in values]


def _input(name: str, kind: ArtifactType, value: Any) -> dict[str, Any]:
    if is_artifact(value):
        return {
            "name": value.name or name, "type": _type(type(value).schema_title), "uri": value.uri,
            "metadata": dict(value.metadata),
        }  # fmt: skip
    if isinstance(value, dict):
        return {"name": name, "type": _type(kind.schema_title), "uri": "", "metadata": value}
    if isinstance(value, (str, Path)):
        return {
            "name": name, "type": _type(kind.schema_title), "uri": str(Path(value).absolute()), "metadata": {}
        }  # fmt: skip
    raise TypeError(f"{name} is an artifact: hand over a dsl.Artifact, a path or a dict of metadata, not {value!r}.")


def _outputs(document: dict[str, Any]) -> dict[str, Any]:
    written = json.loads(Path(document["outputs"]["outputFile"]).read_text(encoding="utf-8"))
    found: dict[str, Any] = dict(written.get("parameterValues", {}))
    for name, value in document["outputs"]["parameters"].items():
        file = Path(value["outputFile"])
        if name not in found and file.exists():
            found[name] = file.read_text(encoding="utf-8")
    for name, value in document["outputs"]["artifacts"].items():
        title = value["artifacts"][0]["type"]["schemaTitle"]
        fields = written.get("artifacts", {}).get(name, {}).get("artifacts", value["artifacts"])[0]
        kind = artifact_class(title)
        found[name] = kind(name=fields["name"], uri=fields["uri"], metadata=fields["metadata"])
    return found
