"""The decorators that make components of Python functions."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, overload

from headrace.dsl import embedding, names_used, packages, source
from headrace.dsl.base_component import ContainerComponent, PythonComponent
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
from headrace.dsl.types.type_utils import ArtifactType

if TYPE_CHECKING:
    from headrace.dsl.code import Code

DEFAULT_BASE_IMAGE = "python:3.11"


class ComponentDecorator(Protocol):
    """`@dsl.component(...)`, still without its function."""

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
    """Make a component of a Python function.

    Its source is shipped with the pipeline and `packages_to_install` are installed where it runs; with
    `target_image` the function is expected inside that image instead (see `headrace component build`).

    `code="."` ships the modules beside the file too, `code=["package", "module.py"]` only those; packages also come
    from a `requirements` file, or as locked in a `project`'s uv.lock. All paths are relative to the file that defines
    the component.
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
    """Source and arguments that bring the user's own modules along."""
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
    """Make a component of a notebook; the function's body calls `dsl.run_notebook(name=value, ...)`."""
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
    """Make a component of a function that answers a `dsl.ContainerSpec`."""
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
    """What the function gets for a parameter, so that its command can mention it."""
    side, found = ("output", spec.outputs[name].type) if name in spec.outputs else ("input", spec.inputs[name].type)
    if not isinstance(found, ArtifactType):
        return OutputParameterPlaceholder(name) if side == "output" else InputValuePlaceholder(name)
    if found.is_list:
        return InputListOfArtifactsPlaceholder(name) if side == "input" else OutputListOfArtifactsPlaceholder(name)
    return ContainerComponentArtifactChannel(side, name)
