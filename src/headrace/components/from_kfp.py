"""Components that were made with the `kfp` package, as components of Headrace."""

from __future__ import annotations

import importlib
from typing import Any

from headrace.dsl.base_component import BaseComponent, YamlComponent
from headrace.dsl.errors import DslTypeError


def from_kfp(component: Any) -> BaseComponent:
    """Take over a component or pipeline that was made with the `kfp` package.

    In a pipeline function this is not needed: a component of `kfp` can be called there as it is.

    Args:
        component: What `kfp.dsl.component`, `kfp.dsl.container_component`, `kfp.dsl.pipeline` or `kfp.components` gave.
            A component of Headrace is returned unchanged.

    Returns:
        The component. Call it in a pipeline, or compile it. It has the document that `kfp` compiled.

    Raises:
        DslTypeError: It is not a component (`NOT_A_KFP_COMPONENT`).

    Example:
        >>> from headrace import components, dsl
        >>> @dsl.component
        ... def greet(name: str) -> str:
        ...     return name
        >>> components.from_kfp(greet) is greet
        True
    """
    if isinstance(component, BaseComponent):
        return component
    if not _is_of_kfp(component):
        raise DslTypeError(
            f"from_kfp() takes a component that was made with kfp, but this is {component!r}.",
            code="NOT_A_KFP_COMPONENT",
            hint="give what kfp.dsl.component, kfp.dsl.pipeline or kfp.components.load_component_from_file returned.",
        )
    json_format = importlib.import_module("google.protobuf.json_format")
    pipeline_spec = json_format.MessageToDict(component.pipeline_spec)
    platform_spec = json_format.MessageToDict(component.platform_spec)
    return YamlComponent.from_ir(pipeline_spec, platform_spec, description=component.description)


def _is_of_kfp(component: object) -> bool:
    return any(
        kind.__module__ == "kfp.dsl.base_component" and kind.__name__ == "BaseComponent"
        for kind in type(component).__mro__
    )
