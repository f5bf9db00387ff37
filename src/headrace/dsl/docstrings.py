"""Descriptions from docstrings, read as the docstring-parser package reads them (Google, reST, NumPy styles)."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, field


@dataclass(kw_only=True)
class Docstring:
    """The parts of a docstring."""

    short: str | None = None
    long: str | None = None
    #: Description by parameter name.
    params: dict[str, str | None] = field(default_factory=dict)
    #: How many elements (parameters, returns, raises, ...) were recognised.
    elements: int = 0

    @property
    def description(self) -> str | None:
        text = f"{self.short}\n{self.long}" if self.short and self.long else self.short
        return (text or "").strip() or None


class _NotThisStyle(Exception):
    pass


def parse(text: str | None) -> Docstring:
    """The docstring, parsed in the style that recognises most of it."""
    if not text:
        return Docstring()
    found = []
    for style in (_rest, _google, _numpy):
        try:
            found.append(style(text))
        except _NotThisStyle:
            continue
    return max(found, key=lambda one: one.elements) if found else Docstring()


def returned(text: str | None) -> dict[str, str | None]:
    """Descriptions of outputs: a Returns section read as a list of names."""
    for keyword in ("Returns:\n", "Returns\n", "Return:\n", "Return\n"):
        if text and keyword in text:
            return parse(text.replace(keyword.strip(), "Args:")).params
    return {}


def _described(chunk: str) -> Docstring:
    short, _, rest = chunk.partition("\n")
    return Docstring(short=short or None, long=rest.strip() or None)


# Google

_PARAM_SECTIONS = ("Arguments", "Args", "Parameters", "Params", "Attributes")
_RAISE_SECTIONS = ("Raises", "Exceptions", "Except")
_SINGLE_SECTIONS = ("Example", "Examples")
_RESULT_SECTIONS = ("Returns", "Yields")
_SECTIONS = (*_PARAM_SECTIONS, *_RAISE_SECTIONS, *_SINGLE_SECTIONS, *_RESULT_SECTIONS)
_TITLE = re.compile(f"^({'|'.join(_SECTIONS)}):[ \t\r\f\v]*$", re.M)
_TYPED_NAME = re.compile(r"\s*(.+?)\s*\(\s*(.*[^\s]+)\s*\)")
_NAMED_RESULT = re.compile(r"(\s*[^:\s]+:)|([^:]*\]:.*)")


def _google(text: str) -> Docstring:
    text = inspect.cleandoc(text)
    titles = list(_TITLE.finditer(text))
    found = _described(text[: titles[0].start()] if titles else text)
    ends = [title.start() for title in titles[1:]] + [len(text)]
    chunks: dict[str, str] = {}
    for title, end in zip(titles, ends, strict=False):
        chunk = text[title.end() : end]
        stray = re.search(r"\n\S", chunk)
        chunks[title[1]] = (chunk[: stray.start()] if stray else chunk).strip("\n")
    for title_text, chunk in chunks.items():
        _google_section(found, title_text, chunk)
    return found


def _google_section(found: Docstring, title: str, chunk: str) -> None:
    if title in _SINGLE_SECTIONS or title in _RESULT_SECTIONS:
        part = inspect.cleandoc(chunk)
        if title in _RESULT_SECTIONS and _NAMED_RESULT.match(part) and ":" not in part:
            raise _NotThisStyle
        found.elements += 1
        return
    indent = re.match(r"\s*", chunk)
    assert indent is not None
    starts = list(re.finditer("^" + indent[0] + r"(?=\S)", chunk, re.M))
    if not starts:
        raise _NotThisStyle
    ends = [start.start() for start in starts[1:]] + [len(chunk)]
    for start, end in zip(starts, ends, strict=True):
        _google_element(found, title, chunk[start.end() : end].strip("\n"))


def _google_element(found: Docstring, title: str, part: str) -> None:
    before, colon, description = part.partition(":")
    if not colon:
        raise _NotThisStyle
    if "\n" in before:
        first, rest = before.split("\n", 1)
        before = first + inspect.cleandoc(rest)
    found.elements += 1
    if title in _PARAM_SECTIONS:
        typed = _TYPED_NAME.match(before)
        found.params[typed[1] if typed else before] = _google_description(description)


def _google_description(text: str) -> str:
    text = text.removeprefix(" ") if text else text
    if "\n" in text:
        first, rest = text.split("\n", 1)
        text = first + "\n" + inspect.cleandoc(rest)
    return text.strip("\n")


# reST

_REST_FIELD = re.compile(r"(^:)", re.M)
_REST_PARAMS = {"param", "parameter", "arg", "argument", "attribute", "key", "keyword"}


def _rest(text: str) -> Docstring:
    text = inspect.cleandoc(text)
    first = re.search("^:", text, re.M)
    found = _described(text[: first.start()] if first else text)
    chunks = re.findall(r"(^:.*?)(?=^:|\Z)", text[first.start() :] if first else "", re.S | re.M)
    for chunk in filter(None, chunks):
        _rest_field(found, chunk)
    return found


def _rest_field(found: Docstring, chunk: str) -> None:
    head, colon, description = chunk.lstrip(":").partition(":")
    if not colon:
        raise _NotThisStyle
    words = head.split()
    text = description.strip()
    if "\n" in text:
        line, rest = text.split("\n", 1)
        text = line + "\n" + inspect.cleandoc(rest)
    if not words:
        raise _NotThisStyle
    if words[0] in _REST_PARAMS:
        if len(words) not in (2, 3):
            raise _NotThisStyle
        found.params[words[-1].removesuffix("?") if len(words) == 2 else words[-1]] = text
    if words[0] not in ("type", "rtype"):
        found.elements += 1


# NumPy

_NUMPY_PARAMS = ("Parameters", "Params", "Arguments", "Args", "Other Parameters", "Receives", "Attributes")
_NUMPY_OTHERS = (
    "Raises", "Raise", "Warns", "Warn", "Returns", "Return", "Yields", "Yield", "Examples", "Example", "Warnings",
    "Warning", "See Also", "Related", "Notes", "Note", "References", "Reference",
)  # fmt: skip
_NUMPY_TITLE = re.compile(
    "|".join(rf"^({title})\s*?\n{'-' * len(title)}\s*$" for title in (*_NUMPY_PARAMS, *_NUMPY_OTHERS)), re.M
)


def _numpy(text: str) -> Docstring:
    text = inspect.cleandoc(text)
    titles = list(_NUMPY_TITLE.finditer(text))
    found = _described(text[: titles[0].start()] if titles else text)
    ends = [title.start() for title in titles[1:]] + [len(text)]
    for title, end in zip(titles, ends, strict=False):
        name = next(group for group in title.groups() if group)
        body = text[title.end() : end]
        if name not in _NUMPY_PARAMS:
            found.elements += 1
            continue
        for key, value in re.findall(r"^(\S.*)\n?((?:^(?:[ \t]+.*)?(?:\n|\Z))*)", body.lstrip("\n"), re.M):
            found.elements += 1
            found.params[key.split(":")[0].strip()] = inspect.cleandoc(value).strip() or None
    return found
