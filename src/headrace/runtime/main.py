"""Runs one Python component. Started by file path: `python …/headrace/runtime/main.py REQUEST`.

The interpreter is the user's environment, where Headrace is not installed and whose packages
are the user's business: so only two names are added to it. `headrace` is the package this file
belongs to; `kfp` is our small stand-in, for environments without the real one. `headrace.dsl` itself
is the language for authors, too much to load in a task: here it is what the stand-in gives.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import ModuleSpec, PathFinder


class OneName:
    """A meta-path finder that finds a single name in a single place."""

    def __init__(self, name: str, place: str, parts: str = "") -> None:
        self._name = name
        self._place = [place]
        #: Where the package's modules are, when not beside itself.
        self._parts = parts

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Python asks this for every import."""
        if name != self._name:
            return None
        found = PathFinder.find_spec(name, self._place)
        if found is not None and self._parts:
            found.submodule_search_locations = [self._parts]
        return found


def add_names() -> None:
    """Make our names importable."""
    runtime = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib costs milliseconds
    packages = os.path.dirname(os.path.dirname(runtime))  # noqa: PTH120
    sys.meta_path.insert(0, OneName("headrace", packages))
    sys.meta_path.insert(0, OneName("headrace.dsl", runtime + "/standin/kfp", packages + "/headrace/dsl"))
    sys.meta_path.append(OneName("kfp", runtime + "/standin"))


def main() -> int:
    """Do the work."""
    sys.path[0] = os.getcwd()  # noqa: PTH109 - was this file's directory, which must not shadow the user's modules
    add_names()

    from headrace.runtime.attempt import run

    return run(sys.argv[1])


if __name__ == "__main__":
    sys.exit(main())
if __name__ == "__mp_main__":
    # A process that the user's code has started with `multiprocessing`, about to import the component's source.
    add_names()
