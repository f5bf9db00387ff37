"""Copies of the repository in which suites run while a fault is planted there.

A copy has an environment of its own, whose `headrace` is the copy's source: processes that a test starts see the fault
too. Installed packages, the built UI and the UI's packages are shared with the repository.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mutants.faults import ROOT, Fault, changed_files

HISTORIES = 2000
_SHARED = ("src/headrace/server/static", "ui/node_modules")

_HISTORIES = """
import sys
import headrace
assert headrace.__file__.startswith(sys.argv[1]), headrace.__file__
from properties.test_histories import history
for seed in range(int(sys.argv[2])):
    try:
        history(seed)
    except BaseException as error:
        why = next(iter(str(error).splitlines()), "")
        print(f"seed {seed}: {type(error).__name__} {why[:100]}")
        sys.exit(1)
"""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a suite said."""

    #: PASSED, FAILED (at least one test failed), TIMED_OUT or BROKEN (it did not run its tests).
    word: str
    #: The first failure, or why the suite did not run.
    detail: str = ""


class Copy:
    """One copy of the repository, with whatever is not committed yet."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE,
        ).stdout  # fmt: skip
        for name in filter(None, listed.split("\0")):
            if (ROOT / name).is_file():
                (self.root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.root / name)
        for name in _SHARED:
            if (ROOT / name).exists():
                (self.root / name).symlink_to(ROOT / name)
        self._python = _environment(self.root)

    @contextmanager
    def planted(self, fault: Fault) -> Iterator[None]:
        """The fault is in the copy's source within this block. Raises Stale."""
        texts = changed_files(fault, self.root)
        try:
            for file, (_, text) in texts.items():
                self._write(file, text)
            yield
        finally:
            for file, (text, _) in texts.items():
                self._write(file, text)

    def _write(self, file: str, text: str) -> None:
        path = self.root / file
        path.write_text(text)
        # Two texts of the same length within one second have the same byte code, as far as Python can see.
        for compiled in path.parent.glob(f"__pycache__/{path.stem}.*.pyc"):
            compiled.unlink()

    def run(self, suite: tuple[str, ...], limit_s: float, histories: int = HISTORIES) -> Outcome:
        """Run a suite in this copy."""
        kind, arguments = suite[0], suite[1:]
        if kind == "histories":
            return self._run([self._python, "-c", _HISTORIES, self.root, histories], self.root, limit_s, "^seed .*")
        if kind == "vitest":
            words = ["node", "node_modules/vitest/vitest.mjs", "run", "--no-color", *arguments]
            return self._run(words, self.root / "ui", limit_s, r"^ ?FAIL .*")
        if "-m" not in arguments:
            arguments = (*arguments, "-m", "not slow and not browser and not container")
        words = [self._python, "-m", "pytest", "-x", "-q", "--tb=line", "-p", "no:xdist", *arguments]
        return self._run(words, self.root, limit_s, "^FAILED .*")

    def _run(self, words: list[object], cwd: Path, limit_s: float, failure: str) -> Outcome:
        with subprocess.Popen(
            [str(word) for word in words], cwd=cwd, env=self._variables(), text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            try:
                said = process.communicate(timeout=limit_s)[0]
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
                return Outcome(word="TIMED_OUT", detail=f"no verdict after {limit_s:.0f} s")
        if process.returncode == 0:
            return Outcome(word="PASSED")
        match = re.search(failure, said, re.MULTILINE)
        if process.returncode == 1 and match is not None:
            return Outcome(word="FAILED", detail=match[0].strip())
        last = (said.strip().splitlines() or [""])[-1]
        return Outcome(word="BROKEN", detail=f"exit code {process.returncode}: {last}")

    def _variables(self) -> dict[str, str]:
        known = {k: v for k, v in os.environ.items() if not k.startswith(("HEADRACE_", "PYTEST_"))}
        known.pop("PYTHONDONTWRITEBYTECODE", None)
        path = f"{self._python.parent}{os.pathsep}{known['PATH']}"
        return {**known, "PATH": path, "PYTHONPATH": f"{self.root / 'src'}{os.pathsep}{self.root / 'tests'}"}


def _environment(root: Path) -> Path:
    """A virtual environment with the copy's `headrace` and this environment's packages; its interpreter."""
    folder = root / ".venv"
    venv.create(folder, symlinks=True, with_pip=False)
    packages = next(folder.glob("lib/python*/site-packages"))
    # Packages below a path that a .pth file names are found, but not the .pth files in there: they name our own source.
    (packages / "headrace.pth").write_text(f"{root / 'src'}\n{sysconfig.get_path('purelib')}\n")
    script = folder / "bin" / "headrace"
    script.write_text(f"#!{folder / 'bin' / 'python'}\nfrom headrace.cli.main import main\nmain()\n")
    script.chmod(0o755)
    for program in Path(sys.executable).parent.iterdir():
        if not (folder / "bin" / program.name).exists():
            (folder / "bin" / program.name).symlink_to(program)
    return folder / "bin" / "python"
