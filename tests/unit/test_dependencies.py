"""Every package that an installation brings is used, and `headrace doctor` asks for those that it brings."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import headrace
from headrace.cli import doctor

ROOT = Path(__file__).parents[2]
PACKAGE = Path(headrace.__file__).parent

#: Package -> the module it is imported as, where they differ.
MODULES = {"cel-expr-python": "cel_expr_python", "pyyaml": "yaml", "rpds-py": "rpds"}
#: Packages that no line of ours imports -> who uses them.
USED_BY_OTHERS = {
    "greenlet": "SQLAlchemy, for asyncpg",
    "httptools": "uvicorn, as its parser of HTTP",
    "python-multipart": "Starlette, for uploads",
}


def declared() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    return {re.split(r"[\[<>=;! ]", line, maxsplit=1)[0] for line in lines}


def imported() -> set[str]:
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.split(".")[0])
    return found


def test_every_dependency_is_imported() -> None:
    used = imported()
    assert {name for name in declared() - USED_BY_OTHERS.keys() if MODULES.get(name, name) not in used} == set()
    assert not USED_BY_OTHERS.keys() & used


def test_doctor_asks_only_for_what_is_declared() -> None:
    modules = {MODULES.get(name, name) for name in declared()}
    assert set(doctor.SERVER_PACKAGES) <= modules
