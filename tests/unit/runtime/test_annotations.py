"""Annotations as the runtime reads them."""

from __future__ import annotations

from typing import Any, Optional, Union

import pytest

from headrace.runtime.annotations import accepts_none, strip_optional


@pytest.mark.parametrize(
    ("annotation", "stripped", "none"),
    [
        (int, int, False),
        (Optional[int], int, True),
        (int | None, int, True),
        (Union[int, str], Union[int, str], False),
        (Optional[Union[int, str]], Optional[Union[int, str]], True),
        (int | str | None, int | str | None, True),
        (None, None, True),
    ],
)
def test_optional(annotation: Any, stripped: Any, none: bool) -> None:
    assert strip_optional(annotation) == stripped
    assert accepts_none(annotation) is none
