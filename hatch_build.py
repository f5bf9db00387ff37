"""Builds the web UI into a wheel that is made from a clean clone, or says why it cannot.

Without this, `pip install git+…` makes a package whose server has no pages. Editable installs (`make setup`) build the
UI themselves, so nothing happens for them.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_FOLDER = "src/headrace/server/static"


class WebUi(BuildHookInterface[Any]):
    """See the module."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before each build; `version` is "editable" for an editable install."""
        root = Path(self.root)
        if version == "editable" or (root / _FOLDER / "index.html").exists():
            return
        npm = shutil.which("npm")
        if npm is None:
            raise RuntimeError(
                "The web UI is not built, and npm is not there to build it. Install Node.js 20 or newer and try again, "
                "or install a released wheel."
            )
        for command in ([npm, "ci", "--no-audit", "--no-fund"], [npm, "run", "build"]):
            self.app.display_info(f"Building the web UI: npm {' '.join(command[1:])}")
            made = subprocess.run(command, cwd=root / "ui", capture_output=True, text=True)
            if made.returncode:
                words = (made.stdout + made.stderr)[-2000:]
                raise RuntimeError(f"The web UI could not be built (npm {' '.join(command[1:])}):\n{words}")
        if not (root / _FOLDER / "index.html").exists():
            raise RuntimeError(f"npm has built the web UI, but {_FOLDER}/index.html is not there.")
