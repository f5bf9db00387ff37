"""Texts of others without what steers a terminal, or turns the direction of a line.

Control sequences (ECMA-48) can set a terminal's title, fill its clipboard, move its cursor and hide words; a lone
carriage return writes over a line; a bidirectional control (Unicode UAX 9) shows words in another order than they have.
"""

from __future__ import annotations

import re
from typing import Any

#: Strings (titles, clipboard), then sequences with parameters, then others, then single characters.
_STEERING = re.compile(
    r"(?:\x1b[\]P^_X]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?"
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|\x1b[ -/]*[0-~]?"
    r"|\r\n?"
    r"|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]"
    r"|[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029]"
)
#: Colours and weights of letters; a hidden text (8) is none of them.
_COLOUR = re.compile(r"\x1b\[(?:[0-7]|9|2\d|[3-5]\d|9\d|10\d|38|48|;)*m")
#: How deep a value is looked into.
_DEEPEST = 20


def plain_text(text: str) -> str:
    """The text without control sequences, control characters but tab and newline, and bidirectional controls."""
    return _STEERING.sub(_newline, text)


def coloured_text(text: str) -> str:
    """The same, with its colours."""
    return _STEERING.sub(lambda found: found[0] if _COLOUR.fullmatch(found[0]) else _newline(found), text)


def _newline(found: re.Match[str]) -> str:
    return "\n" if found[0] == "\r\n" else ""


def plain_value(value: Any, depth: int = 0) -> Any:
    """A JSON value with every text in it made plain."""
    if isinstance(value, str):
        return plain_text(value)
    if depth > _DEEPEST:
        return value
    if isinstance(value, dict):
        return {plain_text(str(key)): plain_value(one, depth + 1) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain_value(one, depth + 1) for one in value]
    return value
