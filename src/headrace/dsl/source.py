"""The source of a lightweight component, and the command that installs packages and starts it."""

from __future__ import annotations

import ast
import functools
import importlib.metadata
import inspect
import linecache
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from headrace.dsl import named_tuples
from headrace.dsl.code_places import CodePlace, place_of, remember
from headrace.dsl.constants import PIPELINE_TASK_EXECUTOR_INPUT_PLACEHOLDER
from headrace.dsl.errors import DslRuntimeError, DslTypeError, DslValueError, function_location
from headrace.dsl.source_text import at_margin
from headrace.dsl.types.artifact_types import BUILT_IN
from headrace.dsl.types.type_annotations import marker, unmarked
from headrace.dsl.types.type_utils import is_artifact_class
from headrace.spec.pip_options import PipOptionError, read_options

#: The kfp release whose runtime a task installs, unless another 2.17 is installed here.
KFP_VERSION = "2.17.3"
KFP_VERSION_VARIABLE = "HEADRACE_KFP_VERSION"
_EXECUTOR = "kfp.dsl.executor_main"
_AS_HEADRACE = "import kfp as headrace"
_IMPORTS = ("import kfp", "from kfp import dsl", "from kfp.dsl import *", "from typing import *")

# The texts below are the wire format: runtimes recognise them.
_INSTALL = """
if ! [ -x "$(command -v pip)" ]; then
    python3 -m ensurepip || python3 -m ensurepip --user || apt-get install python3-pip
fi

PIP_DISABLE_PIP_VERSION_CHECK=1 %s && "$0" "$@"
"""
_VENV = """
export PIP_DISABLE_PIP_VERSION_CHECK=1
tmp=$(mktemp -d)
python3 -m venv "$tmp/venv" --system-site-packages
. "$tmp/venv/bin/activate"
"""
_PIP = "python3 -m pip install --quiet --no-warn-script-location"
_GAP = " " * 24
_START = (
    "program_path=$(mktemp -d)\n\n"
    'printf "%s" "$0" > "$program_path/ephemeral_component.py"\n'
    f"_KFP_RUNTIME=true python3 -m {_EXECUTOR} {_GAP}--component_module_path {_GAP}"
    f'"$program_path/ephemeral_component.py" {_GAP}"$@"\n'
)


@functools.cache
def kfp_version() -> str:
    """The kfp release a task's bootstrap installs."""
    chosen = os.environ.get(KFP_VERSION_VARIABLE)
    if chosen:
        return chosen
    try:
        installed = importlib.metadata.version("kfp")
    except importlib.metadata.PackageNotFoundError:
        return KFP_VERSION
    return installed if installed.startswith("2.17.") else KFP_VERSION


#: Characters without a meaning for a shell.
_INDEX = re.compile(r"[A-Za-z0-9:/@._~%+=?,\[\]#!*-]+")


def index_options(index_urls: list[str] | None, trusted_hosts: list[str] | None) -> str:
    """pip's options for where packages come from, with a space at the end if there are any."""
    if not index_urls:
        return ""
    for url in [*index_urls, *(trusted_hosts or ())]:
        if not isinstance(url, str) or not _INDEX.fullmatch(url):
            raise DslValueError(
                f"{url!r} cannot be the URL of a package index: a character in it has a meaning for the task's shell.",
                code="INDEX_URL_INVALID",
                hint="write the URL itself, without spaces, quotes, `$`, `&` or `;`; passwords can be percent-encoded.",
            )
    options = [f"--index-url {index_urls[0]}", *(f"--extra-index-url {url}" for url in index_urls[1:])]
    options.extend(f"--trusted-host {host}" for host in (index_urls if trusted_hosts is None else trusted_hosts))
    return " ".join(options) + " "


def install_command(
    *,
    packages: list[str],
    index_urls: list[str] | None,
    trusted_hosts: list[str] | None,
    install_kfp: bool,
    kfp_package_path: str | None,
    use_venv: bool,
) -> list[str]:
    """The part of the command that installs packages and then runs the rest."""
    install_kfp = install_kfp and not any(package.startswith("kfp") for package in packages)
    if not packages and not install_kfp:
        return []
    options = index_options(index_urls, trusted_hosts)
    parts: list[str] = []
    if packages:
        parts.append(_pip(packages, options))
        if install_kfp:
            parts.append(" && ")
    if install_kfp:
        if use_venv:
            parts.append(_VENV)
        parts.append(_pip(_kfp_requirement(kfp_package_path), options))
    return ["sh", "-c", _INSTALL % " ".join(parts)]


def _kfp_requirement(path: str | None) -> list[str]:
    if path:
        return [path, "--no-deps"] if Path(path).exists() or "@refs/pull/" in path else [path]
    return [f"kfp=={kfp_version()}", "--no-deps", 'typing-extensions>=3.7.4,<5; python_version<"3.9"']


def _pip(packages: list[str], options: str) -> str:
    return f"{_PIP} {options}{' '.join(repr(str(package)) for package in packages)}"


def arguments(function_name: str) -> list[str]:
    return [
        "--executor_input",
        PIPELINE_TASK_EXECUTOR_INPUT_PLACEHOLDER,
        "--function_to_execute",
        function_name,
    ]


def image_command() -> list[str]:
    """The command where the function's module is in the image already."""
    return ["python3", "-m", _EXECUTOR]


def source_command(func: Callable[..., Any], additional: list[Callable[..., Any]], helper: str | None) -> list[str]:
    """The command that carries the source and starts it."""
    text, places = _assembled(func, additional, helper)
    remember(text, places)
    return ["sh", "-ec", _START, text]


def shipped_source(func: Callable[..., Any], additional: list[Callable[..., Any]], helper: str | None) -> str:
    return _assembled(func, additional, helper)[0]


def _assembled(
    func: Callable[..., Any], additional: list[Callable[..., Any]], helper: str | None
) -> tuple[str, list[CodePlace]]:
    """The text that travels, and where the functions in it come from."""
    body = function_source(func)
    extra = _extra_imports(func, body)
    # What shipped modules give can be imported only after they are unpacked.
    late = [line for line in extra if line != _AS_HEADRACE] if helper else []
    imports = "\n".join([*_IMPORTS, *(line for line in extra if line not in late)])
    block = f"\n\n{helper}\n" if helper else ""
    if late:
        block += "\n" + "\n".join(late) + "\n"
    answer = named_tuples.returned_class(func)
    declared = f"\n\n{answer[1]}" if answer else ""
    places, before = [], f"\n{imports}{declared}"
    for one in additional:
        own = function_source(one)
        places.append(_place(one, own, f"{before}\n\n"))
        before += f"\n\n{own}"
    before += f"{block}\n\n"
    places.append(_place(func, body, before))
    return f"{before}{body}\n", [place for place in places if place is not None]


def _place(func: Callable[..., Any], text: str, before: str) -> CodePlace | None:
    left_out = _raw_source(func).count("\n") - text.count("\n")  # decorators
    return place_of(func, row=before.count("\n") + 1, text=text, left_out=left_out)


def function_source(func: Callable[..., Any]) -> str:
    """The function's text from its `def`, at no indentation."""
    try:
        raw = _raw_source(func)
    except (OSError, TypeError) as error:
        raise DslRuntimeError(
            f"The source of {getattr(func, '__name__', func)!r} cannot be read, so it cannot travel to its task: "
            f"{error}.",
            code="SOURCE_NOT_FOUND",
            hint="define the component in a file (or a notebook cell), not with exec or in a plain console.",
            location=function_location(func),
        ) from error
    found = at_margin(raw)
    if not found:
        raise DslTypeError(
            f"{func.__name__!r} is not a plain `def` function.",
            code="NOT_A_DEF",
            hint="write `def name(...):`; async functions and lambdas cannot be components.",
            location=function_location(func),
        )
    return found


def _raw_source(func: Callable[..., Any]) -> str:
    """inspect.getsource, except that many functions of one file do not each search the whole file."""
    code = getattr(inspect.unwrap(func), "__code__", None)
    lines = linecache.getlines(code.co_filename, getattr(func, "__globals__", {})) if code else []
    if code is None or not lines or code.co_name == "<lambda>":
        return inspect.getsource(func)
    return "".join(inspect.getblock(lines[code.co_firstlineno - 1 :]))


# Imports of what annotations name


def _extra_imports(func: Callable[..., Any], body: str) -> list[str]:
    tree = _parsed(body)
    found = [_import_line(path) for path in _custom_artifacts(func, tree)]
    if _names_headrace(tree):
        # Stock Kubeflow installs kfp in the task; annotations with headrace.dsl... mean the same there.
        found.insert(0, _AS_HEADRACE)
    return list(dict.fromkeys(found))


def _parsed(body: str) -> ast.FunctionDef:
    node = ast.parse(body).body[0]
    assert isinstance(node, ast.FunctionDef)
    return node


def _names_headrace(tree: ast.FunctionDef) -> bool:
    signature = [tree.returns, *(arg.annotation for arg in ast.walk(tree.args) if isinstance(arg, ast.arg))]
    nodes = [node for part in signature if part is not None for node in ast.walk(part)]
    return any(isinstance(node, ast.Name) and node.id == "headrace" for node in nodes)


def _import_line(path: str) -> str:
    module, _, name = path.rpartition(".")
    return f"from {module} import {name}" if module else f"import {name}"


def _custom_artifacts(func: Callable[..., Any], tree: ast.FunctionDef) -> list[str]:
    from headrace.dsl.component_factory import resolved_signature

    signature = resolved_signature(func)
    written = {arg.arg: arg.annotation for arg in (*tree.args.posonlyargs, *tree.args.args, *tree.args.kwonlyargs)}
    found = []
    for name, parameter in signature.parameters.items():
        cls, node = _artifact_of(parameter.annotation), written.get(name)
        if _needs_import(cls) and node is not None:
            inner = node.slice if marker(parameter.annotation) and isinstance(node, ast.Subscript) else node
            found.append(_import_path(cls, inner))
    found.extend(_returned_artifacts(signature.return_annotation, tree))
    return found


def _returned_artifacts(annotation: Any, tree: ast.FunctionDef) -> list[str]:
    node = tree.returns
    if hasattr(annotation, "_fields") and isinstance(node, ast.Call) and len(node.args) == 2:
        fields = getattr(node.args[1], "elts", [])
        written = {field.elts[0].value: field.elts[1] for field in fields}
        return [
            _import_path(cls, written[name])
            for name, cls in annotation.__annotations__.items()
            if _needs_import(cls) and name in written
        ]
    return [_import_path(annotation, node)] if node is not None and _needs_import(annotation) else []


def _artifact_of(annotation: Any) -> Any:
    inner = unmarked(annotation)
    args = getattr(inner, "__args__", ())
    return args[0] if getattr(inner, "__origin__", None) is list and args else inner


def _needs_import(cls: Any) -> bool:
    if _is_model(cls):
        return True
    return is_artifact_class(cls) and cls not in BUILT_IN and not cls.__module__.startswith("kfp.dsl")


def _is_model(cls: Any) -> bool:
    return isinstance(cls, type) and any(
        base.__name__ == "BaseModel" and base.__module__.startswith("pydantic") for base in cls.__mro__
    )


def _import_path(cls: type, node: ast.AST) -> str:
    """What to import so that the annotation, as written, finds the class."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        node = ast.parse(node.value, mode="eval").body
    while not isinstance(node, ast.Name):
        inner = getattr(node, "value", None) or getattr(node, "slice", None)
        if inner is None:
            raise DslTypeError(f"The annotation of {cls.__name__} cannot be read.", code="ANNOTATION_UNREADABLE")
        node = inner
    if _is_model(cls) and (cls.__module__ == "__main__" or "<locals>" in cls.__qualname__):
        raise DslTypeError(
            f"The model {cls.__name__} cannot be imported where the task runs.",
            code="MODEL_NOT_IMPORTABLE",
            hint="define it at the top of a module that is installed in the task.",
        )
    parts = [*cls.__module__.split("."), *cls.__qualname__.split(".")]
    if node.id not in parts:
        raise DslTypeError(
            f"Module or type name aliases are not supported: {node.id!r} stands for '{'.'.join(parts)}'.",
            code="ARTIFACT_ALIAS",
            hint="import the class or its module under its own name, without `as`.",
        )
    return ".".join(parts[: parts.index(node.id) + 1])


def checked_packages(packages: list[str] | None) -> list[str]:
    """Requirement texts; a single text instead of a list would be read letter by letter."""
    if isinstance(packages, str):
        raise DslValueError(
            "packages_to_install is one text; it must be a list of requirements.",
            code="PACKAGES_NOT_A_LIST",
            hint=f"write packages_to_install=[{packages!r}].",
        )
    wanted = list(packages or [])
    for package in wanted:
        if not isinstance(package, str) or not package.strip() or "$" in package or "\n" in package:
            raise DslValueError(
                f"{package!r} in packages_to_install is not a requirement for pip.",
                code="PACKAGE_INVALID",
                hint="write a text such as 'pandas==2.2'; variables (`$NAME`) are not replaced there.",
            )
    try:
        for _ in read_options(wanted):
            pass
    except PipOptionError as error:
        raise DslValueError(
            str(error), code="PACKAGE_INVALID", hint="name the packages themselves; requirements= reads a file."
        ) from None
    return wanted
