"""The garbage collector of a server process looks only at what was made after the start."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
import gc
import headrace.server.serve
from headrace.server.collector import shorten_collections
before = len(gc.get_objects())
shorten_collections()
kept = [[] for _ in range(100)]
print(before, len(gc.get_objects()))
"""


def test_what_was_imported_is_left_out() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], check=True, text=True, stdout=subprocess.PIPE)
    before, after = map(int, done.stdout.split())
    assert before > 50_000
    assert 100 <= after < 1_000
