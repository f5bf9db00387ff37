"""The generated part of ARCHITECTURE.md: the table of the rooms and the picture of their imports.

    .venv/bin/python tests/architecture.py

writes it again from the import contract (rows), the docstrings of the rooms (what each is for) and the imports in their
modules (arrows). `tests/unit/test_architecture.py` fails while the page differs from the code.
"""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "headrace"
PAGE = ROOT / "ARCHITECTURE.md"
BEGIN = "<!-- written by tests/architecture.py -->"
END = "<!-- end of what tests/architecture.py writes -->"


def rows() -> list[list[str]]:
    """The rows of rooms from above, as the import contract has them."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(one["layers"] for one in contracts if one["type"] == "layers")
    return [[room.strip() for room in layer.split("|")] for layer in layers]


def modules() -> dict[str, list[Path]]:
    """Room -> its modules. A room is a package, or a module, directly below `headrace`."""
    found = {path.stem: [path] for path in PACKAGE.glob("*.py") if path.stem != "__init__"}
    for folder in PACKAGE.iterdir():
        if (folder / "__init__.py").exists():
            found[folder.name] = sorted(folder.rglob("*.py"))
    return found


def imports() -> dict[str, set[str]]:
    """Room -> the rooms that its modules import when they run."""
    found = modules()
    return {
        room: {target for path in paths for target in _targets(path)} & (set(found) - {room})
        for room, paths in found.items()
    }


def _targets(path: Path) -> Iterator[str]:
    """The rooms that a module imports, leaving out what only type checkers see."""
    waiting: list[ast.AST] = [ast.parse(path.read_text())]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
            continue
        waiting += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            yield from (name.name.split(".")[1] for name in node.names if name.name.startswith("headrace."))
        elif isinstance(node, ast.ImportFrom) and node.module == "headrace":
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("headrace."):
            yield str(node.module).split(".")[1]


def reduced(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """Without the imports that follow from others: of A -> B -> C and A -> C, the last one."""

    def reachable(room: str) -> set[str]:
        return graph[room] | {far for near in graph[room] for far in reachable(near)}

    return {
        room: {near for near in targets if not any(near in reachable(other) for other in targets)}
        for room, targets in graph.items()
    }


def picture() -> str:
    """The rooms and the imports between them, as a Mermaid flowchart."""
    graph = reduced(imports())
    lines = ["```mermaid", "flowchart TD"]
    for room in (room for row in rows() for room in row):
        lines += [f"    {room} --> {target}" for target in sorted(graph[room])] or [f"    {room}"]
    return "\n".join([*lines, "```"])


def table() -> str:
    """The rows with what each room is for, from the first sentence of its docstring."""
    lines = ["| row | room | |", "|---|---|---|"]
    for number, row in enumerate(rows(), 1):
        lines += [f"| {number} | `{room}` | {_purpose(room)} |" for room in row]
    return "\n".join(lines)


def _purpose(room: str) -> str:
    path = PACKAGE / f"{room}.py"
    docstring = ast.get_docstring(ast.parse((path if path.exists() else PACKAGE / room / "__init__.py").read_text()))
    return " ".join((docstring or "").split("\n\n")[0].split())


def generated() -> str:
    """The whole generated part, with its marks."""
    return "\n\n".join([BEGIN, table(), picture(), END])


def written() -> str:
    """The same part as it is in the page."""
    text = PAGE.read_text()
    return text[text.index(BEGIN) : text.index(END) + len(END)]


if __name__ == "__main__":
    PAGE.write_text(PAGE.read_text().replace(written(), generated()))
