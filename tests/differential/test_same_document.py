"""The same program, compiled by kfp 2.17 and by headrace: the same bytes, apart from the line that says who wrote it."""

from __future__ import annotations

import linecache
from pathlib import Path

import pytest

from differential.compiled import PRELUDE, compiled_by_headrace, compiled_by_kfp, without_sdk_version
from differential.programs import PROGRAMS

pytestmark = pytest.mark.kfp


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_same_document(name: str, tmp_path: Path) -> None:
    text = PRELUDE + PROGRAMS[name]
    theirs = compiled_by_kfp(text, tmp_path)
    linecache.clearcache()
    ours = compiled_by_headrace(text, tmp_path)
    assert without_sdk_version(ours) == without_sdk_version(theirs)


def test_there_are_enough_programs() -> None:
    assert len(PROGRAMS) >= 120
