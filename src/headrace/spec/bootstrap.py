"""How KFP's compiler starts a Python component, recognised: so that it can run without pip, a shell or `kfp`.

The text is taken apart, never run. Whatever differs from what a `kfp` 2.x compiler writes by more than whitespace is
not recognised, and is then an ordinary command.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import msgspec


class PythonEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A Python function to run, and what it wants installed."""

    #: What pip is to install for the user, in order; may hold pip's options too, as users write them.
    requirements: tuple[str, ...] = ()
    #: The requirement for `kfp` itself (`kfp==2.17.0`, a path, a URL), if the start-up installs it.
    kfp_requirement: str | None = None
    #: The first is pip's index, the others are extra ones.
    index_urls: tuple[str, ...] = ()
    trusted_hosts: tuple[str, ...] = ()
    #: True when the start-up makes a virtual environment.
    use_venv: bool = False
    #: Text of the module that holds the function.
    source: str
    #: Name of the function in the module.
    function: str
    #: Arguments beside `--executor_input` and `--function_to_execute`.
    extra_args: tuple[str, ...] = ()


def recognise(command: Sequence[str], args: Sequence[str]) -> PythonEntry | None:
    """The Python function that a container's command starts in KFP's way; None for any other command."""
    start = _taken_apart(command)
    if start is None or not _RUN.fullmatch(_one_line(start.run)):
        return None
    called = _arguments(args)
    if called is None:
        return None
    installed = _Installed() if start.install is None else _installed(start.install)
    if installed is None:
        return None
    function, extra = called
    return PythonEntry(
        requirements=installed.requirements,
        kfp_requirement=installed.kfp,
        index_urls=installed.index_urls,
        trusted_hosts=installed.trusted_hosts,
        use_venv=installed.use_venv,
        source=start.source,
        function=function,
        extra_args=extra,
    )


# --- the command's parts ---------------------------------------------------------------------

_SHELLS: Final = frozenset(("sh", "/bin/sh", "bash", "/bin/bash"))
_RUN: Final = re.compile(
    r'program_path=\$\(mktemp -d\) printf "%s" "\$0" > "\$program_path/ephemeral_component\.py" '
    r"(?:_KFP_RUNTIME=true )?python3? -m kfp(?:\.v2)?\.(?:dsl|components)\.executor_main "
    r'--component_module_path "\$program_path/ephemeral_component\.py" "\$@"'
)
_SCRIPT: Final = re.compile(
    r'\s*(?:if ! \[ -x "\$\(command -v pip\)" \]; then\s(?P<ensure>[^;`$()&]*?)\sfi\s+)?'
    r'PIP_DISABLE_PIP_VERSION_CHECK=1\s+(?P<calls>.*\S)\s+&&\s+"\$0"\s+"\$@"\s*',
    re.DOTALL,
)
_ENSURE: Final = re.compile(
    r"(?:python3? -m ensurepip(?: --[a-z]+)*|apt-get install (?:-y )?python3-pip)"
    r"(?: \|\| (?:python3? -m ensurepip(?: --[a-z]+)*|apt-get install (?:-y )?python3-pip))*"
)


class _Start(NamedTuple):
    install: str | None
    run: str
    source: str


def _one_line(script: str) -> str:
    return re.sub(r"(?:\\\n|\s)+", " ", script).strip()


def _taken_apart(command: Sequence[str]) -> _Start | None:
    if not all(isinstance(word, str) for word in command):
        return None
    if len(command) == 7 and command[0] in _SHELLS and command[1] == "-c":
        rest = _taken_apart(command[3:])
        return None if rest is None else rest._replace(install=command[2])
    if len(command) == 4 and command[0] in _SHELLS and command[1] in ("-ec", "-ce", "-c"):
        return _Start(None, command[2], command[3])
    return None


def _arguments(args: Sequence[str]) -> tuple[str, tuple[str, ...]] | None:
    function: str | None = None
    extra: list[str] = []
    words = iter(args)
    for word in words:
        name, joined, value = word.partition("=") if word.startswith("--") else (word, "", "")
        if name not in ("--executor_input", "--function_to_execute"):
            extra.append(word)
            continue
        if not joined:
            value = next(words, "")
        if name == "--function_to_execute":
            function = value
    if function is None or not function.isidentifier():
        return None
    return function, tuple(extra)


# --- what is installed -----------------------------------------------------------------------

#: A Python string literal (as `repr` writes requirements) or a run of other characters without a space.
_WORD: Final = re.compile(r"""'(?:[^'\\\n]|\\.)*+'|"(?:[^"\\\n]|\\.)*+"|[^\s'"]+""")
#: Characters in an unquoted word that make the shell do something.
_SHELL_WORK: Final = re.compile(r"[$`;|&<>(){}\\]|^#")
_VENV: Final = (
    "export", "PIP_DISABLE_PIP_VERSION_CHECK=1", "tmp=$(mktemp", "-d)", "python3", "-m", "venv", '"$tmp/venv"',
    "--system-site-packages", ".", '"$tmp/venv/bin/activate"',
)  # fmt: skip
_PIP: Final = ("python3", "-m", "pip", "install")
_QUIET_FLAGS: Final = frozenset(("--quiet", "-q", "--no-warn-script-location", "--no-deps", "--user"))
_INDEX_FLAGS: Final = frozenset(("--index-url", "--extra-index-url"))
_KFP_COMPANIONS: Final = frozenset(("--no-deps", 'typing-extensions>=3.7.4,<5; python_version<"3.9"'))
_KFP_NAME: Final = re.compile(r"kfp(?:\s*\[[^\]]*\])?\s*(?:[=<>!~;@].*)?\Z", re.DOTALL)
_KFP_SOURCE: Final = re.compile(
    r"(?:^|.*/)kfp-[0-9][^/]*(?:\.whl|\.tar\.gz|\.zip)\Z|.*kubeflow/pipelines.*|.*\bsdk/python/?\Z|.*[#&]egg=kfp\b.*",
    re.DOTALL,
)


class _PipInstall(NamedTuple):
    """One `pip install`."""

    items: tuple[str, ...]
    index_urls: tuple[str, ...]
    trusted_hosts: tuple[str, ...]
    after_venv: bool


class _Installed(NamedTuple):
    requirements: tuple[str, ...] = ()
    kfp: str | None = None
    index_urls: tuple[str, ...] = ()
    trusted_hosts: tuple[str, ...] = ()
    use_venv: bool = False


def _installed(script: str) -> _Installed | None:
    match = _SCRIPT.fullmatch(script)
    if match is None or not (match["ensure"] is None or _ENSURE.fullmatch(_one_line(match["ensure"]))):
        return None
    calls = _calls(match["calls"])
    if not calls:
        return None
    ours = _kfp_call(calls)
    requirements: list[str] = []
    kfp: str | None = None
    for index, call in enumerate(calls):
        for item in call.items:
            if kfp is None and (_is_kfp(item) or index == ours) and item not in _KFP_COMPANIONS:
                kfp = item
            elif index != ours or item not in _KFP_COMPANIONS:
                requirements.append(item)
    return _Installed(
        requirements=tuple(requirements),
        kfp=kfp,
        index_urls=_once(url for call in calls for url in call.index_urls),
        trusted_hosts=_once(host for call in calls for host in call.trusted_hosts),
        use_venv=any(call.after_venv for call in calls),
    )


def _once(items: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(items))


def _is_kfp(item: str) -> bool:
    return bool(_KFP_NAME.match(item) or _KFP_SOURCE.match(item))


def _kfp_call(calls: Sequence[_PipInstall]) -> int | None:
    """Which call is KFP's own (it installs kfp and its companions); None when no call is."""
    for index, call in enumerate(calls):
        if call.items[1:] and set(call.items[1:]) == _KFP_COMPANIONS:
            return index
    if any(_is_kfp(item) for call in calls for item in call.items):
        alone = (index for index, call in enumerate(calls) if _is_kfp(call.items[0]) and _bare(call))
        return next(alone, None)
    # `kfp_package_path` may be anything; it comes last, alone, and a virtual environment is only made for it.
    last = calls[-1]
    if _bare(last) and (len(calls) > 1 or last.after_venv or "--no-deps" in last.items):
        return len(calls) - 1
    return None


def _bare(call: _PipInstall) -> bool:
    return set(call.items[1:]) <= _KFP_COMPANIONS


def _calls(text: str) -> list[_PipInstall] | None:
    words = _words(text)
    if words is None:
        return None
    calls: list[_PipInstall] = []
    for part in _split_at_and(words):
        venv = tuple(part[: len(_VENV)]) == _VENV
        call = _call(part[len(_VENV) :] if venv else part, after_venv=venv)
        if call is None:
            return None
        calls.append(call)
    return calls


def _words(text: str) -> list[str] | None:
    """The words of a shell line; None when it is more than plain and quoted words."""
    words: list[str] = []
    end = 0
    for match in _WORD.finditer(text):
        gap = text[end : match.start()]
        if gap.strip() or (words and not gap):
            return None
        words.append(match[0])
        end = match.end()
    return None if text[end:].strip() else words


def _split_at_and(words: Sequence[str]) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    for word in words:
        if word == "&&":
            parts.append([])
        else:
            parts[-1].append(word)
    return parts


def _call(words: Sequence[str], *, after_venv: bool) -> _PipInstall | None:
    if tuple(words[:4]) != _PIP:
        return None
    items: list[str] = []
    urls: list[str] = []
    hosts: list[str] = []
    rest = iter(words[4:])
    for word in rest:
        if word[0] in "'\"":
            item = _literal(word)
            if item is None:
                return None
            items.append(item)
        elif word in _INDEX_FLAGS or word == "--trusted-host":
            value = next(rest, "")
            if not value or _SHELL_WORK.search(value) or value[0] in "'\"":
                return None
            (hosts if word == "--trusted-host" else urls).append(value)
        elif word not in _QUIET_FLAGS:
            return None
    return _PipInstall(tuple(items), tuple(urls), tuple(hosts), after_venv) if items else None


def _literal(word: str) -> str | None:
    """The text of a quoted word; None where the shell would work on it."""
    if word[0] == '"' and re.search(r"[$`]", word):
        return None
    try:
        value = ast.literal_eval(word)
    except (ValueError, SyntaxError):
        return None
    return value if isinstance(value, str) else None
