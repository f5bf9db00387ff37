"""Programs put together at random, compiled by kfp 2.17 and by headrace: the same document wherever kfp's is valid."""

from __future__ import annotations

import linecache
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from differential.compiled import PRELUDE, compiled_by_headrace, compiled_by_kfp, without_sdk_version
from differential.random_programs import random_program
from headrace.spec.verify import verify

pytestmark = [pytest.mark.kfp, pytest.mark.slow]
EACH = 15
_GENERATED = "pipelinechannel--"
_ITEM_OF_ITS_OWN = re.compile(r"-loop-item-\d")


@pytest.mark.parametrize("first", range(30, 90, EACH))
def test_same_document(first: int, tmp_path: Path) -> None:
    compared = sum(_compared(seed, tmp_path) for seed in range(first, first + EACH))
    assert compared >= EACH // 2


def _compared(seed: int, folder: Path) -> bool:
    """Whether both have a valid document; then they are the same."""
    text = PRELUDE + random_program(seed)
    linecache.clearcache()
    written = compiled_by_headrace(text, folder)
    ours = _documents(written)
    assert verify(*ours) == []
    if _ITEM_OF_ITS_OWN.search(written):  # nested loops over one list, where kfp's inner item hides the outer one
        return False
    linecache.clearcache()
    try:
        theirs = _documents(compiled_by_kfp(text, folder))
    except AssertionError:  # kfp's own, for channels it lost on the way
        return False
    if verify(*theirs):
        return False
    assert _unfolded(ours[0]) == _unfolded(theirs[0]), f"seed {seed}"
    return True


def _without_marks(component: dict[str, Any]) -> dict[str, Any]:
    """Without our marks of inputs of groups that may be left out, which kfp's documents lack."""
    inputs = {
        kind: {
            name: {key: value for key, value in one.items() if key != "isOptional" or not name.startswith(_GENERATED)}
            for name, one in definitions.items()
        }
        for kind, definitions in component.get("inputDefinitions", {}).items()
    }
    return {**component, **({"inputDefinitions": inputs} if inputs else {})}


def _documents(text: str) -> tuple[dict[str, Any], dict[str, Any] | None]:
    documents = list(yaml.safe_load_all(without_sdk_version(text)))
    return documents[0], documents[1] if len(documents) > 1 else None


def _unfolded(document: dict[str, Any]) -> dict[str, Any]:
    """Every reference replaced by what it names: which of two parts of the same name is called `-2` depends on the
    order of a protobuf map when kfp merges a nested pipeline, and changes from one process to the next."""
    components = document.get("components", {})
    executors = document["deploymentSpec"]["executors"]

    def component(found: dict[str, Any]) -> dict[str, Any]:
        found = _without_marks(found)
        if "executorLabel" in found:
            found["executorLabel"] = executors[found["executorLabel"]]
        if "dag" in found:
            tasks = {
                name: {**task, "componentRef": component(components[task["componentRef"]["name"]])}
                for name, task in found["dag"]["tasks"].items()
            }
            found["dag"] = {**found["dag"], "tasks": tasks}
        return found

    counts = {"components": len(components), "deploymentSpec": len(executors)}
    return {**document, "root": component(document["root"]), **counts}
