"""The placeholders of a container spec, replaced by what the attempt is given."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from headrace.attempt.order import ContainerOrder
from headrace.attempt.refusal import Refusal
from headrace.engine.model import Json
from headrace.spec.placeholders import PlaceholderError, render, render_command


def render_container(
    spec: ContainerOrder,
    document: Mapping[str, Json],
    facts: Mapping[str, str],
    paths: Mapping[str, str] = MappingProxyType({}),
) -> ContainerOrder:
    """Image, command, arguments and resources with no placeholder left, variables with none that is known.

    `paths` says what the path of an artifact in an object store is, by URI.
    """
    try:
        return ContainerOrder(
            image=render(spec.image, document, facts),
            command=tuple(render_command(spec.command, document, facts, paths)),
            args=tuple(render_command(spec.args, document, facts, paths)),
            env=render_variables(spec, document, facts, paths),
            resources={name: render(value, document, facts) for name, value in spec.resources.items()},
        )
    except PlaceholderError as error:
        raise Refusal(error.code, str(error), retryable=False, placeholder=error.placeholder) from error


def render_variables(
    spec: ContainerOrder,
    document: Mapping[str, Json],
    facts: Mapping[str, str],
    paths: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, str]:
    """The environment variables alone."""
    return {name: _variable(value, document, facts, paths) for name, value in spec.env.items()}


def _variable(value: str, document: Mapping[str, Json], facts: Mapping[str, str], paths: Mapping[str, str]) -> str:
    # KFP hands variables on as they are written, so a text that only looks like a placeholder must go through.
    try:
        return render(value, document, facts, paths)
    except PlaceholderError:
        return value
