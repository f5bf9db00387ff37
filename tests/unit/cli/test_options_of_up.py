"""Values of `headrace up`'s options: spans of time, sizes, devices."""

from __future__ import annotations

from typing import Any

import click
import pytest

from headrace.cli.up import _devices, _size, _span

CONTEXT: Any = None
OPTION: Any = None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("15m", 900), ("12h", 43_200), ("30d", 2_592_000), ("36500d", 3_153_600_000), (None, None)],
)
def test_a_span(text: str | None, seconds: float | None) -> None:
    assert _span(CONTEXT, OPTION, text) == seconds


@pytest.mark.parametrize("text", ["", "0s", "12", "h", "-1h", "1.5h", "1w", "36501d", "9" * 30 + "d"])
def test_what_is_not_a_span(text: str) -> None:
    with pytest.raises(click.BadParameter):
        _span(CONTEXT, OPTION, text)


@pytest.mark.parametrize(("text", "count"), [("1Mi", 1 << 20), ("12Gi", 12 << 30), ("8e9", 8 * 10**9), (None, None)])
def test_a_size(text: str | None, count: int | None) -> None:
    assert _size(CONTEXT, OPTION, text) == count


@pytest.mark.parametrize("text", ["1023Ki", "12", "much", "1e300"])
def test_what_is_not_a_size(text: str) -> None:
    with pytest.raises(click.BadParameter):
        _size(CONTEXT, OPTION, text)


def test_devices() -> None:
    assert _devices(CONTEXT, OPTION, ("nvidia.com/gpu=0,1", "tpu=a")) == {"nvidia.com/gpu": ("0", "1"), "tpu": ("a",)}
    assert _devices(CONTEXT, OPTION, ()) is None


@pytest.mark.parametrize("word", ["gpu", "=0", "gpu=0,0"])
def test_what_is_not_a_device(word: str) -> None:
    with pytest.raises(click.BadParameter):
        _devices(CONTEXT, OPTION, (word,))
