"""One name means one thing: no two rooms have a class of the same name, unless both mean the same thing."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import headrace

ROOT = Path(headrace.__file__).parent

#: Classes that are the same thing in each of their rooms -> why there are two.
SAME_THING = {
    "Artifact": "an artifact, as task code sees it and as the engine hands it on",
    "ArtifactType": "`artifactType` of the document, as the compiler writes it and as the engine compares it",
    "Pipeline": "KFP's own name twice: `kfp.dsl.pipeline_context.Pipeline`, and the `Pipeline` of its API",
    "Placeholder": "`{{$...}}`, as the SDK writes it and as the document is read",
    "RetryPolicy": "`retryPolicy` of the document, as the SDK writes it and as the document is read",
    "StoredContent": "what a store says of content it has taken in: the value, and the protocol that attempts read",
    "EmbeddedAnnotation": "the annotation itself, and what a task's process has in place of the SDK's",
    "InputAnnotation": "the annotation itself, and what a task's process has in place of the SDK's",
    "InputPath": "the annotation itself, and what a task's process has in place of the SDK's",
    "OutputAnnotation": "the annotation itself, and what a task's process has in place of the SDK's",
    "OutputPath": "the annotation itself, and what a task's process has in place of the SDK's",
}


def classes() -> dict[str, set[str]]:
    """Each class's name, without leading underscores -> the rooms that define a class of this name."""
    rooms: dict[str, set[str]] = defaultdict(set)
    for path in ROOT.rglob("*.py"):
        room = path.relative_to(ROOT).parts[0]
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                rooms[node.name.lstrip("_")].add(room)
    return rooms


def test_two_rooms_do_not_use_one_name_for_two_things() -> None:
    found = {name: sorted(rooms) for name, rooms in classes().items() if len(rooms) > 1}
    wrong = {name: rooms for name, rooms in found.items() if name not in SAME_THING}
    assert not wrong, f"Rename one class of each: {wrong}"


def test_every_allowed_pair_still_exists() -> None:
    rooms = classes()
    assert [name for name in SAME_THING if len(rooms[name]) < 2] == []
