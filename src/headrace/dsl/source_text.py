"""A function's text as it stands in its file, moved to the left margin without a change to any text inside it."""

from __future__ import annotations

import io
import itertools
import textwrap
import tokenize
from collections.abc import Iterator

_LAYOUT = frozenset({tokenize.NEWLINE, tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.COMMENT})
#: Python 3.12 and later read an f-string as several tokens.
_FSTRING_START, _FSTRING_END = getattr(tokenize, "FSTRING_START", -1), getattr(tokenize, "FSTRING_END", -1)


def at_margin(raw: str) -> str:
    """The text from its `def`, at no indentation; "" when there is no `def`.

    Lines that begin inside of a text stay as they are: they are part of its value. KFP's SDK takes the indentation that
    all lines share, those of texts too, which changes texts and does nothing where one begins at column 0. Docstrings
    are moved, as KFP does.
    """
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(raw).readline))
    except (tokenize.TokenError, SyntaxError):  # not whole, as some consoles give it
        lines = textwrap.dedent(raw).split("\n")
        return "\n".join(itertools.dropwhile(lambda line: not line.startswith("def"), lines))
    first = _row_of_def(tokens)
    if first is None:
        return ""
    inside = set(_rows_inside(tokens))
    lines = raw.split("\n")
    margin = lines[first - 1][: len(lines[first - 1]) - len(lines[first - 1].lstrip())]
    return "\n".join(
        line if row in inside else _moved(line, margin) for row, line in enumerate(lines, start=1) if row >= first
    )


def _moved(line: str, margin: str) -> str:
    if not line.strip():
        return ""
    if line.startswith(margin):
        return line[len(margin) :]
    return line.lstrip()  # inside of brackets, or a comment


def _row_of_def(tokens: list[tokenize.TokenInfo]) -> int | None:
    """The line of the first `def` that begins a statement; None where that is an `async def`, or there is none."""
    before: tokenize.TokenInfo | None = None
    for token in tokens:
        begins = before is None or before.type in _LAYOUT
        if begins and token.type == tokenize.NAME and token.string in ("def", "async", "class"):
            return token.start[0] if token.string == "def" else None
        if token.type != tokenize.NL:
            before = token
    return None


def _rows_inside(tokens: list[tokenize.TokenInfo]) -> Iterator[int]:
    """Lines that begin inside of a text that is not a docstring."""
    open_at: list[int] = []
    for number, token in enumerate(tokens):
        if token.type == _FSTRING_START:
            open_at.append(token.start[0])
        elif token.type == _FSTRING_END:
            yield from range(open_at.pop() + 1, token.end[0] + 1)
        elif token.type == tokenize.STRING and not _is_statement(tokens, number):
            yield from range(token.start[0] + 1, token.end[0] + 1)


def _is_statement(tokens: list[tokenize.TokenInfo], number: int) -> bool:
    before, after = tokens[number - 1].type if number else tokenize.NEWLINE, tokens[number + 1].type
    return before in _LAYOUT - {tokenize.NL} and after == tokenize.NEWLINE
