"""Notebook components: the notebook is shipped inside the source, with the code that runs it."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any, NoReturn

from headrace.dsl.embedding import archive
from headrace.dsl.errors import DslNotImplementedError, DslValueError

DEFAULT_PACKAGES = ("nbclient>=0.10,<1", "ipykernel>=6,<7", "jupyter_client>=7,<9")


def run_notebook(**_: Any) -> NoReturn:
    """Run the notebook of a notebook component; only inside its function, while the task runs.

    Args:
        **_: The notebook's parameters by name; values must be JSON.

    Raises:
        DslNotImplementedError: It was called anywhere else (`NOT_IN_A_NOTEBOOK_TASK`).
    """
    raise DslNotImplementedError(
        "dsl.run_notebook is only available inside a @dsl.notebook_component at runtime.", code="NOT_IN_A_NOTEBOOK_TASK"
    )


def helper_source(path: Path) -> str:
    """Source that unpacks and runs the notebook.

    The template is wire format like the rest of the bootstrap: the text that kfp 2.17 (Apache License 2.0) puts into
    documents, so that ours are the same and runtimes recognise it.
    """
    inside = _notebook_inside(path)
    template = resources.files("headrace.dsl").joinpath("notebook_bootstrap.txt").read_text("utf-8")
    return template.replace("@ARCHIVE@", archive(path)).replace("@NOTEBOOK@", inside)


def _notebook_inside(path: Path) -> str:
    """The notebook's path in the archive."""
    if not path.exists():
        raise DslValueError(f"Notebook path does not exist: {path}", code="NOTEBOOK_MISSING")
    if path.is_file():
        if path.suffix.lower() != ".ipynb":
            raise DslValueError(f"Invalid notebook_path (expected .ipynb file): {path}", code="NOTEBOOK_SUFFIX")
        return path.name
    found = [one for one in sorted(path.rglob("*.ipynb")) if one.is_file() and ".ipynb_checkpoints" not in one.parts]
    if len(found) != 1:
        raise DslValueError(
            f"{'Multiple' if found else 'No'} .ipynb files found in directory: {path}. Exactly one is required.",
            code="NOTEBOOK_NOT_ONE",
        )
    return found[0].relative_to(path).as_posix()
