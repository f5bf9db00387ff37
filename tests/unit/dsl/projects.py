"""Small projects on disk, with a file that defines a component `f`."""

from __future__ import annotations

import importlib.util
import textwrap
from pathlib import Path
from types import ModuleType

HELPER = "def shout(text):\n    return text.upper() + '!'\n"
PIPELINE = """
from headrace import dsl

@dsl.component(base_image="python:3.11", {options})
def f(text: str = "hi") -> str:
    from helper import shout
    return shout(text)
"""


def project(folder: Path, options: str = 'code="."', **files: str) -> Path:
    """`pipe.py` with the options, `helper.py`, and what else is given; `_SL_` in names stands for `/`, `_DOT_` for a dot."""
    write(folder, "pipe.py", PIPELINE.format(options=options))
    write(folder, "helper.py", HELPER)
    for name, text in files.items():
        write(folder, name.replace("_SL_", "/").replace("_DOT_", "."), text)
    return folder / "pipe.py"


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))
    return path


def load(path: Path) -> ModuleType:
    """The module of a file, without its folder on the path."""
    spec = importlib.util.spec_from_file_location(f"pipe_{abs(hash(path))}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
