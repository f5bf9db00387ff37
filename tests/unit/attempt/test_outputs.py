"""Output artifacts: only what the attempt itself made is moved into a store."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from headrace.artifacts.local import LocalStore
from headrace.attempt.codes import Code
from headrace.attempt.layout import Layout
from headrace.attempt.order import LaunchOrder
from headrace.attempt.result import ResultFailed, ResultSucceeded
from headrace.attempt.ship import ship
from orders import shell_order

PARTS = ("..", ".", "folder", "file", "link out", "link in", "outputs", "other", "secret", "never")


class Machine:
    """An attempt's directory beside what is not its own."""

    def __init__(self, root: Path) -> None:
        self.outside = root / "other"
        self.layout = Layout(root / "attempts" / "1", root / "workspace")
        (self.layout.outputs / "folder").mkdir(parents=True)
        self.outside.mkdir()
        (self.outside / "secret").write_text("not yours")
        (root / "attempts" / "secret").write_text("not yours")
        (self.layout.outputs / "file").write_text("made here")
        (self.layout.outputs / "folder" / "file").write_text("made here")
        (self.layout.outputs / "link out").symlink_to(self.outside)
        (self.layout.outputs / "link in").symlink_to(self.layout.outputs / "folder")
        self.store = LocalStore(root / "store")

    def ship(self, said_at: str) -> ResultSucceeded | ResultFailed:
        order: LaunchOrder = shell_order("true", image="x", makes={"a": "system.Dataset"})
        note = {"artifacts": {"a": {"artifacts": [{"name": "a", "uri": said_at, "custom_path": said_at}]}}}
        self.layout.output_file.write_text(json.dumps(note))
        return ship(order, self.layout, self.store)

    def foreign(self) -> dict[str, str]:
        """Everything that is not the attempt's."""
        paths = [self.outside / "secret", self.layout.root.parent / "secret"]
        return {str(path): path.read_text() for path in paths if path.exists()}


@settings(max_examples=150, deadline=None)
@given(parts=st.lists(st.sampled_from(PARTS), min_size=1, max_size=5))
@example(parts=["link out", "secret"])
@example(parts=["..", "..", "secret"])
@example(parts=["..", ".."])
@example(parts=["folder", "..", "..", ".."])
@example(parts=["link in", "file"])
def test_only_what_lies_inside_the_attempt_is_taken(parts):
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(Path(folder))
        before = machine.foreign()
        path = f"{machine.layout.outputs}/{'/'.join(parts)}"
        inside = Path(os.path.realpath(Path(path).parent)).is_relative_to(os.path.realpath(machine.layout.root))
        result = machine.ship(path)
        assert machine.foreign() == before
        assert machine.layout.root.is_dir()
        if not inside or Path(path).name == "..":
            assert isinstance(result, ResultFailed), result
            assert result.error.code == Code.ARTIFACT_INVALID
        for path in (machine.outside / "secret", machine.outside):
            assert path.exists()


def test_a_path_through_a_link_that_stays_inside_is_taken(tmp_path):
    machine = Machine(tmp_path)
    result = machine.ship(f"{machine.layout.outputs}/link in/file")
    assert isinstance(result, ResultSucceeded), result
    [made] = result.artifacts["a"]
    assert (made.size_bytes, machine.store.at_hand(made.uri).read_text()) == (len("made here"), "made here")


@pytest.mark.parametrize("name", ["executor_output.json", "parameters/p"])
@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_a_file_of_values_that_is_not_a_file_is_refused(tmp_path, name, kind):
    machine = Machine(tmp_path)
    path = machine.layout.outputs / name
    path.parent.mkdir(exist_ok=True)
    if kind == "link":
        path.symlink_to(machine.outside / "secret")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    result = ship(shell_order("true", image="x", gives={"p": "STRING"}), machine.layout, machine.store)
    assert isinstance(result, ResultFailed), result
    assert (result.error.code, "not yours" in result.error.message) == (Code.OUTPUT_INVALID, False)


@pytest.mark.parametrize(("size", "code"), [(10, None), (100, None), (101, Code.PARAMETER_TOO_LARGE)])
def test_the_limit_of_a_parameter(tmp_path, size, code):
    """In bytes of its JSON: two quotes and the text."""
    machine = Machine(tmp_path)
    machine.layout.parameters.mkdir()
    (machine.layout.parameters / "p").write_text("x" * (size - 2))
    order = shell_order("true", image="x", gives={"p": "STRING"})
    result = ship(order, machine.layout, machine.store, max_parameter_bytes=100)
    assert (result.error.code if isinstance(result, ResultFailed) else None) == code
