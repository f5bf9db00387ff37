"""Write the ExecutorOutput file: the values a component returned, and the metadata of its artifacts."""

from __future__ import annotations

import os

from headrace.runtime import annotations as asks
from headrace.runtime import plain
from headrace.runtime.arguments import Files, make_parent
from headrace.runtime.problems import Problem, write_json
from headrace.runtime.values import strict, to_json, type_name, without_odd_numbers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

#: Name of the only output of a function that returns one value.
SINGLE = "Output"
#: Roles that may write the outputs in a mirrored training job, as KFP has them.
_CHIEFS = ("workerpool0", "chief", "master")


def write_executor_output(function: Callable[..., Any], result: Any, files: Files) -> None:
    """Write the ExecutorOutput document; in a mirrored training job only the chief does."""
    values = _parameter_values(function, result, files)
    output: dict[str, Any] = {"parameterValues": values} if values else {}
    if files.made:
        for made in files.made.values():
            _replace_links(made, files)
        output["artifacts"] = {name: {"artifacts": [_fields(name, made, files)]} for name, made in files.made.items()}
    if _is_chief():
        make_parent(files.output_file)
        write_json(files.output_file, output)


def _replace_links(artifact: Any, files: Files) -> None:
    """Only the task itself can tell what its links lead to: a server may run on another machine, or as another user."""
    path, home = getattr(artifact, "path", ""), os.path.realpath(os.path.dirname(files.output_file))  # noqa: PTH120
    if not isinstance(path, str) or not (os.path.islink(path) or os.path.isdir(path)):  # noqa: PTH112, PTH114
        return
    if f"{os.path.realpath(os.path.dirname(path))}/".startswith(f"{home}/"):  # noqa: PTH120
        from headrace.runtime.links import replace_links

        replace_links(path)


def _is_chief() -> bool:
    cluster = os.environ.get("CLUSTER_SPEC")
    return not cluster or plain.loads(cluster)["task"]["type"] in _CHIEFS


def _fields(name: str, artifact: Any, files: Files) -> dict[str, Any]:
    metadata = strict(f"metadata of artifact {name!r}:", without_odd_numbers(artifact.metadata), output=name)
    fields = {"name": artifact.name, "uri": artifact.uri, "metadata": metadata}
    custom = getattr(artifact, "custom_path", None)
    return {**fields, "custom_path": _brought_in(name, custom, files)} if custom else fields


def _brought_in(name: str, path: str, files: Files) -> str:
    """The path of content that the user wrote elsewhere: it is copied if it is outside the attempt's folder.

    A path outside may vanish with a container, or belong to another program: the content is copied, never moved.
    """
    home = os.path.realpath(os.path.dirname(files.output_file))  # noqa: PTH120
    if not os.path.exists(path) or os.path.realpath(path).startswith(f"{home}/"):  # noqa: PTH110
        return path
    import shutil

    inside = f"{home}/.custom/{name}"
    make_parent(inside)
    if os.path.isdir(path):  # noqa: PTH112
        shutil.copytree(path, inside, symlinks=True)
    else:
        shutil.copy(path, inside)
    return inside


def _parameter_values(function: Callable[..., Any], result: Any, files: Files) -> dict[str, Any]:
    declared = files.annotations.get("return")
    if result is None or declared is None:
        return {}
    values: dict[str, Any] = {}
    for name, annotation, value in _returned(function, declared, result):
        if asks.artifact_class(annotation) is not None:
            _take_artifact(name, annotation, value, files)
        else:
            values[name] = to_json(name, value, annotation)
    return values


def _returned(function: Callable[..., Any], declared: Any, result: Any) -> list[tuple[str, Any, Any]]:
    """`(output, annotation, value)` of each output."""
    fields = getattr(declared, "_fields", None)
    if not (isinstance(declared, type) and fields is not None):
        return [(SINGLE, declared, result)]
    if not isinstance(result, tuple):
        message = f"{function.__name__} must return its {len(fields)} outputs as a tuple, not {type_name(result)}."
        raise Problem("OUTPUT_INVALID", message, expected="tuple", got=type_name(result))
    if len(result) != len(fields):
        message = f"{function.__name__} must return {len(fields)} outputs {fields}, but returned {len(result)}."
        raise Problem("OUTPUT_INVALID", message, expected=len(fields), got=len(result))
    notes = asks.annotations_of(declared)
    by_name = type(result) is not tuple and getattr(result, "_fields", None) is not None
    return [
        (name, notes[name], getattr(result, name) if by_name and hasattr(result, name) else result[place])
        for place, name in enumerate(fields)
    ]


def _take_artifact(name: str, annotation: Any, value: Any, files: Files) -> None:
    """An artifact returned replaces the one prepared; anything else is its content."""
    if asks.is_artifact_class(type(value)):
        files.made[name] = value
        return
    mode = "wb" if isinstance(value, bytes) else "w"
    with open(files.made[name].path, mode, encoding=None if mode == "wb" else "utf-8") as file:  # noqa: PTH123
        file.write(value if isinstance(value, bytes) else str(value))
