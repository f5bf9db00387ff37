"""Pipelines on their way to a server: files, and functions that are compiled first."""

from __future__ import annotations

import importlib
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

from headrace.spec.reading import read_upload

Json: TypeAlias = Any


def read_package(path: str | Path) -> dict[str, Json]:
    """The document in a file (YAML, JSON, zip, tar.gz) as `pipeline_spec` of a run. Raises DocumentError."""
    file = read_upload(Path(path).read_bytes())
    if not file.platform_spec:
        return file.pipeline_spec
    return {"pipeline_spec": file.pipeline_spec, "platform_spec": file.platform_spec}


def compile_pipeline(pipeline_func: Any) -> bytes:
    """The document of a pipeline, as YAML text; with the compiler of the SDK it was written with."""
    name = "kfp.compiler" if _of_kfp(pipeline_func) else "headrace.compiler"
    compiler = importlib.import_module(name)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pipeline.yaml"
        compiler.Compiler().compile(pipeline_func=pipeline_func, package_path=str(path))
        return path.read_bytes()


def pipeline_name(spec: dict[str, Json]) -> str:
    """`pipelineInfo.name`."""
    inner = spec.get("pipeline_spec", spec)
    return str(inner.get("pipelineInfo", {}).get("name", "")) or "pipeline"


def default_run_name(name: str) -> str:
    """The pipeline's name and the time, as KFP's client has it."""
    return f"{name} {datetime.now().astimezone():%Y-%m-%d %H-%M-%S}"


def override_caching(spec: dict[str, Json], enable: bool, cache_key: str | None) -> dict[str, Json]:
    """The document with caching switched for all of its tasks, also those in loops, branches and nested pipelines."""
    if "pipeline_spec" in spec:
        return {**spec, "pipeline_spec": override_caching(spec["pipeline_spec"], enable, cache_key)}
    options = {"enableCache": enable} | ({"cacheKey": cache_key} if cache_key else {})
    components = {name: _overridden(part, options) for name, part in spec.get("components", {}).items()}
    return {**spec, "components": components, "root": _overridden(spec.get("root", {}), options)}


def _overridden(component: dict[str, Json], options: dict[str, Json]) -> dict[str, Json]:
    dag = component.get("dag")
    if not dag:
        return component
    tasks = {name: {**task, "cachingOptions": options} for name, task in dag.get("tasks", {}).items()}
    return {**component, "dag": {**dag, "tasks": tasks}}


def _of_kfp(pipeline_func: Any) -> bool:
    return type(pipeline_func).__module__.partition(".")[0] == "kfp"
