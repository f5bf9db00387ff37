"""Elements of a container component's command that are not plain texts, and how each is written in the document."""

from __future__ import annotations

import json
from typing import Any, TypeAlias

from headrace.dsl.errors import DslAttributeError, DslIndexError, DslValueError


class Placeholder:
    """A text that the backend replaces before the container starts."""

    def _to_string(self) -> str:
        raise NotImplementedError

    def __str__(self) -> str:
        return self._to_string()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Placeholder) and type(other) is type(self) and other._to_string() == self._to_string()

    def __hash__(self) -> int:
        return hash((type(self), self._to_string()))


class _Named(Placeholder):
    """A placeholder that is one fixed text around the name of an input or output."""

    side = "inputs"
    template = ""

    def __init__(self, name: str) -> None:
        self.io_name = name

    def _to_string(self) -> str:
        return self.template % self.io_name

    @property
    def input_name(self) -> str:
        return self.io_name

    @property
    def output_name(self) -> str:
        return self.io_name


class InputValuePlaceholder(_Named):
    template = "{{$.inputs.parameters['%s']}}"

    def __init__(self, input_name: str, ir_type: str = "STRING") -> None:
        super().__init__(input_name)
        #: The kind of the input in the document. Component libraries read it to know which values need quotes.
        self._ir_type = ir_type


class InputPathPlaceholder(_Named):
    template = "{{$.inputs.artifacts['%s'].path}}"

    def __init__(self, input_name: str) -> None:
        super().__init__(input_name)


class InputUriPlaceholder(_Named):
    template = "{{$.inputs.artifacts['%s'].uri}}"

    def __init__(self, input_name: str) -> None:
        super().__init__(input_name)


class _Metadata(_Named):
    def __getitem__(self, key: str) -> str:
        return f"{self._to_string().removesuffix('}}')}['{key}']}}}}"


class InputMetadataPlaceholder(_Metadata):
    template = "{{$.inputs.artifacts['%s'].metadata}}"

    def __init__(self, input_name: str) -> None:
        super().__init__(input_name)


class _List(_Named):
    """A list of artifacts, which cannot be indexed."""

    def __getattr__(self, name: str) -> Any:
        if name in {"name", "uri", "metadata", "path"}:
            raise DslAttributeError(
                f"A list of artifacts has no {name!r} in a container component. Found reference to attribute "
                f"{name!r} on {self.io_name!r}.",
                code="ARTIFACT_LIST_ATTRIBUTE",
                hint="pass the whole list only.",
            )
        raise AttributeError(name)

    def __getitem__(self, key: object) -> Any:
        raise _ListElementError(
            f"Single artifacts of a list cannot be taken in a container component. Found access to element {key} on "
            f"{self.io_name!r}.",
            hint="pass the whole list only.",
        )


class _ListElementError(DslIndexError, KeyError):
    code = "ARTIFACT_LIST_ELEMENT"

    def __str__(self) -> str:
        return self._text()


class InputListOfArtifactsPlaceholder(_List):
    template = "{{$.inputs.artifacts['%s']}}"

    def __init__(self, input_name: str) -> None:
        super().__init__(input_name)


class OutputListOfArtifactsPlaceholder(_List):
    side = "outputs"
    template = "{{$.outputs.artifacts['%s']}}"

    def __init__(self, output_name: str) -> None:
        super().__init__(output_name)


class OutputParameterPlaceholder(_Named):
    side = "outputs"
    template = "{{$.outputs.parameters['%s'].output_file}}"

    def __init__(self, output_name: str) -> None:
        super().__init__(output_name)


class OutputPathPlaceholder(_Named):
    side = "outputs"
    template = "{{$.outputs.artifacts['%s'].path}}"

    def __init__(self, output_name: str) -> None:
        super().__init__(output_name)


class OutputUriPlaceholder(_Named):
    side = "outputs"
    template = "{{$.outputs.artifacts['%s'].uri}}"

    def __init__(self, output_name: str) -> None:
        super().__init__(output_name)


class OutputMetadataPlaceholder(_Metadata):
    side = "outputs"
    template = "{{$.outputs.artifacts['%s'].metadata}}"

    def __init__(self, output_name: str) -> None:
        super().__init__(output_name)


class ContainerComponentArtifactChannel:
    """An artifact parameter, as a container component's function receives it."""

    _CLASSES = {
        ("input", "uri"): InputUriPlaceholder,
        ("input", "path"): InputPathPlaceholder,
        ("input", "metadata"): InputMetadataPlaceholder,
        ("output", "uri"): OutputUriPlaceholder,
        ("output", "path"): OutputPathPlaceholder,
        ("output", "metadata"): OutputMetadataPlaceholder,
    }

    def __init__(self, io_type: str, var_name: str) -> None:
        self._io_type = io_type
        self._var_name = var_name

    def __getattr__(self, name: str) -> Placeholder:
        cls = self._CLASSES.get((self._io_type, name))
        if cls is None:
            raise DslAttributeError(
                f'Cannot access artifact attribute "{name}".',
                code="ARTIFACT_ATTRIBUTE_UNKNOWN",
                hint="an artifact has .uri, .path and .metadata here.",
            )
        return cls(self._var_name)


CommandLineElement: TypeAlias = str | Placeholder


class _Structured(Placeholder):
    """A placeholder with a structure, written as JSON text."""

    def _to_dict(self) -> dict[str, Any]:
        raise NotImplementedError

    def _to_string(self) -> str:
        return json.dumps(self._to_dict())

    def __str__(self) -> str:
        raise DslValueError(
            f"Cannot use {type(self).__name__} in an f-string.",
            code="PLACEHOLDER_IN_TEXT",
            hint="make it its own element of command or args.",
        )


class ConcatPlaceholder(_Structured):
    """Several texts and placeholders, joined to one argument of a container component's command.

    Stock Kubeflow Pipelines 2.17 does not resolve it; an f-string works everywhere.

    Args:
        items: Texts, parameters of the function, and `dsl.IfPresentPlaceholder`s.

    Raises:
        DslValueError: An `IfPresentPlaceholder` among the items has lists (`IF_PRESENT_LIST_IN_CONCAT`).

    Example:
        >>> from headrace import dsl
        >>> @dsl.container_component
        ... def say(name: str):
        ...     return dsl.ContainerSpec("alpine", ["echo"], [dsl.ConcatPlaceholder(["Hello ", name])])
    """

    def __init__(self, items: list[CommandLineElement]) -> None:
        for item in items:
            if isinstance(item, IfPresentPlaceholder):
                item.check_single()
        self.items = items

    def _to_dict(self) -> dict[str, Any]:
        return {"Concat": [_structure(item) for item in self.items]}


class IfPresentPlaceholder(_Structured):
    """Arguments that a container component's command has only if an optional input was given.

    Args:
        input_name: The name of an optional input of the component.
        then: One element of the command, or a list of them, if the input was given.
        else_: One element, or a list of them, if it was not given. Default: nothing.

    Example:
        >>> from headrace import dsl
        >>> @dsl.container_component
        ... def train(seed: int | None = None):
        ...     return dsl.ContainerSpec(
        ...         "alpine", ["train"], [dsl.IfPresentPlaceholder("seed", then=["--seed", seed], else_="--random")]
        ...     )
    """

    def __init__(
        self,
        input_name: str,
        then: CommandLineElement | list[CommandLineElement],
        else_: CommandLineElement | list[CommandLineElement] | None = None,
    ) -> None:
        self.input_name = input_name
        self.then = then
        self.else_ = else_

    def check_single(self) -> None:
        """Refuse lists, which cannot be inside a `dsl.ConcatPlaceholder`.

        Raises:
            DslValueError: `then` or `else_` is a list (`IF_PRESENT_LIST_IN_CONCAT`).
        """
        for branch in (self.then, self.else_):
            if isinstance(branch, list):
                raise DslValueError(
                    "Cannot use IfPresentPlaceholder within ConcatPlaceholder when `then` and `else_` arguments to "
                    "IfPresentPlaceholder are lists.",
                    code="IF_PRESENT_LIST_IN_CONCAT",
                    hint="use a single element for `then` and `else_`.",
                )
            for inner in branch.items if isinstance(branch, ConcatPlaceholder) else [branch]:
                if isinstance(inner, IfPresentPlaceholder):
                    inner.check_single()

    def branches(self) -> list[Any]:
        """The elements of `then`, followed by those of `else_`."""
        found: list[Any] = []
        for branch in (self.then, self.else_):
            found.extend(branch if isinstance(branch, list) else [] if branch is None else [branch])
        return found

    def _to_dict(self) -> dict[str, Any]:
        inner: dict[str, Any] = {"InputName": self.input_name, "Then": _branch(self.then)}
        if self.else_:
            inner["Else"] = _branch(self.else_)
        return {"IfPresent": inner}


def _branch(branch: Any) -> Any:
    return [_structure(element) for element in branch] if isinstance(branch, list) else _structure(branch)


def _structure(element: Any) -> Any:
    if isinstance(element, _Structured):
        return element._to_dict()
    return element._to_string() if isinstance(element, Placeholder) else element


def command_text(element: CommandLineElement) -> str:
    """One element of a command, as the document writes it."""
    return element._to_string() if isinstance(element, Placeholder) else element
