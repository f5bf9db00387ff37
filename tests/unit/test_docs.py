"""What the documentation says exists, and what exists is in the documentation."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import shlex
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import click
import pytest

from headrace.cli.main import headrace as command_line
from headrace.compiler import Compiler
from headrace.dsl.base_component import BaseComponent
from headrace.engine.model import State
from headrace.engine.outputs import dag_state
from headrace.server.table import ROUTES
from headrace.service.settings import Settings
from headrace.spec.reading import read_pipeline
from headrace.spec.verify import errors, verify
from headrace.wire.codes import pages as pages_of_codes

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "headrace"
REFERENCE = ROOT / "docs" / "reference"


def pages() -> Iterator[Path]:
    """The pages of the project, and none of what is installed or built in it."""
    for folder, names, files in os.walk(ROOT):
        names[:] = [
            name for name in names if not name.startswith(".") and name not in ("node_modules", "dist", "static")
        ]
        yield from (Path(folder) / file for file in files if file.endswith(".md"))


PAGES = sorted(pages())
CODE = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*")


def page_id(value: object) -> str | None:
    """Pages by their path, in names of tests."""
    return value.relative_to(ROOT).as_posix() if isinstance(value, Path) else None


# --- error codes ---------------------------------------------------------------------------------

#: One worker reads the source for all tests that need it.
reads_the_source = pytest.mark.xdist_group("reads the source")


@cache
def trees() -> dict[str, ast.Module]:
    """All our modules, parsed."""
    found = sorted(SOURCE.rglob("*.py"))
    return {path.relative_to(SOURCE).as_posix(): ast.parse(path.read_text()) for path in found}


@cache
def nodes() -> list[tuple[str, ast.AST]]:
    """Every node of our modules, with its module: walked once, since the walk takes seconds."""
    return [(module, node) for module, tree in trees().items() for node in ast.walk(tree)]


@cache
def constants() -> set[object]:
    """Every text and number that stands in our modules."""
    return {node.value for _, node in nodes() if isinstance(node, ast.Constant)}


def texts_in(node: ast.expr) -> Iterator[str]:
    """The codes that an expression can be: a text, or one of several."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        if CODE.fullmatch(node.value):
            yield node.value
    elif isinstance(node, ast.IfExp):
        yield from (*texts_in(node.body), *texts_in(node.orelse))
    elif isinstance(node, ast.BoolOp):
        yield from (text for value in node.values for text in texts_in(value))


@cache
def takers() -> dict[str, int]:
    """Functions and classes of ours that take a code by position: name -> which argument."""
    found: dict[str, int] = {}
    for _, node in nodes():
        owner = node.name if isinstance(node, ast.ClassDef) else ""
        for one in node.body if isinstance(node, ast.ClassDef | ast.Module) else ():
            if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef):
                names = [argument.arg for argument in one.args.args if argument.arg not in ("self", "cls")]
                if "code" in names:
                    found[owner if one.name == "__init__" else one.name] = names.index("code")
    return found


def codes_of_call(call: ast.Call) -> Iterator[str]:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    for keyword in call.keywords:
        if keyword.arg == "code":
            yield from texts_in(keyword.value)
    place = takers().get(name)
    if place is not None and place < len(call.args):
        yield from texts_in(call.args[place])


def codes_in(node: ast.AST) -> Iterator[str]:
    """The codes that one node of the syntax tree brings in."""
    match node:
        case ast.Call():
            yield from codes_of_call(node)
        case ast.ClassDef(name="Code", body=body):
            for one in body:
                if isinstance(one, ast.Assign) and isinstance(one.value, ast.Tuple):
                    yield from texts_in(one.value.elts[0])
        case ast.ClassDef(body=body):
            for one in body:
                if isinstance(one, ast.Assign) and ast.unparse(one.targets[0]) == "code":
                    yield from texts_in(one.value)
        case ast.Dict(keys=keys, values=values):
            for key, value in zip(keys, values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "code":
                    yield from texts_in(value)
        case ast.Assign(targets=[ast.Name(id="_CODES")], value=ast.Dict(values=values)):
            yield from (text for value in values for text in texts_in(value))
        case ast.FunctionDef(name="_code_of"):
            for part in ast.walk(node):
                if isinstance(part, ast.Return) and isinstance(part.value, ast.Tuple):
                    yield from texts_in(part.value.elts[0])
        case _:
            pass


@cache
def codes() -> dict[str, set[str]]:
    """Every code of the source -> the modules that have it."""
    found: dict[str, set[str]] = defaultdict(set)
    for module, node in nodes():
        for code in codes_in(node):
            found[code].add(module)
    return dict(found)


@cache
def documented() -> list[str]:
    """The codes in the first cells of the page's tables."""
    rows = re.findall(r"^\| (`[^|]*`) \|", (REFERENCE / "error-codes.md").read_text(), re.MULTILINE)
    return [code for row in rows for code in re.findall(r"`([A-Z0-9_]+)`", row)]


@reads_the_source
def test_the_walk_finds_codes_of_every_room() -> None:
    rooms = {module.split("/")[0] for modules in codes().values() for module in modules}
    assert {"attempt", "cli", "client", "compiler", "components", "dsl", "engine", "kubernetes"} <= rooms
    assert {"local", "runtime", "server", "service", "spec", "store"} <= rooms
    assert len(codes()) > 300


@reads_the_source
def test_every_code_is_documented() -> None:
    missing = {code: sorted(where) for code, where in codes().items() if code not in documented()}
    assert not missing, f"Write these into docs/reference/error-codes.md: {missing}"


@reads_the_source
def test_every_documented_code_exists() -> None:
    # A code may also come from where the walk does not look; somewhere in the source it must stand, or be made up of parts.
    everything = constants()
    made = {f"RUN_{state}" for state in ("FAILED", "CANCELED")}
    assert [code for code in documented() if code not in everything | made] == []


def test_no_code_is_documented_twice() -> None:
    assert sorted(set(documented())) == sorted(documented())


def test_every_reason_has_a_page_with_cause_example_and_fix() -> None:
    text = (REFERENCE / "error-codes.md").read_text()
    section = text[text.index("\n## Running a task\n") : text.index("\n## Starting and asking\n")]
    reasons = {
        code
        for row in re.findall(r"^\| (`[^|]*`) \|", section, re.MULTILINE)
        for code in re.findall(r"`([A-Z0-9_]+)`", row)
    }
    assert len(reasons) > 60
    empty = [
        code for code in sorted(reasons) if not ((page := pages_of_codes()[code]).cause and page.example and page.fix)
    ]
    assert not empty, f"Write sections (### CODE, with Cause, Example and Fix) into docs/reference/reasons.md: {empty}"
    headings = re.findall(r"^### (\S+)$", (REFERENCE / "reasons.md").read_text(), re.MULTILINE)
    assert len(headings) == len(set(headings)), "docs/reference/reasons.md has two sections of one code."
    assert set(headings) == reasons, "docs/reference/reasons.md has sections of codes that no run and no task has."


@reads_the_source
def test_every_code_that_a_task_can_have_is_among_the_reasons() -> None:
    """Codes of what makes tasks happen: of the engine, of executors, of the runtime, of the cache."""
    homes = (
        "attempt/",
        "engine/",
        "executors/",
        "runtime/",
        "service/caching.py",
        "service/explain_rules.py",
    )
    text = (REFERENCE / "error-codes.md").read_text()
    section = text[text.index("\n## Running a task\n") : text.index("\n## Starting and asking\n")]
    # Those of arguments, documents and requests are told to who asked.
    others = re.compile(r"ARGUMENT_|INVALID|SPEC_|NOT_IN_|RERUN_|MARK_|RUN_CANCELING|RUN_FINAL")
    missing = [
        code
        for code, where in codes().items()
        if any(module.startswith(homes) for module in where) and f"`{code}`" not in section and not others.match(code)
    ]
    assert missing == []


# --- commands ------------------------------------------------------------------------------------


def sentences(page: Path, program: str) -> list[str]:
    """Command lines that a page shows: in shell blocks, and as inline code."""
    text = page.read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    lines += re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))
    return [line for line in lines if re.match(rf"{program}\s", line)]


#: Other names of a command, which the page of the group lists.
OTHER_NAMES = {("headrace runs", name) for name in ("cancel", "pause", "resume", "rerun", "mark", "explain")}


def all_commands() -> Iterator[tuple[str, click.Command]]:
    """Every command of the command line, by what one types first: other names of the same command are left out."""
    seen: set[int] = set()

    def below(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
        context = click.Context(group, info_name=path)
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            assert command is not None
            if id(command) in seen or (path, name) in OTHER_NAMES:
                continue
            seen.add(id(command))
            yield f"{path} {name}", command
            if isinstance(command, click.Group):
                yield from below(command, f"{path} {name}")

    yield from below(command_line, "headrace")


def parse(line: str) -> None:
    """Raise click's complaint where a command or option does not exist or lacks its value."""
    words = shlex.split(line, comments=True)[1:]
    command: click.Command = command_line
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name = words.pop(0)
        if name.isupper():
            return  # COMMAND: any of them
        found = command.get_command(click.Context(command), name)
        if found is None:
            raise click.UsageError(f"There is no command {name!r}.")
        command = found
    # Behind the file, `headrace run` takes the inputs of its pipeline as options.
    inputs = line.startswith("headrace run ") and bool(words) and not words[0].startswith("-")
    context = click.Context(command, help_option_names=["-h", "--help"], ignore_unknown_options=inputs)
    command.make_parser(context).parse_args(words)


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_command_line_exists(page: Path) -> None:
    wrong = []
    for line in sentences(page, "headrace"):
        try:
            parse(line)
        except click.UsageError as error:
            wrong.append(f"{line}: {error.message}")
    assert wrong == []


def test_a_command_line_that_does_not_exist_is_seen() -> None:
    with pytest.raises(click.UsageError):
        parse("headrace runs forget RUN")
    with pytest.raises(click.UsageError):
        parse("headrace run --fast file.py")


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_make_target_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = page.read_text()
    indented = [line.strip() for line in text.splitlines() if line.startswith("    make ")]
    lines = [re.sub(r"#.*", "", line) for line in (*sentences(page, "make"), *indented)]
    named = {word for line in lines for word in line.split()[1:] if "=" not in word}
    assert named <= targets


@pytest.mark.parametrize(
    ("path", "command"), list(all_commands()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_command_and_option_is_documented(path: str, command: click.Command) -> None:
    sections = re.split(r"^#+ ", (REFERENCE / "cli.md").read_text(), flags=re.MULTILINE)
    section = next((one for one in sections if one.startswith(f"{path}\n")), "")
    assert section, f"docs/reference/cli.md has no section {path!r}."
    flags = [flag for option in command.params if isinstance(option, click.Option) for flag in option.opts]
    assert [flag for flag in flags if not re.search(rf"`{flag}[` ]", section)] == []


@reads_the_source
def test_every_environment_variable_of_ours_is_documented() -> None:
    ours = {
        text
        for text in constants()
        if isinstance(text, str) and re.fullmatch(r"(HEADRACE|KF_PIPELINES|KFP)_[A-Z_]+", text)
    }
    # The mark of an attempt's processes is nothing that anybody sets; the other one is a name in Python.
    text = (REFERENCE / "cli.md").read_text()
    assert [
        name for name in sorted(ours - {"HEADRACE_ATTEMPT", "KF_PIPELINES_SA_TOKEN_ENV"}) if f"`{name}`" not in text
    ] == []


# --- states, routes and settings -------------------------------------------------------------------------


def test_the_table_of_states_is_what_the_engine_does() -> None:
    text = (ROOT / "docs" / "explanation" / "states.md").read_text()
    table = text[text.index("| among the children | then |") :].split("\n\n")[0]
    rows = [re.findall(r"\b([A-Z]{6,})\b", line) for line in table.splitlines()[2:]]
    final = [state for state in State if state.final]
    told = {(row[0] if len(row) == 2 else ""): row[-1] for row in rows}
    for children in (set(some) for count in range(5) for some in combinations(final, count)):
        expected = next((told[name] for name in told if name in children), told[""])
        assert dag_state(children) == expected
    assert {state.value for state in State} == set(re.findall(r"^\| ([A-Z]+) \|", text, re.MULTILINE))


def test_every_route_is_documented() -> None:
    text = (REFERENCE / "api.md").read_text()
    assert [f"{r.method} {r.path}" for r in ROUTES if f"`{r.method} {r.path}`" not in text] == []


def test_every_documented_route_exists() -> None:
    named = re.findall(r"^\| `((?:GET|POST|PATCH|DELETE) [^`]+)`", (REFERENCE / "api.md").read_text(), re.MULTILINE)
    assert named
    assert set(named) <= {f"{route.method} {route.path}" for route in ROUTES}


def test_every_setting_is_documented() -> None:
    text = (ROOT / "docs" / "how-to" / "settings.md").read_text()
    assert [field for field in Settings.__struct_fields__ if f"`{field}`" not in text] == []


# --- links ---------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """What GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", path):
            continue
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


# --- Python --------------------------------------------------------------------------------------

BLOCKS = [
    pytest.param(block, id=f"{page_id(page)}:{number}")
    for page in PAGES
    for number, block in enumerate(re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL))
]


def imported(block: str, tmp_path: Path) -> dict[str, Any]:
    """The names that a block defines, from a real file: components read their source."""
    file = tmp_path / "block.py"
    file.write_text(block)
    spec = importlib.util.spec_from_file_location(f"block_of_{tmp_path.name}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return vars(module)


@pytest.mark.parametrize("block", BLOCKS)
def test_python_blocks_compile(block: str, tmp_path: Path) -> None:
    compile(block, "block.py", "exec")
    # A library of others is not there.
    if "@dsl.pipeline" not in block or "a_library" in block:
        return
    pipelines = [value for value in imported(block, tmp_path).values() if isinstance(value, BaseComponent)]
    assert pipelines
    for pipeline in pipelines:
        output = tmp_path / "pipeline.yaml"
        Compiler().compile(pipeline, str(output))
        assert errors(verify(*read_pipeline(output.read_text()))) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "block", [b for b in BLOCKS if "assert " in str(b.values[0]) and "Client" not in str(b.values[0])]
)
def test_python_blocks_that_assert_run(block: str, tmp_path: Path) -> None:
    (tmp_path / "block.py").write_text(block)
    run = "import block, pathlib; [f(pathlib.Path()) for n, f in vars(block).items() if n.startswith('test_')]"
    done = subprocess.run(
        [sys.executable, "-c", run],
        cwd=tmp_path,
        env={**os.environ, "HEADRACE_HOME": str(tmp_path / "home"), "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
