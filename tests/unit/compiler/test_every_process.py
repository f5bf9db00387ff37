"""The compiler in fresh processes: the same bytes whatever the hash seed, and nothing imported that is not needed."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("programs_for_hashing.py")
LOADED = """
import json, sys
before = set(sys.modules)
from headrace import compiler, dsl
print(json.dumps([(name, getattr(module, "__file__", None) or "") for name, module in list(sys.modules.items())
                  if name not in before]))
"""


def run(arguments: list[str], seed: int = 0) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": str(seed)}
    done = subprocess.run(  # noqa: S603
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_same_bytes_under_ten_hash_seeds(tmp_path: Path) -> None:
    found = set()
    for seed in range(10):
        out = tmp_path / f"{seed}.yaml"
        run([str(PROGRAM), str(out)], seed)
        found.add(hashlib.sha256(out.read_bytes()).hexdigest())
    assert len(found) == 1


def test_importing_the_language_imports_nothing_of_others() -> None:
    loaded = json.loads(run(["-c", LOADED]))
    strangers = {name for name, file in loaded if "site-packages" in file and not name.startswith("headrace")}
    assert strangers == set()


def test_importing_the_language_imports_no_other_room() -> None:
    loaded = {name for name, _ in json.loads(run(["-c", LOADED]))}
    rooms = {name.split(".")[1] for name in loaded if name.startswith("headrace.")}
    assert rooms == {"compiler", "dsl", "spec"}
    words = {"headrace.spec.pip_options", "headrace.spec.quantities"}
    assert {name for name in loaded if name.startswith("headrace.spec.")} == words
    assert not loaded & {"asyncio", "sqlite3", "ssl", "http.client", "multiprocessing", "concurrent.futures"}
