"""From a file of the command line to a pipeline document: Python is imported and compiled, other files are read."""

from __future__ import annotations

import difflib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import msgspec

from headrace.cli.errors import USAGE, CliError
from headrace.cli.usercode import import_file, refused, trimmed
from headrace.spec.document import parse_document
from headrace.spec.reading import DocumentError, PipelineFile, read_pipeline_file, read_upload
from headrace.spec.settings import sentence, tasks_by_setting
from headrace.spec.verify import Finding, errors, verify

Json: TypeAlias = Any
_SHOWN_FINDINGS = 20


class PipelineSource(msgspec.Struct, frozen=True, kw_only=True):
    """A pipeline document and the file it comes from."""

    path: Path
    text: str
    pipeline_spec: dict[str, Json]
    platform_spec: dict[str, Json] | None = None

    @property
    def name(self) -> str:
        """The pipeline's own name."""
        return str(self.pipeline_spec["pipelineInfo"].get("name", ""))


def load(path: Path, choice: str | None = None) -> PipelineSource:
    """The document in a file: of its only pipeline, or the chosen one. Raises CliError."""
    if path.suffix == ".py":
        component = choose(import_file(_existing(path)), path, choice)
        return _with_places(_source(path, read_pipeline_file(compiled(component, path))))
    if choice is not None:
        raise CliError(
            "--pipeline chooses one of several pipelines of a Python file; a document holds one only.",
            code="USAGE",
            where=str(path),
        )
    try:
        return _source(path, read_upload(_existing(path).read_bytes()))
    except DocumentError as error:
        raise document_error(error, path) from None


def verified(source: PipelineSource) -> PipelineSource:
    """The same source, verified. Raises CliError with everything that is wrong with it."""
    found = errors(verify(source.pipeline_spec, source.platform_spec))
    if found:
        raise CliError(
            f"The pipeline document cannot run: {len(found)} thing{'s' if len(found) > 1 else ''} wrong with it.",
            code=found[0].code,
            where=str(source.path),
            story=findings_text(found),
        )
    return source


def lint_findings(source: PipelineSource) -> list[Finding]:
    """Faults of the document; for one without faults also its settings that have no effect without Kubernetes."""
    found = verify(source.pipeline_spec, source.platform_spec)
    if errors(found):
        return found
    ignored = tasks_by_setting(parse_document(source.pipeline_spec, source.platform_spec))
    return found + [
        Finding(
            code="SETTING_WITHOUT_EFFECT",
            path="platforms.kubernetes.deploymentSpec.executors",
            message=sentence(name, tasks),
            severity="warning",
        )
        for name, tasks in ignored.items()
    ]


def findings_text(found: list[Finding]) -> str:
    """One line for each finding."""
    lines = [f"{finding.severity}: {finding} [{finding.code}]" for finding in found[:_SHOWN_FINDINGS]]
    more = len(found) - _SHOWN_FINDINGS
    return "\n".join([*lines, *([f"… and {more} more"] if more > 0 else [])])


def document_error(error: DocumentError, path: Path) -> CliError:
    """The error for a document that cannot be read."""
    where = str(path) if error.line is None else f"{path}:{error.line}"
    return CliError(error.message, code=error.code, where=where)


def choose(module: ModuleType, path: Path, choice: str | None) -> Any:
    """The pipeline to use: the chosen one, the only one, or the only component."""
    pipelines = _found(module, "GraphComponent")
    components = _found(module, "BaseComponent")
    if choice is not None:
        return _chosen(choice, {**components, **pipelines}, module, path)
    if len(pipelines) == 1:
        return next(iter(pipelines.values()))
    if pipelines:
        raise CliError(
            f"There are {len(pipelines)} pipelines in the file.",
            code="PIPELINE_NOT_CHOSEN",
            where=str(path),
            fix="Choose one: " + " or ".join(f"--pipeline {name}" for name in pipelines),
        )
    if len(components) == 1:
        return next(iter(components.values()))
    what = f"no pipeline but {len(components)} components" if components else "no pipeline"
    raise CliError(
        f"There is {what} in the file.",
        code="NOT_A_PIPELINE",
        where=str(path),
        fix="Put @dsl.pipeline (from headrace import dsl) above the function that calls the components"
        + (", or choose one component: --pipeline NAME." if components else "."),
    )


def compiled(component: Any, path: Path, **options: Any) -> str:
    """Its document as YAML text, by the compiler it was written for."""
    with tempfile.TemporaryDirectory(prefix="headrace-") as folder:
        target = Path(folder, "pipeline.yaml")
        try:
            _compiler_of(component)().compile(component, str(target), **options)
        except CliError:
            raise
        except Exception as error:
            if (refusal := refused(error)) is not None:
                raise refusal from None
            raise CliError(
                f"The pipeline cannot be compiled: {error}",
                code="COMPILE_FAILED",
                where=str(path),
                story=trimmed(error, path),
            ) from None
        return target.read_text(encoding="utf-8")


def with_caching_default(disabled: bool) -> None:
    """Set KFP's environment variable, which is read when components are made."""
    if disabled:
        os.environ["KFP_DISABLE_EXECUTION_CACHING_BY_DEFAULT"] = "true"


def _meant(path: Path) -> str:
    """A file beside it whose name is much like it, as a sentence; "" when there is none."""
    try:
        names = [one.name for one in path.parent.iterdir() if one.is_file()]
    except OSError:
        return ""
    near = difflib.get_close_matches(path.name, names, n=1)
    return f"Did you mean {path.with_name(near[0])}?" if near else ""


def _existing(path: Path) -> Path:
    if path.is_dir():
        raise CliError("This is a directory, not a file.", code="FILE_UNREADABLE", where=str(path))
    try:
        with path.open("rb"):
            return path
    except FileNotFoundError:
        raise CliError("There is no such file.", code="FILE_NOT_FOUND", where=str(path), fix=_meant(path)) from None
    except OSError as error:
        raise CliError(
            f"The file cannot be read: {error.strerror}.", code="FILE_UNREADABLE", where=str(path), exit_code=USAGE
        ) from None


def _source(path: Path, file: PipelineFile) -> PipelineSource:
    return PipelineSource(path=path, text=file.text, pipeline_spec=file.pipeline_spec, platform_spec=file.platform_spec)


def _with_places(source: PipelineSource) -> PipelineSource:
    """The document with the files and lines of its components, which what is compiled to a file does not have."""
    from headrace.compiler.code_places import with_code_places

    platform = with_code_places(source.pipeline_spec, source.platform_spec)
    if platform is source.platform_spec:
        return source
    text = json.dumps({"pipelineSpec": source.pipeline_spec, "platformSpec": platform})
    return msgspec.structs.replace(source, platform_spec=platform, text=text)


def _found(module: ModuleType, kind: str) -> dict[str, Any]:
    """Components of a kind, Headrace's or KFP's, by variable; those made in this file, else those imported into it."""
    by_identity = {
        id(value): (name, value)
        for name, value in vars(module).items()
        if any(
            base.__name__ == kind and base.__module__.startswith(("headrace.", "kfp.")) for base in type(value).__mro__
        )
    }
    found = dict(by_identity.values())
    own = {name: value for name, value in found.items() if _made_in(value) == module.__name__}
    return own or found


def _made_in(component: Any) -> str:
    function = getattr(component, "pipeline_func", None) or getattr(component, "python_func", None)
    return str(getattr(function, "__module__", ""))


def _chosen(choice: str, known: dict[str, Any], module: ModuleType, path: Path) -> Any:
    """By variable, also a second one for the same component; else by the component's name."""
    by_variable = vars(module).get(choice)
    for component in known.values():
        if component is by_variable:
            return component
    for component in known.values():
        if getattr(component, "name", None) == choice:
            return component
    listed = ", ".join(known) or "none"
    raise CliError(
        f"There is no pipeline {choice!r} in the file.",
        code="PIPELINE_NOT_FOUND",
        where=str(path),
        fix=f"What there is: {listed}.",
    )


def _compiler_of(component: Any) -> Callable[[], Any]:
    """Our compiler for our components, KFP's for KFP's."""
    if type(component).__module__.startswith("kfp."):
        import kfp.compiler

        kfp_compiler: Callable[[], Any] = kfp.compiler.Compiler
        return kfp_compiler
    from headrace.compiler import Compiler

    return Compiler
