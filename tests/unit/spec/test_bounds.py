"""Hostile files at every loader: a clear refusal each, in bounded time and memory. In a process of its own, to be measured."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

#: Peak resident memory of the whole process, with 50 MB of input in it.
MOST_BYTES = 400 << 20
MOST_CPU_S = 30

_PROGRAM = """
import json, resource, sys

resource.setrlimit(resource.RLIMIT_CPU, (int(sys.argv[2]), int(sys.argv[2])))

def read(text):
    from headrace.spec.reading import read_pipeline
    read_pipeline(text)

def component(text):
    from headrace.components import load_component_from_text
    load_component_from_text(text)

def upload(text):
    from headrace.spec.reading import read_upload
    read_upload(text if isinstance(text, bytes) else text.encode())

aliases = "a: &a [x, x, x, x, x, x, x, x, x]\\n" + "".join(
    f"{b}: &{b} [{', '.join(['*' + a] * 9)}]\\n" for a, b in zip("abcdefghi", "bcdefghij")
)
hostile = {
    "malformed": "pipelineInfo: {name: [unclosed\\n  - x",
    "60 kB of brackets": "[" * 30_000 + "]" * 30_000,
    "alias bomb": aliases,
    "wrong schema": "apiVersion: argoproj.io/v1alpha1\\nkind: Workflow\\nspec: {}\\n",
    "50 MB": "a: " + "x" * 50_000_000,
    "50 MB of lines": "- y\\n" * 12_500_000,
    "binary": bytes(range(256)) * 100,
    "nothing": "",
    "a number": "42",
    "twice": "pipelineInfo: {}\\npipelineInfo: {}\\n",
}
load = {"read": read, "component": component, "upload": upload}[sys.argv[1]]
found = {}
for name, text in hostile.items():
    if sys.argv[1] == "component" and isinstance(text, bytes):
        text = text.decode("latin-1")
    try:
        load(text)
        found[name] = "TAKEN"
    except Exception as error:
        found[name] = getattr(error, "code", type(error).__name__)
# Not ru_maxrss: that begins with what the process had that forked this one.
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM:"))
print(json.dumps({"found": found, "bytes": int(peak.split()[1]) * 1024}))
"""

EXPECTED = {
    "malformed": "NOT_YAML",
    "60 kB of brackets": "TOO_DEEP",
    "alias bomb": "ALIASES",
    "wrong schema": "UNSUPPORTED_SCHEMA",
    "50 MB": "TOO_LARGE",
    "50 MB of lines": "TOO_LARGE",
    "binary": "BINARY",
    "nothing": "NOT_A_PIPELINE",
    "a number": "NOT_A_PIPELINE",
    "twice": "DUPLICATE_KEY",
}


@pytest.mark.parametrize("loader", ["read", "component", "upload"])
def test_hostile_files_are_refused_within_bounds(loader: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, loader, str(MOST_CPU_S)], capture_output=True, text=True, check=True
    )
    told = json.loads(done.stdout)
    # A component is given as text, so bytes that are none come as characters YAML does not allow.
    assert told["found"] == EXPECTED | ({"binary": "NOT_YAML"} if loader == "component" else {})
    assert told["bytes"] < MOST_BYTES
