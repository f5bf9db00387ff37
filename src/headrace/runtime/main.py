"""Runs one Python component. Started by file path: `python …/headrace/runtime/main.py REQUEST`.

The interpreter is the user's environment, where Headrace is not installed and whose packages
are the user's business: so only two names are added to it. `headrace` is the package this file
belongs to; `kfp` is our small stand-in, for environments without the real one.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import ModuleSpec, PathFinder


class OneName:
    """A meta-path finder that finds a single top-level name in a single place."""

    def __init__(self, name: str, place: str) -> None:
        self._name = name
        self._place = [place]

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Python asks this for every import."""
        return PathFinder.find_spec(name, self._place) if name == self._name else None


def main() -> int:
    """Make our names importable, then do the work."""
    runtime = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib costs milliseconds
    packages = os.path.dirname(os.path.dirname(runtime))  # noqa: PTH120
    sys.path[0] = os.getcwd()  # noqa: PTH109 - was this file's directory, which must not shadow the user's modules
    sys.meta_path.insert(0, OneName("headrace", packages))
    sys.meta_path.append(OneName("kfp", runtime + "/standin"))

    from headrace.runtime.attempt import run

    return run(sys.argv[1])


if __name__ == "__main__":
    code = main()
    sys.exit(code)
