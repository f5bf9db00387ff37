"""The placeholders of a container spec, replaced by what the attempt is given."""

from __future__ import annotations

from collections.abc import Mapping

from headrace.engine.model import ContainerSpec, Json
from headrace.executors.refusal import Refusal
from headrace.spec.placeholders import PlaceholderError, render, render_command


def render_container(spec: ContainerSpec, document: Mapping[str, Json], facts: Mapping[str, str]) -> ContainerSpec:
    """Image, command, arguments, variables and resources with no placeholder left."""
    try:
        return ContainerSpec(
            image=render(spec.image, document, facts),
            command=tuple(render_command(spec.command, document, facts)),
            args=tuple(render_command(spec.args, document, facts)),
            env={name: render(value, document, facts) for name, value in spec.env.items()},
            resources={name: render(value, document, facts) for name, value in spec.resources.items()},
        )
    except PlaceholderError as error:
        raise Refusal(error.code, str(error), retryable=False, placeholder=error.placeholder) from error


def render_variables(spec: ContainerSpec, document: Mapping[str, Json], facts: Mapping[str, str]) -> dict[str, str]:
    """The environment variables alone."""
    return render_container(ContainerSpec(image="", env=spec.env), document, facts).env
