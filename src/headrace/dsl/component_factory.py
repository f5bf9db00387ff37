"""Read a component's interface from the signature and docstring of a Python function."""

from __future__ import annotations

import inspect
import typing
import warnings
from collections.abc import Callable
from typing import Any

from headrace.dsl import docstrings
from headrace.dsl.component_task_config import TaskConfigField, TaskConfigPassthrough
from headrace.dsl.errors import DslTypeError, DslValueError, function_location
from headrace.dsl.structures import ComponentSpec, ContainerSpec, InputSpec, OutputSpec
from headrace.dsl.types.type_annotations import (
    EmbeddedAnnotation,
    InputAnnotation,
    InputPath,
    OutputAnnotation,
    OutputPath,
    marker,
    unmarked,
)
from headrace.dsl.types.type_utils import (
    ArtifactType,
    ParameterType,
    ValueType,
    fits,
    python_name,
    strip_optional,
    type_of_constant,
    value_type,
)

SINGLE_OUTPUT_NAME = "Output"


def component_name(function_name: str) -> str:
    """`train_model` -> `Train model`."""
    words = " ".join(function_name.replace("_", " ").split())
    return words[:1].upper() + words[1:]


def resolved_signature(func: Callable[..., Any]) -> inspect.Signature:
    """The signature with quoted annotations (also those of `from __future__ import annotations`) looked up."""
    signature = inspect.signature(func)
    if not _has_text(signature):
        return signature
    try:
        found = inspect.signature(func, eval_str=True)
    except Exception:
        return _resolved_one_by_one(func, signature)
    # A quoted annotation under `from __future__ import annotations` is quoted twice.
    return _resolved_one_by_one(func, found) if _has_text(found) else found


def _has_text(signature: inspect.Signature) -> bool:
    annotations = [signature.return_annotation, *(one.annotation for one in signature.parameters.values())]
    return any(isinstance(annotation, str) for annotation in annotations)


def _resolved_one_by_one(func: Callable[..., Any], signature: inspect.Signature) -> inspect.Signature:
    """A name is not known at module level: resolve with the names around the function too."""
    names = {**func.__globals__, **inspect.getclosurevars(func).nonlocals, **_caller_names(func)}

    def resolved(annotation: Any, what: str) -> Any:
        if not isinstance(annotation, str):
            return annotation
        try:
            found = inspect.get_annotations(_holder(annotation), globals=names, eval_str=True)["it"]
            return resolved(found, what)
        except Exception as error:
            raise DslTypeError(
                f"The type {annotation!r} of {what} cannot be resolved: {error}.",
                code="ANNOTATION_UNRESOLVED",
                hint="import or define the type at the top of the module.",
                location=function_location(func),
            ) from error

    parameters = [
        parameter.replace(annotation=resolved(parameter.annotation, f"parameter {name!r}"))
        for name, parameter in signature.parameters.items()
    ]
    returned = resolved(signature.return_annotation, "the return value")
    return signature.replace(parameters=parameters, return_annotation=returned)


def _holder(annotation: str) -> Any:
    holder = type("_Holder", (), {})
    holder.__annotations__ = {"it": annotation}
    return holder


def _caller_names(func: Callable[..., Any]) -> dict[str, Any]:
    """Names local to the functions of the same file that are running: one of them is defining this one."""
    names: dict[str, Any] = {}
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code.co_filename == func.__code__.co_filename:
            names = {**frame.f_locals, **names}
        frame = frame.f_back
    return names


def interface_of(
    func: Callable[..., Any],
    *,
    containerized: bool = False,
    name: str | None = None,
    description: str | None = None,
) -> ComponentSpec:
    """A component's name, description, inputs and outputs."""
    location = function_location(func)
    if inspect.iscoroutinefunction(func) or inspect.isasyncgenfunction(func) or inspect.isgeneratorfunction(func):
        raise DslTypeError(
            f"{func.__name__!r} is an async or generator function; a task calls a plain function once.",
            code="ASYNC_COMPONENT",
            hint="write `def` and call asyncio.run(...) inside.",
            location=location,
        )
    try:
        return _interface(func, containerized, name, description)
    except (DslTypeError, DslValueError) as error:
        raise type(error)(error.message, code=error.code, hint=error.hint, location=location) from None


def _interface(
    func: Callable[..., Any], containerized: bool, name: str | None, description: str | None
) -> ComponentSpec:
    signature = resolved_signature(func)
    inputs, outputs = _parameters(signature, containerized)
    outputs.update(_container_return(signature) if containerized else _returned(signature))
    text = inspect.getdoc(func)
    parsed = docstrings.parse(text)
    _describe(inputs, parsed.params)
    _describe(outputs, docstrings.returned(text))
    return ComponentSpec(
        name=name or component_name(func.__name__),
        description=description or parsed.description,
        inputs=inputs,
        outputs=outputs,
        location=function_location(func),
    )


def _describe(specs: dict[str, Any], descriptions: dict[str, str | None]) -> None:
    for name, spec in specs.items():
        spec.description = descriptions.get(name)


def _parameters(
    signature: inspect.Signature, containerized: bool
) -> tuple[dict[str, InputSpec], dict[str, OutputSpec]]:
    inputs: dict[str, InputSpec] = {}
    outputs: dict[str, OutputSpec] = {}
    for name, parameter in signature.parameters.items():
        annotation = _parameter_annotation(name, parameter)
        role = marker(annotation)
        if role is EmbeddedAnnotation:
            continue
        # By name: in an image that KFP's executor runs, this is KFP's own marker.
        if role is OutputAnnotation or type(annotation).__name__ == OutputPath.__name__:
            outputs[name] = OutputSpec(type=_written(_type_of(annotation, f"Parameter {name!r}"), name, role))
            continue
        type_ = _type_of(annotation, f"Parameter {name!r}")
        if containerized and isinstance(type_, ArtifactType) and role is not InputAnnotation:
            raise DslTypeError(
                "Container Components must wrap input and output artifact annotations with Input/Output type markers "
                f"(Input[<artifact>] or Output[<artifact>]). Got function input '{name}' with annotation {annotation}.",
                code="ARTIFACT_WITHOUT_MARKER",
            )
        inputs[name] = _input(name, type_, parameter.default)
    return inputs, outputs


def _parameter_annotation(name: str, parameter: inspect.Parameter) -> Any:
    if name == SINGLE_OUTPUT_NAME:
        raise DslValueError(
            f'"{SINGLE_OUTPUT_NAME}" is an invalid parameter name: the return value is called so.',
            code="PARAMETER_NAME_RESERVED",
            hint="give the input another name.",
        )
    if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
        raise DslTypeError(
            f"Parameter {name!r} takes any number of arguments; a component's inputs are named one by one.",
            code="VARIADIC_PARAMETER",
            hint="take a `list` or `dict` instead.",
        )
    annotation = strip_optional(parameter.annotation)
    if annotation is inspect.Parameter.empty:
        raise DslTypeError(
            f"Missing type annotation for argument: {name}", code="ANNOTATION_MISSING", hint=f"write `{name}: str`."
        )
    return annotation


def _written(type_: ValueType, name: str, role: type | None) -> ValueType:
    """The type of an output that the function writes to; `Output[dict]` has nothing to write to."""
    if role is OutputAnnotation and isinstance(type_, ParameterType):
        raise DslTypeError(
            f"Parameter {name!r}: Output[...] is for artifacts, such as Output[dsl.Dataset].",
            code="OUTPUT_NOT_AN_ARTIFACT",
            hint=f"return the value (`-> ...`), or write it to a path: `{name}: dsl.OutputPath(...)`.",
        )
    return type_


def _type_of(annotation: Any, what: str) -> ValueType:
    if type(annotation).__name__ in ("InputPath", "OutputPath"):
        ours = annotation if isinstance(annotation, InputPath | OutputPath) else InputPath(annotation.type)
        found: ValueType = ours.type
        return found
    return value_type(unmarked(annotation), what=what)


def _input(name: str, type_: ValueType, default: Any) -> InputSpec:
    given = default is not inspect.Parameter.empty
    default = default if given else None
    spec = InputSpec(type=type_, default=default, optional=given)
    if spec.is_system_filled:
        return InputSpec(type=type_, optional=True)
    if isinstance(type_, ArtifactType):
        if default is not None:
            raise DslValueError(
                f"Optional Input artifacts may only have default value None. Got: {default} for {name!r}.",
                code="ARTIFACT_DEFAULT",
            )
        return spec
    if default is not None:
        spec.default = checked_default(name, type_, default)
    return spec


def checked_default(name: str, type_: ParameterType, default: Any) -> Any:
    """The default value, checked against its type."""
    from headrace.dsl.pipeline_task import constant

    value = constant(default, what=f"the default of {name!r}", expected=InputSpec(type=type_))
    given = type_of_constant(value)
    if given is None or not fits(given, type_):
        raise DslTypeError(
            f"The default of {name!r} is {default!r}, of type {type(default).__name__}; the parameter is "
            f"{python_name(type_)}.",
            code="DEFAULT_TYPE_MISMATCH",
            hint="give a default of that type, or change the annotation.",
        )
    if type_.literals and value not in type_.literals:
        raise DslValueError(
            f"The default of {name!r} is {default!r}, which is not one of {list(type_.literals)}.",
            code="LITERAL_NOT_ALLOWED",
        )
    return value


def _container_return(signature: inspect.Signature) -> dict[str, OutputSpec]:
    annotation = signature.return_annotation
    if annotation is inspect.Parameter.empty or getattr(annotation, "__name__", "") == ContainerSpec.__name__:
        return {}
    raise DslTypeError(
        "Return annotation should be either ContainerSpec or omitted for container components.",
        code="CONTAINER_RETURN",
        hint="declare outputs as parameters: `out: dsl.OutputPath(str)` or `out: dsl.Output[dsl.Dataset]`.",
    )


def _returned(signature: inspect.Signature) -> dict[str, OutputSpec]:
    annotation = signature.return_annotation
    if annotation is None or annotation is inspect.Parameter.empty:
        return {}
    if hasattr(annotation, "_fields"):
        fields = typing.get_type_hints(annotation) if _has_quoted(annotation) else annotation.__annotations__
        return {name: _output(fields.get(name), f"Output {name!r}") for name in annotation._fields}
    if isinstance(annotation, dict):
        warnings.warn(
            "Several outputs as a dict annotation are deprecated; use typing.NamedTuple.",
            DeprecationWarning,
            stacklevel=2,
        )
        return {name: _output(one, f"Output {name!r}") for name, one in annotation.items()}
    return {SINGLE_OUTPUT_NAME: _output(annotation, "The return value")}


def _has_quoted(annotation: Any) -> bool:
    return any(isinstance(one, str | typing.ForwardRef) for one in annotation.__annotations__.values())


def _output(annotation: Any, what: str) -> OutputSpec:
    if strip_optional(annotation) is not annotation:
        raise DslTypeError(
            f"{what} is annotated as optional, but a task always has a value for each of its outputs.",
            code="OUTPUT_OPTIONAL",
            hint="return a value that stands for nothing, such as '' or [], or write an artifact: one may be left out.",
        )
    return OutputSpec(type=_type_of(annotation, what))


def passthroughs(given: list[TaskConfigPassthrough | TaskConfigField] | None) -> list[TaskConfigPassthrough]:
    """Passthroughs; a plain field is passed through and not applied to the task."""
    return [one if isinstance(one, TaskConfigPassthrough) else TaskConfigPassthrough(field=one) for one in given or []]
