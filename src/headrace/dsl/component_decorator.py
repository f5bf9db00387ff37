"""The decorators that make components of Python functions."""

from __future__ import annotations

import functools
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, overload

from headrace.dsl import embedding, names_used, packages, source
from headrace.dsl.base_component import BaseComponent, ContainerComponent, PythonComponent
from headrace.dsl.component_factory import interface_of, passthroughs, resolved_signature
from headrace.dsl.component_task_config import TaskConfigField, TaskConfigPassthrough
from headrace.dsl.errors import DslTypeError, DslValueError, function_location
from headrace.dsl.image_recipe import ImageRecipe
from headrace.dsl.pipeline_task import Answer
from headrace.dsl.placeholders import (
    ContainerComponentArtifactChannel,
    InputListOfArtifactsPlaceholder,
    InputValuePlaceholder,
    OutputListOfArtifactsPlaceholder,
    OutputParameterPlaceholder,
    command_text,
)
from headrace.dsl.structures import ComponentSpec, ContainerImplementation, ContainerSpec
from headrace.dsl.types.type_utils import STRUCT, TASK_CONFIG, TASK_FINAL_STATUS, ArtifactType, ParameterType

if TYPE_CHECKING:
    from headrace.dsl.code import Code

DEFAULT_BASE_IMAGE = "python:3.11"


class ComponentDecorator(Protocol):
    """The result of `@dsl.component(...)`, before it is applied to a function."""

    def __call__(self, func: Callable[..., Answer], /) -> PythonComponent[Answer]: ...


#: Components defined while this is a dict, by name; `component build` sets it.
REGISTERED_MODULES: dict[str, PythonComponent] | None = None


@overload
def component(func: Callable[..., Answer]) -> PythonComponent[Answer]: ...


@overload
def component(
    func: None = None,
    *,
    base_image: str | None = None,
    target_image: str | None = None,
    packages_to_install: list[str] | None = None,
    pip_index_urls: list[str] | None = None,
    output_component_file: str | None = None,
    install_kfp_package: bool = True,
    kfp_package_path: str | None = None,
    pip_trusted_hosts: list[str] | None = None,
    use_venv: bool = False,
    additional_funcs: list[Callable[..., Any]] | None = None,
    embedded_artifact_path: str | None = None,
    task_config_passthroughs: list[TaskConfigPassthrough | TaskConfigField] | None = None,
    code: Code | None = None,
    requirements: str | Path | None = None,
    project: str | Path | None = None,
) -> ComponentDecorator: ...


def component(
    func: Callable[..., Any] | None = None,
    *,
    base_image: str | None = None,
    target_image: str | None = None,
    packages_to_install: list[str] | None = None,
    pip_index_urls: list[str] | None = None,
    output_component_file: str | None = None,
    install_kfp_package: bool = True,
    kfp_package_path: str | None = None,
    pip_trusted_hosts: list[str] | None = None,
    use_venv: bool = False,
    additional_funcs: list[Callable[..., Any]] | None = None,
    embedded_artifact_path: str | None = None,
    task_config_passthroughs: list[TaskConfigPassthrough | TaskConfigField] | None = None,
    code: Code | None = None,
    requirements: str | Path | None = None,
    project: str | Path | None = None,
) -> Any:
    """Make a component of a Python function; decorate the function with it.

    The function's source is part of the compiled document, and `packages_to_install` are installed where the task
    runs. So the function must import what it uses inside its body, unless `code` brings the modules along.
    Parameters and the return value need annotations: str, int, float, bool, list or dict; `dsl.Input[...]` and
    `dsl.Output[...]` of an artifact class. Paths in `code`, `requirements` and `project` are relative to the file
    that defines the component.

    Args:
        func: The function. Left out when the decorator has arguments.
        base_image: The image the task runs in. Default: `python:3.11`.
        target_image: An image that has the function already; then no source is sent. `headrace component build`
            makes it. Default: none.
        packages_to_install: Requirements as for pip, such as `["pandas==2.2.*"]`. Default: none.
        pip_index_urls: Addresses of package indexes; the first one is used first. Default: PyPI.
        output_component_file: Deprecated: use `headrace.compiler.Compiler`. Default: none.
        install_kfp_package: Whether stock Kubeflow Pipelines installs `kfp` in the task. Default: True.
        kfp_package_path: A requirement that is installed instead of `kfp`. Default: none.
        pip_trusted_hosts: Hosts of package indexes whose certificates pip does not check. Default: none.
        use_venv: Whether stock Kubeflow Pipelines makes a virtual environment in the image. Default: False.
        additional_funcs: Other functions whose source the function needs. Default: none.
        embedded_artifact_path: A file or folder that is packed into the document; `dsl.EmbeddedInput[...]` is its
            path in the task. Default: none.
        task_config_passthroughs: Settings of the task that the component receives in a `dsl.TaskConfig` parameter.
            Default: none.
        code: Modules that are packed into the document: `"."` for all beside the file, or a list such as
            `["package", "module.py"]`. Default: none.
        requirements: A requirements file whose packages are installed. Default: none.
        project: A folder with a `pyproject.toml` whose packages are installed, in the versions of its `uv.lock`.
            Default: none.

    Returns:
        The component. Call it in a pipeline, or call it to run it, or `.test(...)` it.

    Raises:
        DslError: The function or an argument cannot be used; the message has the file and the line.

    Example:
        >>> from headrace import dsl
        >>> @dsl.component(base_image="python:3.12", packages_to_install=["pandas==2.2.*"])
        ... def clean(table: dsl.Input[dsl.Dataset], result: dsl.Output[dsl.Dataset]) -> int:
        ...     import pandas
        ...
        ...     frame = pandas.read_csv(table.path).dropna()
        ...     frame.to_csv(result.path, index=False)
        ...     return len(frame)
    """
    if func is None:
        return functools.partial(
            component,
            base_image=base_image,
            target_image=target_image,
            packages_to_install=packages_to_install,
            pip_index_urls=pip_index_urls,
            output_component_file=output_component_file,
            install_kfp_package=install_kfp_package,
            kfp_package_path=kfp_package_path,
            pip_trusted_hosts=pip_trusted_hosts,
            use_venv=use_venv,
            additional_funcs=additional_funcs,
            embedded_artifact_path=embedded_artifact_path,
            task_config_passthroughs=task_config_passthroughs,
            code=code,
            requirements=requirements,
            project=project,
        )
    _check_function(func)
    helper = embedding.extraction_helper(embedded_artifact_path) if embedded_artifact_path else None
    wanted = packages.Wanted(source.checked_packages(packages_to_install), pip_index_urls, pip_trusted_hosts)
    if requirements is not None or project is not None:
        wanted = packages.from_files(func, wanted, requirements, project)
    made = _python_component(
        func,
        base_image=base_image,
        target_image=target_image,
        install=source.install_command(
            packages=wanted.requirements,
            index_urls=wanted.index_urls,
            trusted_hosts=wanted.trusted_hosts,
            install_kfp=install_kfp_package and target_image is None,
            kfp_package_path=kfp_package_path,
            use_venv=use_venv,
        ),
        additional_funcs=additional_funcs or [],
        helper=helper,
        task_config=passthroughs(task_config_passthroughs),
        output_component_file=output_component_file,
        code=code,
    )
    made.recipe = ImageRecipe(
        base_image=base_image or DEFAULT_BASE_IMAGE,
        target_image=target_image,
        packages=tuple(wanted.requirements),
        index_urls=tuple(wanted.index_urls or ()),
        trusted_hosts=None if wanted.trusted_hosts is None else tuple(wanted.trusted_hosts),
        output_component_file=output_component_file,
    )
    return made


def _check_function(func: object) -> None:
    """Refuse everything but a function with a `def` of its own: only its source travels to the task."""
    if isinstance(func, types.FunctionType) and func.__name__ != "<lambda>":
        return
    hint = "write `def name(...):` with the decorator above it."
    if isinstance(func, str):
        what, hint = f"the text {func!r}", f"name the argument: @dsl.component(base_image={func!r})."
    elif isinstance(func, BaseComponent):
        what, hint = "a component or a pipeline already", "decorate the plain function, once."
    elif isinstance(func, types.FunctionType):
        what = "a lambda"
    elif isinstance(func, functools.partial):
        what, hint = "a functools.partial", "write a `def` that calls it, with the fixed arguments inside."
    else:
        what = f"{getattr(func, '__name__', '') or repr(func)}, a {type(func).__name__}"
    raise DslTypeError(f"dsl.component decorates a function, but this is {what}.", code="NOT_A_FUNCTION", hint=hint)


def _python_component(
    func: Callable[..., Any],
    *,
    base_image: str | None,
    target_image: str | None,
    install: list[str],
    additional_funcs: list[Callable[..., Any]],
    helper: str | None,
    task_config: list[TaskConfigPassthrough],
    output_component_file: str | None,
    code: Code | None = None,
) -> PythonComponent:
    spec = interface_of(func)
    spec.task_config_passthroughs = task_config
    own, brought = _own_code(func, code, target_image)
    if target_image:
        command = source.image_command()
    else:
        command = source.source_command(func, additional_funcs, "\n\n".join(filter(None, (own, helper))) or None)
        names_used.check(func, additional_funcs, embedded=helper is not None)
    image = target_image or base_image or DEFAULT_BASE_IMAGE
    spec.implementation = ContainerImplementation(
        image, [*install, *command], [*source.arguments(func.__name__), *brought]
    )
    made = PythonComponent(spec, func)
    if REGISTERED_MODULES is not None:
        REGISTERED_MODULES[made.name] = made
    if output_component_file:
        _write(made, output_component_file)
    return made


def _own_code(func: Callable[..., Any], code: Code | None, target_image: str | None) -> tuple[str | None, list[str]]:
    """Source and arguments that carry the user's own modules."""
    if code is None:
        return None, []
    if target_image:
        raise DslValueError(
            "code= ships modules with the source, but with target_image= the source is in the image.",
            code="CODE_IN_IMAGE",
            hint="leave out one of the two: `headrace component build` puts your modules into the image.",
            location=function_location(func),
        )
    from headrace.dsl.code import shipment

    return shipment(code, func)


def _write(made: PythonComponent, path: str) -> None:
    from headrace.dsl import hooks

    warnings.warn("output_component_file is deprecated; use Compiler().compile(...).", DeprecationWarning, stacklevel=4)
    hooks.write_component(made, path)


@overload
def notebook_component(func: Callable[..., Any], *, notebook_path: str) -> PythonComponent: ...


@overload
def notebook_component(
    func: None = None,
    *,
    notebook_path: str,
    base_image: str | None = None,
    packages_to_install: list[str] | None = None,
    output_component_file: str | None = None,
    pip_index_urls: list[str] | None = None,
    pip_trusted_hosts: list[str] | None = None,
    use_venv: bool = False,
    kfp_package_path: str | None = None,
    install_kfp_package: bool = True,
    task_config_passthroughs: list[TaskConfigPassthrough | TaskConfigField] | None = None,
) -> ComponentDecorator: ...


def notebook_component(
    func: Callable[..., Any] | None = None,
    *,
    notebook_path: str,
    base_image: str | None = None,
    packages_to_install: list[str] | None = None,
    output_component_file: str | None = None,
    pip_index_urls: list[str] | None = None,
    pip_trusted_hosts: list[str] | None = None,
    use_venv: bool = False,
    kfp_package_path: str | None = None,
    install_kfp_package: bool = True,
    task_config_passthroughs: list[TaskConfigPassthrough | TaskConfigField] | None = None,
) -> Any:
    """Make a component of a notebook. The body of the decorated function calls `dsl.run_notebook(name=value, ...)`.

    The values go into a cell of their own, after the cell with the tag `parameters`, or at the top.

    Args:
        func: The function. Left out when the decorator has more arguments than `notebook_path`.
        notebook_path: The notebook (`.ipynb`), or a folder with exactly one; it is packed into the document.
            Relative to the working directory.
        base_image: The image the task runs in. Default: `python:3.11`.
        packages_to_install: Requirements as for pip. Default: nbclient, ipykernel and jupyter_client.
        output_component_file: Deprecated: use `headrace.compiler.Compiler`. Default: none.
        pip_index_urls: Addresses of package indexes; the first one is used first. Default: PyPI.
        pip_trusted_hosts: Hosts of package indexes whose certificates pip does not check. Default: none.
        use_venv: Whether stock Kubeflow Pipelines makes a virtual environment in the image. Default: False.
        kfp_package_path: A requirement that is installed instead of `kfp`. Default: none.
        install_kfp_package: Whether stock Kubeflow Pipelines installs `kfp` in the task. Default: True.
        task_config_passthroughs: Settings of the task that the component receives in a `dsl.TaskConfig` parameter.
            Default: none.

    Returns:
        The component.

    Raises:
        DslValueError: There is no such notebook (`NOTEBOOK_MISSING`), it has another suffix (`NOTEBOOK_SUFFIX`), or
            the folder has none or several (`NOTEBOOK_NOT_ONE`).

    Example:
        >>> import json, pathlib, tempfile
        >>> from headrace import dsl
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "report.ipynb"
        >>> _ = path.write_text(json.dumps({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
        >>> @dsl.notebook_component(notebook_path=str(path))
        ... def report(month: str):
        ...     dsl.run_notebook(month=month)
    """
    if func is None:
        return functools.partial(
            notebook_component,
            notebook_path=notebook_path,
            base_image=base_image,
            packages_to_install=packages_to_install,
            output_component_file=output_component_file,
            pip_index_urls=pip_index_urls,
            pip_trusted_hosts=pip_trusted_hosts,
            use_venv=use_venv,
            kfp_package_path=kfp_package_path,
            install_kfp_package=install_kfp_package,
            task_config_passthroughs=task_config_passthroughs,
        )
    from headrace.dsl import notebook

    packages = list(notebook.DEFAULT_PACKAGES) if packages_to_install is None else packages_to_install
    return _python_component(
        func,
        base_image=base_image,
        target_image=None,
        install=source.install_command(
            packages=source.checked_packages(packages),
            index_urls=pip_index_urls,
            trusted_hosts=pip_trusted_hosts,
            install_kfp=install_kfp_package,
            kfp_package_path=kfp_package_path,
            use_venv=use_venv,
        ),
        additional_funcs=[],
        helper=notebook.helper_source(Path(notebook_path)),
        task_config=passthroughs(task_config_passthroughs),
        output_component_file=output_component_file,
    )


def container_component(func: Callable[..., Any]) -> ContainerComponent:
    """Make a component of a command in an image; decorate a function that returns a `dsl.ContainerSpec`.

    The function runs once, now. Its parameters are placeholders that can be used in the command: `dsl.Input[...]`
    and `dsl.Output[...]` of an artifact class have `.path`, `.uri` and `.metadata`, and `dsl.OutputPath(str)` is
    the path of an output parameter.

    Args:
        func: The function.

    Returns:
        The component.

    Raises:
        DslTypeError: The function does not return a `dsl.ContainerSpec` (`CONTAINER_SPEC_MISSING`).
        DslError: The command uses something that is not a text or a parameter.

    Example:
        >>> from headrace import dsl
        >>> @dsl.container_component
        ... def download(url: str, file: dsl.Output[dsl.Dataset]):
        ...     return dsl.ContainerSpec("curlimages/curl", ["curl"], ["--create-dirs", "-o", file.path, url])
    """
    spec = interface_of(func, containerized=True)
    answer = func(*(_stand_in(spec, name) for name in resolved_signature(func).parameters))
    if not isinstance(answer, ContainerSpec):
        raise DslTypeError(
            f"The container component {func.__name__!r} must return a dsl.ContainerSpec; it returned {answer!r}.",
            code="CONTAINER_SPEC_MISSING",
            location=function_location(func),
        )
    spec.implementation = ContainerImplementation(answer.image, list(answer.command or []), list(answer.args or []))
    spec.check_placeholders()
    spec.implementation.command = [command_text(element) for element in spec.implementation.command]
    spec.implementation.args = [command_text(element) for element in spec.implementation.args]
    return ContainerComponent(spec, func)


def _stand_in(spec: ComponentSpec, name: str) -> Any:
    """The placeholder that the function receives for a parameter, so that its command can use it."""
    side, found = ("output", spec.outputs[name].type) if name in spec.outputs else ("input", spec.inputs[name].type)
    if not isinstance(found, ArtifactType):
        return OutputParameterPlaceholder(name) if side == "output" else InputValuePlaceholder(name, _ir_type(found))
    if found.is_list:
        return InputListOfArtifactsPlaceholder(name) if side == "input" else OutputListOfArtifactsPlaceholder(name)
    return ContainerComponentArtifactChannel(side, name)


def _ir_type(found: ParameterType) -> str:
    """A kind as the document has it, where the final status and the settings of a task are dicts."""
    return STRUCT if found.kind in (TASK_FINAL_STATUS, TASK_CONFIG) else found.kind
