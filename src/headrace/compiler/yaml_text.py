"""Documents as YAML text, byte for byte as PyYAML's own emitter writes them, in a fraction of its time.

Written by hand because libyaml breaks quoted texts at other positions than PyYAML does, and because a document repeats
the same texts (a component's source, for each of its tasks): those are formatted once.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any

_WIDTH = 80
_PLAIN = re.compile(r"[A-Za-z_/$(][A-Za-z0-9_./$()+=-]*(?: [A-Za-z0-9_./$()+=-]+)*")
_BREAKS = "\n\x85\u2028\u2029"
# Plain texts that YAML 1.1 reads as another type.
_RESOLVED = re.compile(
    r"""
      ~|null|Null|NULL|
    | yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF
    | [-+]?(?:[0-9][0-9_]*)\.[0-9_]*(?:[eE][-+][0-9]+)?
    | \.[0-9][0-9_]*(?:[eE][-+][0-9]+)?
    | [-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*
    | [-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)
    | [-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+
    | [-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+
    | <<|=
    | [0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]
    | [0-9][0-9][0-9][0-9]-[0-9][0-9]?-[0-9][0-9]?(?:[Tt]|[ \t]+)[0-9][0-9]?:[0-9][0-9]:[0-9][0-9](?:\.[0-9]*)?
      (?:[ \t]*(?:Z|[-+][0-9][0-9]?(?::[0-9][0-9])?))?
    """,
    re.X,
)
_ESCAPES = {
    "\0": "0", "\x07": "a", "\x08": "b", "\x09": "t", "\x0a": "n", "\x0b": "v", "\x0c": "f", "\x0d": "r", "\x1b": "e",
    '"': '"', "\\": "\\", "\x85": "N", "\xa0": "_", "\u2028": "L", "\u2029": "P",
}  # fmt: skip
# PyYAML's limit of 128, less the length of the tag "!!str" that it counts in.
_SIMPLE_KEY_LENGTH = 123


def dump_all(documents: Iterable[Any]) -> str:
    """The documents, separated by `---`, keys sorted."""
    writer = _Writer()
    return "---\n".join(writer.document(document) for document in documents)


class _Writer:
    def __init__(self) -> None:
        self._lines: list[str] = []
        self._folded: dict[tuple[str, int, int, bool], str] = {}

    def document(self, value: Any) -> str:
        self._lines = []
        if isinstance(value, dict) and value:
            self._mapping(value, 0, first="")
        elif isinstance(value, list) and value:
            self._sequence(value, 0, first="")
        else:
            self._lines.append(self._scalar(value, 2, 0) + "\n")
        return "".join(self._lines)

    def _mapping(self, mapping: dict[str, Any], indent: int, first: str | None = None) -> None:
        """`first` is the text before the first key, if its line has already begun."""
        pad = " " * indent
        lead = pad if first is None else first
        for key in sorted(mapping):
            written, simple = self._key(key, indent)
            self._lines.append(f"{lead}{written}" if simple else f"{lead}? {written}\n{pad}")
            self._lines.append(":")
            self._value(mapping[key], indent, indent + len(written) + 1 if simple else indent + 1, simple=simple)
            lead = pad

    def _key(self, key: str, indent: int) -> tuple[str, bool]:
        simple = len(key) < _SIMPLE_KEY_LENGTH and key != "" and not any(one in key for one in _BREAKS)
        if simple:
            return self._text(key, indent, indent, key=True), True
        return self._text(key, indent + 2, indent + 2, key=False), False

    def _value(self, value: Any, indent: int, column: int, *, simple: bool = True) -> None:
        if isinstance(value, dict) and value:
            if simple:
                self._lines.append("\n")
                self._mapping(value, indent + 2)
            else:
                self._lines.append(" ")
                self._mapping(value, indent + 2, first="")
        elif isinstance(value, list) and value:
            # A list under a key is not indented further.
            if simple:
                self._lines.append("\n")
                self._sequence(value, indent)
            else:
                self._lines.append(" ")
                self._sequence(value, indent + 2, first="")
        else:
            self._lines.append(f" {self._scalar(value, indent + 2, column + 1)}\n")

    def _sequence(self, items: list[Any], indent: int, first: str | None = None) -> None:
        pad = " " * indent
        lead = pad if first is None else first
        for item in items:
            self._lines.append(f"{lead}-")
            if isinstance(item, dict) and item:
                self._lines.append(" ")
                self._mapping(item, indent + 2, first="")
            elif isinstance(item, list) and item:
                self._lines.append(" ")
                self._sequence(item, indent + 2, first="")
            else:
                self._lines.append(f" {self._scalar(item, indent + 2, indent + 2)}\n")
            lead = pad

    def _scalar(self, value: Any, indent: int, column: int) -> str:
        if isinstance(value, str):
            return self._text(value, indent, column, key=False)
        if value is None:
            return "null"
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int):
            return str(value)
        if isinstance(value, float):
            return _float(value)
        return "{}" if isinstance(value, dict) else "[]"

    def _text(self, text: str, indent: int, column: int, *, key: bool) -> str:
        if len(text) + column <= _WIDTH and _PLAIN.fullmatch(text) and not _RESOLVED.fullmatch(text):
            return text
        # The column of a text only matters for where it is folded.
        cached = self._folded.get((text, indent, column, key))
        if cached is None:
            cached = _formatted(text, indent, column, key=key)
            self._folded[text, indent, column, key] = cached
        return cached


def _float(value: float) -> str:
    if not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    text = repr(value).lower()
    return text.replace("e", ".0e", 1) if "." not in text and "e" in text else text


def _formatted(text: str, indent: int, column: int, *, key: bool) -> str:
    style = _style(text, key=key)
    if style == "plain":
        return _plain(text, indent, column, split=not key)
    if style == "single":
        return _single(text, indent, column, split=not key)
    return _double(text, indent, column, split=not key)


def _style(text: str, *, key: bool) -> str:
    """The plainest style in which the text keeps its value."""
    if not text:
        return "single"
    if not _printable(text) or _space_meets_break(text):
        return "double"
    multiline = "\n" in text
    if key and multiline:
        return "double"
    if multiline or _RESOLVED.fullmatch(text) or not _plain_allowed(text):
        return "single"
    return "plain"


def _printable(text: str) -> bool:
    return all(" " <= one <= "~" or one == "\n" for one in text)


def _space_meets_break(text: str) -> bool:
    """Spaces at a line's end or beginning are kept only in double quotes."""
    return " \n" in text or "\n " in text


_INDICATORS_FIRST = "#,[]{}&*!|>'\"%@`"


def _plain_allowed(text: str) -> bool:
    if text[0] in " \n" or text[-1] in " \n" or text.startswith(("---", "...")):
        return False
    if text[0] in _INDICATORS_FIRST:
        return False
    if text[0] in "?:-" and (len(text) == 1 or text[1] in " \n"):
        return False
    return not re.search(r": |:$|:\n|[ \n]#", text)


def _plain(text: str, indent: int, column: int, *, split: bool) -> str:
    """Lines can only be folded at single spaces inside."""
    out: list[str] = []
    for chunk in re.findall(r" +|[^ ]+", text):
        if chunk == " " and split and column > _WIDTH:
            out.append("\n" + " " * indent)
            column = indent
            continue
        out.append(chunk)
        column += len(chunk)
    return "".join(out)


def _single(text: str, indent: int, column: int, *, split: bool) -> str:
    out = ["'"]
    column += 1
    position = 0
    for chunk in re.findall(r" +|\n+|[^ \n]+", text):
        end = position + len(chunk)
        if chunk[0] == " ":
            if chunk == " " and split and column > _WIDTH and position != 0 and end != len(text):
                out.append("\n" + " " * indent)
                column = indent
            else:
                out.append(chunk)
                column += len(chunk)
        elif chunk[0] == "\n":
            # The first break of a run is doubled, or it would be read as a space.
            out.append("\n" * (len(chunk) + 1) + " " * indent)
            column = indent
        else:
            quoted = chunk.replace("'", "''")
            out.append(quoted)
            column += len(quoted)
        position = end
    out.append("'")
    return "".join(out)


def _double(text: str, indent: int, column: int, *, split: bool) -> str:
    out = ['"']
    column += 1
    start = end = 0
    while end <= len(text):
        one = text[end] if end < len(text) else None
        if one is None or one in '"\\' or not " " <= one <= "~":
            if start < end:
                out.append(text[start:end])
                column += end - start
                start = end
            if one is not None:
                escaped = _escape(one)
                out.append(escaped)
                column += len(escaped)
                start = end + 1
        if 0 < end < len(text) - 1 and (one == " " or start >= end) and column + (end - start) > _WIDTH and split:
            out.append(text[start:end] + "\\\n" + " " * indent)
            column = indent
            start = max(start, end)
            if text[start] == " ":
                out.append("\\")
                column += 1
        end += 1
    out.append('"')
    return "".join(out)


def _escape(one: str) -> str:
    if one in _ESCAPES:
        return "\\" + _ESCAPES[one]
    code = ord(one)
    if code <= 0xFF:
        return f"\\x{code:02X}"
    return f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"
