"""A component's packages, read from requirements files, or from pyproject.toml with uv.lock.

They become plain requirements of the start-up command, so that stock Kubeflow Pipelines installs the same ones.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from headrace.dsl.errors import DslValueError, SourceLocation, function_location


class Wanted(NamedTuple):
    """What a component wants installed, and from where."""

    requirements: list[str]
    index_urls: list[str] | None
    trusted_hosts: list[str] | None


#: Every task has these; a project only needs them to write pipelines.
_OURS = ("headrace", "kfp")
_MAX_BYTES = 1024 * 1024
_NAME = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[[^\]]*\]\s*)?(?=[=<>!~;@(]|\Z)(.*)", re.DOTALL)
_URL = re.compile(r"(?:[a-z]+\+)?(?:https?|ssh)://\S+", re.IGNORECASE)
#: A URL that needs no quotes in a shell command.
_INDEX_URL = re.compile(r"https?://[A-Za-z0-9._~%+=/:\[\]-]+")
_SECRET = re.compile(r"://[^/\s@]+@|\$\{")
_HASH = re.compile(r"\s+--hash[= ]\S+")
_OPTION = re.compile(r"(-[A-Za-z]|--[a-z-]+)\s*[= ]?\s*(.*)", re.DOTALL)
_OPTIONS = {"-r": "--requirement", "-i": "--index-url", "-e": "--editable", "-c": "--constraint"}


def from_files(
    func: Callable[..., Any], given: Wanted, requirements: str | Path | None, project: str | Path | None
) -> Wanted:
    """Requirements of the decorator, then those of the files. Paths are relative to the function's file."""
    from headrace.dsl.code import base_of

    location = function_location(func)
    found = _Found(location)
    if requirements is not None:
        found.read(base_of(func) / requirements)
    if project is not None:
        found.requirements.extend(project_requirements(base_of(func) / project, location))
    return found.added_to(given)


class _Found:
    """The contents of requirements files, while they are read."""

    def __init__(self, location: SourceLocation | None) -> None:
        self.location = location
        self.requirements: list[str] = []
        self._index = ""
        self._extra: list[str] = []
        self._hosts: list[str] = []
        self._seen: set[Path] = set()

    def added_to(self, given: Wanted) -> Wanted:
        requirements = list(dict.fromkeys((*given.requirements, *self.requirements)))
        hosts = self._hosts if given.trusted_hosts is None else [*given.trusted_hosts, *self._hosts]
        if given.index_urls or self._index:
            first = [self._index] if self._index else []
            urls = list(dict.fromkeys((*(given.index_urls or ()), *first, *self._extra)))
            # Without a host, KFP's command would trust every index, which the file does not say.
            return Wanted(requirements, urls, given.trusted_hosts if given.index_urls and not hosts else hosts)
        options = [f"--extra-index-url={url}" for url in self._extra]
        return Wanted([*options, *requirements], given.index_urls, given.trusted_hosts)

    def read(self, path: Path) -> None:
        """One file, with those that it includes."""
        path = path.resolve()
        if path in self._seen:
            return
        self._seen.add(path)
        for line, text in _lines(_text_of(path, self.location)):
            self._take(text, path, SourceLocation(str(path), line))

    def _take(self, text: str, path: Path, location: SourceLocation) -> None:
        if not text.startswith("-"):
            self.requirements.append(checked(_HASH.sub("", text).strip(), location))
            return
        option = _OPTION.fullmatch(text)
        name, value = (_OPTIONS.get(option[1], option[1]), option[2].strip()) if option else (text, "")
        if name == "--requirement":
            self.location = location
            self.read(path.parent / value)
        elif name == "--index-url":
            self._index = _checked_url(value, location)
        elif name == "--extra-index-url":
            self._extra.append(_checked_url(value, location))
        elif name == "--trusted-host" and re.fullmatch(r"[A-Za-z0-9.:_\[\]-]+", value):
            self._hosts.append(value)
        elif name == "--pre":
            self.requirements.append(name)
        elif name == "--editable":
            _refuse_local(value, location)
        elif name != "--require-hashes":
            _refuse(
                f"the option {text.split()[0]} cannot travel with a component",
                location,
                "keep to requirements, -r, --index-url, --extra-index-url, --trusted-host and --pre; "
                "`uv pip compile` makes one list of exact versions of several files.",
            )


def _text_of(path: Path, location: SourceLocation | None) -> str:
    if not path.is_file():
        raise DslValueError(
            f"There is not a requirements file {path}.",
            code="REQUIREMENTS_NOT_FOUND",
            hint="the path is relative to the file that defines the component; with -r, to the file that includes it.",
            location=location,
        )
    content = path.read_bytes()
    try:
        if len(content) > _MAX_BYTES:
            raise ValueError(f"it is larger than {_MAX_BYTES} bytes")
        return content.decode("utf-8-sig")
    except ValueError as error:
        _refuse(f"the file cannot be read: {error}", SourceLocation(str(path), 1), "write requirements as UTF-8 text.")


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines that say something, with their number; those ending in a backslash go on in the next."""
    began, before = 0, ""
    for number, line in enumerate((*text.splitlines(), ""), 1):
        began = began if before else number
        if not before.strip() and line.lstrip().startswith("#"):
            continue
        if line.endswith("\\"):
            before += line[:-1] + " "
            continue
        whole = re.sub(r"(^|\s)#.*", "", before + line).strip()
        before = ""
        if whole:
            yield began, whole


def checked(requirement: str, location: SourceLocation) -> str:
    """A requirement for the command; refused if it would mean something else in a task."""
    if _SECRET.search(requirement) and not re.match(r"[^:]*\bgit\+ssh://\w+@", requirement):
        _refuse_secret(location)
    if not requirement.isprintable() or "\\" in requirement or " -" in requirement:
        _refuse(f"{requirement!r} holds more than a requirement", location, "write it as `name==1.2`.")
    if _URL.fullmatch(requirement):
        return requirement
    found = _NAME.fullmatch(requirement)
    rest = found[2].strip() if found else ""
    if found is None or re.search(r"\.(?:whl|zip|tar\.gz)$", found[1]):
        if "/" in requirement or requirement.startswith(".") or found is not None:
            _refuse_local(requirement, location)
        _refuse(f"{requirement!r} is not a requirement", location, "write it as `name==1.2`.")
    if rest.startswith("@") and not _URL.match(rest[1:].strip()):
        _refuse_local(requirement, location)
    # Shells end a quoted word at the same quote; markers may use either.
    return requirement.replace("'", '"')


def _checked_url(url: str, location: SourceLocation) -> str:
    if _SECRET.search(url):
        _refuse_secret(location)
    if not _INDEX_URL.fullmatch(url):
        _refuse(f"{url!r} is not the address of a package index", location, "write https://HOST/PATH.")
    return url


def _refuse(what: str, location: SourceLocation, hint: str) -> NoReturn:
    raise DslValueError(
        f"This requirement cannot be used: {what}.", code="REQUIREMENT_INVALID", hint=hint, location=location
    )


def _refuse_local(what: str, location: SourceLocation) -> NoReturn:
    raise DslValueError(
        f"{what!r} is on this machine, and a task may run on another.",
        code="REQUIREMENT_LOCAL",
        hint='ship your own packages with @dsl.component(code=["my_package"]), and name the others by version.',
        location=location,
    )


def _refuse_secret(location: SourceLocation) -> NoReturn:
    raise DslValueError(
        "A user, password, token or variable stands in this address; everybody who can read the pipeline would see it.",
        code="REQUIREMENT_SECRET",
        hint="configure the index where tasks run (UV_INDEX_URL or PIP_INDEX_URL, a netrc file), not in the pipeline.",
        location=location,
    )


# projects


def project_requirements(path: Path, location: SourceLocation | None) -> list[str]:
    """The exact versions of uv.lock; without a lock, what pyproject.toml asks for, with a warning."""
    from headrace.dsl.code import warn

    path = path.resolve()
    file = path if path.name == "pyproject.toml" else path / "pyproject.toml"
    if not file.is_file():
        raise DslValueError(
            f"There is no project at {path}: it has no pyproject.toml.",
            code="PROJECT_NOT_FOUND",
            hint="the path is relative to the file that defines the component.",
            location=location,
        )
    lock = next((folder / "uv.lock" for folder in file.parents if (folder / "uv.lock").is_file()), None)
    uv = _uv() if lock else None
    if lock is None or uv is None:
        missing = "there is no uv.lock (`uv lock` makes one)" if lock is None else "the program uv is not here"
        warn(f"Versions are not exact, because {missing}; what pyproject.toml asks for is installed.", location)
        return _declared(file, location)
    lines = _lines(_exported(uv, file.parent, file.read_bytes(), lock.read_bytes(), location))
    return [checked(text.removeprefix("-e "), SourceLocation(str(lock), 1)) for _, text in lines]


def _uv() -> str | None:
    import shutil

    try:
        from uv import find_uv_bin

        return find_uv_bin()
    except (ImportError, FileNotFoundError):
        return shutil.which("uv")


@functools.lru_cache(maxsize=8)
def _exported(uv: str, folder: Path, project: bytes, lock: bytes, location: SourceLocation | None) -> str:
    """What uv makes of the lock; once for all components of a pipeline that name the same project."""
    import os
    import subprocess

    words = [uv, "export", "--frozen", "--no-emit-workspace", "--no-default-groups", "--no-hashes", "--no-annotate"]
    prune = [word for name in _OURS for word in ("--prune", name)]
    done = subprocess.run(
        [*words, "--no-header", "--offline", "--quiet", *prune],
        cwd=folder,
        env={**os.environ, "NO_COLOR": "1", "UV_PYTHON_DOWNLOADS": "never"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DslValueError(
            f"uv cannot read the lock of {folder}: {done.stderr.strip()[-1000:]}",
            code="PROJECT_LOCK_FAILED",
            hint="`uv lock` makes a new one.",
            location=location,
        )
    return done.stdout


def _declared(file: Path, location: SourceLocation | None) -> list[str]:
    import tomllib

    try:
        project = tomllib.loads(file.read_text("utf-8")).get("project", {})
        asked = project.get("dependencies", [])
        if "dependencies" in project.get("dynamic", []) or not all(isinstance(one, str) for one in asked):
            raise ValueError("its dependencies are not listed in it")
    except (ValueError, AttributeError, TypeError) as error:
        raise DslValueError(
            f"{file} cannot be used: {error}.",
            code="PROJECT_INVALID",
            hint="list dependencies under [project], or use requirements=.",
            location=location,
        ) from None
    kept = [one for one in asked if re.split(r"[^A-Za-z0-9._-]", one.strip(), maxsplit=1)[0].lower() not in _OURS]
    return [checked(one, SourceLocation(str(file), 1)) for one in kept]
