"""Writing documents: names, overrides, file kinds, manifests, and the verifier at the end of each compile."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from headrace import dsl
from headrace.compiler import Compiler, KubernetesManifestOptions, checking, compiled
from headrace.compiler.checking import InvalidDocument
from headrace.dsl.base_component import YamlComponent


@dsl.component
def echo(x: str = "a") -> str:
    return x


@dsl.pipeline(name="a-pipeline", description="What it is for.")
def small(x: str = "a", n: float = 1.0) -> str:
    return echo(x=x).output


def written(path: Path, **options: object) -> list[dict]:  # type: ignore[type-arg]
    Compiler().compile(small, str(path), **options)  # type: ignore[arg-type]
    return list(yaml.safe_load_all(path.read_text("utf-8")))


def refused(code: str, tmp_path: Path, name: str = "out.yaml", **options: object) -> str:
    with pytest.raises(dsl.DslError) as caught:
        Compiler().compile(options.pop("component", small), str(tmp_path / name), **options)  # type: ignore[arg-type]
    assert caught.value.code == code
    assert not (tmp_path / name).exists()
    return str(caught.value)


def test_overrides(tmp_path: Path) -> None:
    (found,) = written(
        tmp_path / "out.yaml",
        pipeline_name="another",
        pipeline_display_name="Shown",
        pipeline_parameters={"x": "b", "n": 2},
    )
    assert found["pipelineInfo"] == {"name": "another", "displayName": "Shown", "description": "What it is for."}
    parameters = found["root"]["inputDefinitions"]["parameters"]
    assert (parameters["x"]["defaultValue"], parameters["n"]["defaultValue"]) == ("b", 2.0)
    # The pipeline itself stays as it was.
    assert written(tmp_path / "again.yaml")[0]["pipelineInfo"]["name"] == "a-pipeline"


def test_unknown_parameter(tmp_path: Path) -> None:
    assert "it takes: n, x" in refused("PIPELINE_PARAMETER_UNKNOWN", tmp_path, pipeline_parameters={"y": 1}).replace(
        "x, n", "n, x"
    )


def test_parameter_of_another_type(tmp_path: Path) -> None:
    refused("DEFAULT_TYPE_MISMATCH", tmp_path, pipeline_parameters={"n": "x"})


def test_file_kinds(tmp_path: Path) -> None:
    refused("OUTPUT_SUFFIX", tmp_path, "out.txt")
    with pytest.warns(DeprecationWarning):
        Compiler().compile(small, str(tmp_path / "out.json"))
    assert yaml.safe_load((tmp_path / "out.json").read_text())["pipelineInfo"]["name"] == "a-pipeline"


def test_what_is_no_component(tmp_path: Path) -> None:
    def plain() -> None:
        pass

    assert "@dsl.pipeline" in refused("NOT_A_COMPONENT", tmp_path, component=plain)


def test_manifests(tmp_path: Path) -> None:
    first, second = written(
        tmp_path / "out.yaml",
        kubernetes_manifest_format=True,
        kubernetes_manifest_options=KubernetesManifestOptions(namespace="team", include_pipeline_manifest=True),
    )
    assert (first["kind"], second["kind"]) == ("Pipeline", "PipelineVersion")
    assert second["metadata"] == {"name": "a-pipeline", "namespace": "team"}
    assert second["spec"]["pipelineSpec"]["root"]["dag"]["tasks"].keys() == {"echo"}


def broken() -> YamlComponent:
    pipeline_spec = yaml.safe_load(yaml.safe_dump(small.documents()[0]))
    task = pipeline_spec["root"]["dag"]["tasks"]["echo"]
    task["inputs"]["parameters"]["x"] = {"componentInputParameter": "nowhere"}
    return YamlComponent.from_ir(pipeline_spec, {})


def test_a_document_that_cannot_run_is_not_written(tmp_path: Path) -> None:
    message = refused("DOCUMENT_INVALID", tmp_path, component=broken())
    assert "nowhere" in message


def test_the_verifier_reads_a_document_once(monkeypatch: pytest.MonkeyPatch) -> None:
    @dsl.pipeline
    def fresh() -> None:
        echo()

    compiled(fresh)
    calls: list[object] = []
    monkeypatch.setattr("headrace.compiler.compiler.check_document", lambda *_: calls.append(_))
    compiled(fresh)
    assert calls == []
    compiled(fresh, name="other")
    assert len(calls) == 1


def test_findings_are_refused_directly() -> None:
    found = broken().documents()
    with pytest.raises(InvalidDocument):
        checking.check_document(*found)


def test_messages_of_kfp() -> None:
    pytest.importorskip("kfp.pipeline_spec")
    assert small.pipeline_spec.pipeline_info.name == "a-pipeline"
    assert list(small.pipeline_spec.root.dag.tasks) == ["echo"]
    assert not small.platform_spec.platforms
