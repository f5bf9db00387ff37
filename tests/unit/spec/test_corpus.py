"""Documents that KFP's compilers wrote over the years: read as PyYAML reads them, without a fault, and recognised."""

from pathlib import Path

import pytest
import yaml

from headrace.spec.bootstrap import recognise
from headrace.spec.document import parse_document
from headrace.spec.reading import read_pipeline
from headrace.spec.verify import verify

CORPUS = Path(__file__).parents[4] / "shared" / "conformance" / "ir"
DOCUMENTS = sorted(CORPUS.rglob("*.yaml")) if CORPUS.is_dir() else []


@pytest.mark.skipif(not DOCUMENTS, reason="no corpus at ../shared/conformance/ir beside the repository")
def test_the_corpus_is_there() -> None:
    assert len(DOCUMENTS) >= 70


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(CORPUS))[:-5])
def test_a_document_of_the_corpus(path: Path) -> None:
    documents = [part for part in yaml.load_all(path.read_text(), Loader=yaml.CSafeLoader) if part]
    spec, platform = read_pipeline(path.read_bytes())
    assert [part for part in (spec, platform) if part] == documents
    assert verify(spec, platform) == []
    for executor in parse_document(spec, platform).executors.values():
        if executor.container is not None:
            entry = recognise(executor.container.command, executor.container.args)
            started_by_kfp = any("kfp.dsl.executor_main" in word for word in executor.container.command)
            assert (entry is not None) == started_by_kfp
            if entry is not None:
                assert entry.kfp_requirement is not None
                assert f"def {entry.function}(" in entry.source
