"""`headrace component`: images of components."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from headrace.cli.errors import OK, CliError

if TYPE_CHECKING:
    from headrace.components.image_context import BuildContext
    from headrace.dsl.base_component import PythonComponent


@click.group(short_help="Build images of components.")
def command() -> None:
    """Build images of Python components that have a target_image."""


@command.command("build")
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--component-filepattern", default="**/*.py", show_default=True, help="Which files have components.")
@click.option(
    "--engine",
    type=click.Choice(["podman", "docker", "buildah"]),
    help="What builds the image. [default: the first of these that is installed]",
)
@click.option("--kfp-package-path", metavar="PATH", help="kfp for the image: a folder, a wheel, a requirement, a URL.")
@click.option("--headrace-package-path", metavar="PATH", help="The same for headrace.")
@click.option("--overwrite-dockerfile", is_flag=True, help="Write the Dockerfile even if there is one already.")
@click.option(
    "--build-image/--no-build-image", default=True, show_default=True, help="Build the image, or only write its files."
)
@click.option("--platform", default="linux/amd64", show_default=True, help="The image's platform.")
@click.option("--push-image/--no-push-image", default=True, show_default=True, help="Push the image to its registry.")
def build(
    directory: Path,
    component_filepattern: str,
    engine: str | None,
    kfp_package_path: str | None,
    headrace_package_path: str | None,
    overwrite_dockerfile: bool,
    build_image: bool,
    platform: str,
    push_image: bool,
) -> int:
    """Build and push the image of the components in DIRECTORY.

    Its Python files are imported. All components with a target_image must have the same one, and the same base_image.
    Written into DIRECTORY: Dockerfile and .dockerignore (unless there), runtime-requirements.txt, kfp_config.ini, and
    component_metadata/*.yaml, which other pipelines load with components.load_component_from_file.
    """
    from headrace.cli import image_engine

    engine_path = image_engine.find_engine(engine) if build_image else None
    context = _context(directory.resolve(), component_filepattern)
    written = _written(context, overwrite_dockerfile, kfp_package_path, headrace_package_path)
    for name in written:
        click.echo(f"wrote  {directory / name}")
    if engine_path is None:
        return OK
    image_engine.build(
        engine_path,
        folder=context.folder,
        build_file=context.build_file,
        image=context.target_image,
        platform=platform,
    )
    click.echo(f"built  {context.target_image}")
    if push_image:
        image_engine.push(engine_path, context.target_image)
        click.echo(f"pushed {context.target_image}")
    return OK


def _context(folder: Path, pattern: str) -> BuildContext:
    """The containerized components of the folder."""
    from headrace.components.image_context import ContextError, context_of

    found = list(_components(folder, pattern))
    try:
        return context_of(folder, found)
    except ContextError as error:
        raise CliError(error.what, code=error.code, where=str(folder), fix=error.fix) from None


def _components(folder: Path, pattern: str) -> Iterator[PythonComponent]:
    """All Python components that the files define."""
    from headrace.cli.usercode import import_file
    from headrace.dsl import component_decorator

    files = _files(folder, pattern)
    # In the image the folder is the working directory, and so on the path.
    sys.path.insert(0, str(folder))
    for file in files:
        registered: dict[str, PythonComponent] = {}
        component_decorator.REGISTERED_MODULES = registered
        try:
            import_file(file)
        finally:
            component_decorator.REGISTERED_MODULES = None
        yield from registered.values()


def _files(folder: Path, pattern: str) -> list[Path]:
    try:
        found = sorted(file for file in folder.glob(pattern) if file.is_file())
    except (ValueError, NotImplementedError) as error:
        raise CliError(
            f"{pattern!r} is not a file pattern: {error}", code="USAGE", fix="For example '**/*.py'"
        ) from None
    files = [file for file in found if not any(part.startswith(".") for part in file.relative_to(folder).parts)]
    if not files:
        raise CliError(
            f"No file matches {pattern!r}.",
            code="COMPONENT_FILES_MISSING",
            where=str(folder),
            fix="Name the folder with the components' modules, or give --component-filepattern.",
        )
    return files


def _written(context: BuildContext, overwrite: bool, kfp_path: str | None, headrace_path: str | None) -> list[str]:
    from headrace.cli.image_engine import local_package
    from headrace.components.image_context import start_up_packages, write

    installed, copied = start_up_packages(), list[str]()
    for number, path in enumerate((kfp_path, headrace_path)):
        if path is not None:
            installed[number], files = local_package(path, context.folder)
            copied += files
    try:
        return write(context, overwrite_build_file=overwrite, installed=installed, copied=copied)
    except OSError as error:
        raise CliError(
            f"Cannot write it: {error.strerror}.", code="FILE_UNWRITABLE", where=str(error.filename or context.folder)
        ) from None
