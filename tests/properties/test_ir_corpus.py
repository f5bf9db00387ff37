"""Every document of the shared corpus of compiled IR: parsed, planned, and run in a world that answers well."""

from __future__ import annotations

from pathlib import Path
from random import Random

import msgspec
import pytest
import yaml

from headrace import engine
from headrace.attempt.order import LaunchOrder
from headrace.engine.model import Bundle, Execution, Reason, RunState, State
from headrace.spec.document import Document, parse_document
from properties.faults import Faults
from properties.fleet import produced
from properties.world import World

CORPUS = Path(__file__).parents[3] / "shared" / "conformance" / "ir"
DOCUMENTS = sorted(CORPUS.rglob("*.yaml")) if CORPUS.is_dir() else []
ARTIFACT_ARGUMENTS = {"input_artifact", "pipeline_with_metadata_fields", "pipeline_with_various_io_types"}
ITEM = {"a": 1, "b": 2, "A_a": "heads", "B_b": ["y", "z"], "p_a": 1}


def read(path: Path) -> Document:
    return parse_document(*yaml.load_all(path.read_text(), Loader=yaml.CSafeLoader))


def arguments(document: Document) -> dict[str, object]:
    order = {"STRING": "heads", "NUMBER_INTEGER": 3, "NUMBER_DOUBLE": 0.5, "BOOLEAN": True, "LIST": [1], "STRUCT": {}}
    return {name: order[d.type] for name, d in document.root.inputs.parameters.items() if d.required}


def well_formed(order: LaunchOrder, rng: Random) -> Bundle:
    """Like `produced`, with lists of the items this corpus loops over."""
    made = produced(order, rng)
    lists = {name: [ITEM, ITEM] for name, kind in order.outputs.parameters.items() if kind == "LIST"}
    return Bundle(parameters={**made.parameters, **lists}, artifacts=made.artifacts)


@pytest.mark.skipif(not DOCUMENTS, reason="no corpus at ../shared/conformance/ir beside the repository")
def test_the_corpus_is_there() -> None:
    assert len(DOCUMENTS) >= 70


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(CORPUS))[:-5])
def test_a_document_of_the_corpus_runs_to_a_final_state(path: Path) -> None:
    document = read(path)
    plan = engine.plan(document)
    if path.stem in ARTIFACT_ARGUMENTS:
        with pytest.raises(engine.InvalidArguments, match="ARTIFACT|artifact"):
            World(plan, 1, Faults(fail=0.0, hit=0.0), arguments(document))
        return
    world = World(plan, 1, Faults(fail=0.0, hit=0.0), arguments(document), well_formed)
    end = world.run()
    assert end.state in (State.SUCCEEDED, State.FAILED)
    failed = [(e.path, e.reason) for e in end.executions.values() if e.state is State.FAILED]
    assert not failed
