"""What a task finds under our names.

The interpreter is the user's environment, where Headrace is not installed and whose packages are the user's business:
so only two names are added to it. `headrace` is the package this file belongs to; `kfp` is our small stand-in, for
environments without the real one. `headrace.dsl` itself is the language for authors, too much to load in a task: here
it is what the stand-in gives.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # as `typing` has it, which takes as long to load as Python itself
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec


class OneName:
    """A meta-path finder for a single name in a single folder."""

    def __init__(self, name: str, place: str, parts: str = "") -> None:
        self._name = name
        self._place = [place]
        #: The folder of the package's modules, if it is another one.
        self._parts = parts

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Python asks this for every import."""
        if name != self._name:
            return None
        from importlib.machinery import PathFinder

        found = PathFinder.find_spec(name, self._place)
        if found is not None and self._parts:
            found.submodule_search_locations = [self._parts]
        return found


def add(packages: str) -> None:
    """Make them importable; `packages` is the directory that holds the package `headrace`."""
    shim = f"{packages}/headrace/runtime/kfp_shim"
    sys.meta_path.insert(0, OneName("headrace.dsl", f"{shim}/kfp", f"{packages}/headrace/dsl"))
    sys.meta_path.append(OneName("kfp", shim))


def has_real_kfp() -> bool:
    """Whether the environment brings its own `kfp`."""
    if "kfp" in sys.modules:
        return "/headrace/runtime/kfp_shim/" not in (getattr(sys.modules["kfp"], "__file__", None) or "")
    for finder in sys.meta_path:
        if not isinstance(finder, OneName) and finder.find_spec("kfp", None, None) is not None:
            return True
    return False
