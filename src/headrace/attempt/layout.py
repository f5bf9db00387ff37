"""One layout of directories for an attempt, wherever it is: only the root differs.

<root>/
    inputs/NAME/POSITION/   input artifacts, where they are shown to a container or fetched for a pod
    source/                 the component's source and its request, where it does not share them with others
    code/                   the user's own modules, where it does not share them with others
    work/                   its current directory on a machine
    outputs/                what it makes
        parameters/NAME     output parameters written by commands
        NAME                output artifacts
        executor_output.json
        outcome.json        how it failed, in the words of our runtime
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from headrace.attempt.workspace import MOUNT

#: The name of KFP's ExecutorOutput; KFP calls the directory that holds it the task's root.
OUTPUT_FILE = "executor_output.json"
#: The name of a component's source in KFP, which pickles and tracebacks show.
SOURCE_FILE = "ephemeral_component.py"


class Layout:
    """The directories of one attempt below `root`, and the workspace that all tasks of its run share."""

    def __init__(self, root: Path, workspace: Path) -> None:
        #: Absolute.
        self.root = root
        self.workspace = workspace

    @cached_property
    def source(self) -> Path:
        """The component's source and its request."""
        return self.root / "source"

    @cached_property
    def request(self) -> Path:
        """What our runtime is asked to do."""
        return self.source / "request.json"

    @cached_property
    def fetched(self) -> Path:
        """What `fetch` has found of the inputs, for a `ship` in another process."""
        return self.source / "fetched.json"

    @cached_property
    def code(self) -> Path:
        """The user's own modules."""
        return self.root / "code"

    @cached_property
    def work(self) -> Path:
        """The current directory."""
        return self.root / "work"

    @cached_property
    def outputs(self) -> Path:
        """What it makes."""
        return self.root / "outputs"

    @cached_property
    def parameters(self) -> Path:
        """Output parameters, one file each."""
        return self.outputs / "parameters"

    @cached_property
    def output_file(self) -> Path:
        """KFP's ExecutorOutput."""
        return self.outputs / OUTPUT_FILE

    @cached_property
    def outcome(self) -> Path:
        """How it failed, in the words of our runtime."""
        return self.outputs / "outcome.json"

    @cached_property
    def result(self) -> Path:
        """The `AttemptResult`, where `ship` runs in a process of its own."""
        return self.root / "attempt-result.json"

    def input(self, name: str, position: int, base: str) -> Path:
        """Where content is shown that lies elsewhere on the machine: artifact `position` of an input, from 0."""
        return self.root / "inputs" / name / str(position) / base


#: As a container or a pod sees its attempt.
INSIDE = Layout(Path("/headrace"), Path(MOUNT))
