"""What error codes mean, read from the documentation, which is part of the package.

`error-codes.md` has a row for each code, `reasons.md` a section (`### CODE`, with Cause, Example and Fix) for each that
a run or a task can have.
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import headrace
from headrace.wire.api import CodePage

_PACKAGE = Path(headrace.__file__).parent
#: In an installed package, and in a checkout.
_PLACES = (_PACKAGE / "docs", _PACKAGE.parents[1] / "docs" / "reference")
_ROW = re.compile(r"^\| (`[A-Z0-9_]+`(?:, `[A-Z0-9_]+`)*) \| (.*) \|$", re.MULTILINE)
_SECTION = re.compile(r"^### ([A-Z0-9_]+)\n(.*?)(?=^#{1,3} |\Z)", re.MULTILINE | re.DOTALL)
_PART = re.compile(r"^\*\*(Cause|Example|Fix)\.\*\* ", re.MULTILINE)
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")


def find(code: str) -> CodePage | None:
    """The page of a code; None when there is no such code."""
    return pages().get(code.strip().upper())


def near(code: str) -> list[str]:
    """Codes that are similar to the text."""
    wanted = code.strip().upper()
    begun = [known for known in pages() if wanted and (known.startswith(wanted) or wanted in known)]
    return begun[:5] or difflib.get_close_matches(wanted, pages(), n=3, cutoff=0.6)


@functools.cache
def pages() -> Mapping[str, CodePage]:
    """All codes with their pages."""
    found = {code: CodePage(code=code, meaning=meaning) for code, meaning in _rows(_read("error-codes.md"))}
    found.update((match[1], _page(match[1], match[2])) for match in _SECTION.finditer(_read("reasons.md")))
    return found


def _read(name: str) -> str:
    for place in _PLACES:
        if (place / name).is_file():
            return (place / name).read_text(encoding="utf-8")
    return ""


def _rows(text: str) -> Iterator[tuple[str, str]]:
    for match in _ROW.finditer(text):
        for code in re.findall(r"`([A-Z0-9_]+)`", match[1]):
            yield code, _plain(match[2])


def _page(code: str, body: str) -> CodePage:
    meaning, *rest = _PART.split(body.strip())
    parts = dict(zip((word.lower() for word in rest[::2]), rest[1::2], strict=True))
    return CodePage(code=code, meaning=_plain(meaning), **{name: _plain(text) for name, text in parts.items()})


def _plain(text: str) -> str:
    """Markdown without links and without breaks inside paragraphs; blocks of code stay."""
    blocks = re.split(r"(^```.*?^```$)", _LINK.sub(r"\1", text.strip()), flags=re.MULTILINE | re.DOTALL)
    parts_of_text = [
        re.sub(r"^```\w*\n|\n```$", "", block) if block.startswith("```") else _joined(block)
        for block in blocks
        if block.strip()
    ]
    return "\n\n".join(parts_of_text)


def _joined(text: str) -> str:
    paragraphs = re.split(r"\n{2,}", text.strip())
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs).replace("\\|", "|")
