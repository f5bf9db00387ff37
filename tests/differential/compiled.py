"""Compile one program text with both packages and answer both documents."""

from __future__ import annotations

import importlib.util
import itertools
import re
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

_numbers = itertools.count()
PRELUDE = """\
import os
from typing import *
from kfp import compiler
from kfp import dsl
from kfp.dsl import *
"""


def as_headrace(text: str) -> str:
    """The same program with the other package's name in its imports."""
    text = re.sub(r"^(\s*)from kfp\b", r"\1from headrace", text, flags=re.M)
    text = re.sub(r"^(\s*)import kfp$", r"\1import headrace as kfp", text, flags=re.M)
    return re.sub(r"^(\s*)import kfp\.", r"\1import headrace.", text, flags=re.M)


def load(text: str, path: Path) -> ModuleType:
    """A program as a module in a real file, so that sources can be read."""
    path.write_text(text, encoding="utf-8")
    name = f"program_{next(_numbers)}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spec.loader.exec_module(module)
    return module


def options_of(module: ModuleType) -> dict[str, Any]:
    options: dict[str, Any] = getattr(module, "OPTIONS", {})
    return options


def compiled_by_kfp(text: str, folder: Path) -> str:
    from kfp import compiler

    module = load(text, folder / "program.py")
    out = folder / "kfp.yaml"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiler.Compiler().compile(module.main, str(out), **options_of(module))
    return out.read_text("utf-8")


def compiled_by_headrace(text: str, folder: Path) -> str:
    from headrace import compiler

    # The same file name: it must not matter, and must not differ.
    module = load(as_headrace(text), folder / "program.py")
    out = folder / "headrace.yaml"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiler.Compiler().compile(module.main, str(out), **options_of(module))
    return out.read_text("utf-8")


def without_sdk_version(document: str) -> str:
    """The document without what can never be the same: who wrote it, and the times in kfp's archives."""
    document = re.sub(r"(ARCHIVE_B64 = ')[^']*'", r"\1X'", document)
    return re.sub(r"^(\s*)sdkVersion: (kfp|headrace)-.*$", r"\1sdkVersion: X", document, flags=re.M)
