"""`headrace compile`: a pipeline's document as YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from headrace.cli.errors import OK, CliError


@click.command(short_help="Write a pipeline's document as YAML.")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--py", type=click.Path(path_type=Path), help="The same as FILE, as `kfp dsl compile` has it.")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The file to write; - prints it.")
@click.option("--pipeline", "--function", "pipeline", metavar="NAME", help="Which pipeline or component of the file.")
@click.option("--pipeline-parameters", metavar="JSON", help="New defaults for the pipeline's inputs.")
@click.option("--pipeline-name", help="A name other than the pipeline's own.")
@click.option("--pipeline-display-name", help="A display name other than the pipeline's own.")
@click.option(
    "--disable-execution-caching-by-default", is_flag=True, help="Reuse results only for tasks that ask for it."
)
@click.option("--disable-type-check", is_flag=True, help="Accepted because kfp has it; types are always checked.")
@click.option("--kubernetes-manifest-format", is_flag=True, help="Write a Kubernetes PipelineVersion.")
@click.option("--pipeline-version-name", help="Name of the PipelineVersion.")
@click.option("--pipeline-version-display-name", help="Display name of the PipelineVersion.")
@click.option("--namespace", help="Namespace of the PipelineVersion.")
@click.option("--include-pipeline-manifest", is_flag=True, help="Write the Kubernetes Pipeline, too.")
def command(
    file: Path | None,
    py: Path | None,
    output: Path,
    pipeline: str | None,
    pipeline_parameters: str | None,
    pipeline_name: str | None,
    pipeline_display_name: str | None,
    disable_execution_caching_by_default: bool,
    disable_type_check: bool,
    kubernetes_manifest_format: bool,
    **manifest: Any,
) -> int:
    """Write the document of FILE's pipeline as YAML: what Headrace and stock Kubeflow Pipelines run.

    FILE is a Python file; it is imported.
    """
    from headrace.cli.sources import choose, compiled, with_caching_default
    from headrace.cli.usercode import import_file

    source = file or py
    if source is None or (file is not None and py is not None):
        raise CliError("Give one file to compile.", code="USAGE", fix="headrace compile FILE -o OUT.yaml")
    if not source.is_file():
        raise CliError("There is no such file.", code="FILE_NOT_FOUND", where=str(source))
    with_caching_default(disable_execution_caching_by_default)
    options: dict[str, Any] = {
        "pipeline_name": pipeline_name,
        "pipeline_display_name": pipeline_display_name,
        "pipeline_parameters": _parameters(pipeline_parameters),
    }
    if kubernetes_manifest_format:
        options["kubernetes_manifest_format"] = True
        options["kubernetes_manifest_options"] = _manifest_options(pipeline_name, pipeline_display_name, manifest)
    elif any(manifest.values()):
        raise CliError(
            "Options of the Kubernetes manifest without the manifest.",
            code="USAGE",
            fix="Add --kubernetes-manifest-format",
        )
    component = choose(import_file(source), source, pipeline)
    text = compiled(component, source, **{name: value for name, value in options.items() if value is not None})
    _write(text, output)
    return OK


def _parameters(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    from headrace.spec.reading import DocumentError, read_json

    try:
        found = read_json(text)
    except DocumentError as error:
        raise CliError(f"--pipeline-parameters is not JSON: {error}", code="USAGE") from None
    if not isinstance(found, dict):
        raise CliError(
            "--pipeline-parameters must be a JSON object.", code="USAGE", fix="""For example '{"rate": 0.1}'"""
        )
    return found


def _manifest_options(name: str | None, display_name: str | None, manifest: dict[str, Any]) -> Any:
    from headrace.compiler import KubernetesManifestOptions

    given = {"pipeline_name": name, "pipeline_display_name": display_name, **manifest}
    return KubernetesManifestOptions(**{key: value for key, value in given.items() if value})


def _write(text: str, output: Path) -> None:
    if str(output) == "-":
        click.echo(text, nl=False)
        return
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CliError(f"Cannot write it: {error.strerror}.", code="FILE_UNWRITABLE", where=str(output)) from None
