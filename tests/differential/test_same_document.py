"""The same program, compiled by kfp 2.17 and by headrace: the same bytes, apart from the line that says who wrote it."""

from __future__ import annotations

import linecache
import re
from pathlib import Path

import pytest

from differential.compiled import PRELUDE, compiled_by_headrace, compiled_by_kfp, without_sdk_version
from differential.programs import PROGRAMS

pytestmark = pytest.mark.kfp
#: Programs with characters in a default that break the comment at the head of the file that kfp writes.
BREAK_THE_COMMENT = {
    "components: long texts are folded",
    "components: texts that yaml must quote",
    "odd_corners: windows-ish text and yaml specials in params",
}
#: Line breaks, as kfp writes them there, and as it should.
_BREAKS = {"\n": "\\n", "\u2028": "\\u2028"}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_same_document(name: str, tmp_path: Path) -> None:
    text = PRELUDE + PROGRAMS[name]
    theirs = compiled_by_kfp(text, tmp_path)
    linecache.clearcache()
    ours = compiled_by_headrace(text, tmp_path)
    expected = without_sdk_version(theirs)
    if name in BREAK_THE_COMMENT:
        expected = _with_whole_comment(expected)
        ours = ours.replace("'a\\r\\nb'", "'a\\nb'")  # kfp's text was read as text: one character of two
    assert without_sdk_version(ours) == expected


def _with_whole_comment(text: str) -> str:
    """The text of kfp, with the line breaks of defaults in its comment escaped."""
    comment, separator, body = text.partition("\ncomponents:\n")
    assert separator
    lines: list[str] = []
    for line in re.split("(?<=[\n\u2028])", comment):
        if lines and not line.startswith("#"):
            broken = lines.pop()
            line = broken[:-1] + _BREAKS[broken[-1]] + line
        lines.append(line)
    allowed = (
        one if one.isprintable() or one in "\t\n" else one.encode("unicode_escape").decode() for one in "".join(lines)
    )
    return "".join(allowed) + separator + body


def test_there_are_enough_programs() -> None:
    assert len(PROGRAMS) >= 120
