"""Channels inside Python texts: an f-string has a token of private-use characters for it, which is resolved later."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from headrace.dsl.errors import DslValueError

if TYPE_CHECKING:
    from headrace.dsl.pipeline_channel import PipelineChannel

_OPEN, _CLOSE = "\ue0d0", "\ue0d1"
# json.dumps and repr write such characters as escapes; the token must survive both.
# They put the same backslashes before both ends; further ones before the first end belong to the text.
# The last form is what `repr` gives: a person who prints a channel reads what it is, and a list's text still holds it.
_RUNS = "known when the pipeline runs #"
_TOKEN = re.compile(
    r"\ue0d0([0-9]+)\ue0d1|(?<!\\)(\\*)(\\{1,4})ue0d0([0-9]+)\3ue0d1|<[^<>\ue0d0\ue0d1]{1,400}, " + _RUNS + "([0-9]+)>"
)
_DAMAGED = re.compile(r"\ue0d0|\ue0d1|\\ue0d[01]")

#: Channel by number. Numbers are never reused, so a token cannot mean another pipeline's channel.
_channels: dict[int, PipelineChannel] = {}
_numbers: dict[int, int] = {}


def token(channel: PipelineChannel) -> str:
    """The text that stands for a channel."""
    return f"{_OPEN}{_number(channel)}{_CLOSE}"


def _number(channel: PipelineChannel) -> int:
    number = _numbers.get(id(channel))
    if number is None or _channels.get(number) is not channel:
        number = len(_channels)
        _channels[number] = channel
        _numbers[id(channel)] = number
    return number


def readable_token(channel: PipelineChannel) -> str:
    """The same for a reader: `<output 'Output' of task 'a': int, known when the pipeline runs #3>`."""
    return f"<{channel.described().removeprefix('the ')}: {channel.type}, {_RUNS}{_number(channel)}>"


def has_token(text: str) -> bool:
    return "ue0d" in text or _OPEN in text or _CLOSE in text or _RUNS in text


def channels_in_text(text: str) -> Iterator[PipelineChannel]:
    if has_token(text):
        yield from (_channel(found) for found in _TOKEN.finditer(text) if _is_known(found))


def replace_tokens(text: str, replacement: Callable[[PipelineChannel], str]) -> str:
    """The text with each channel replaced; a partial token is refused."""
    if not has_token(text):
        return text
    check_undamaged(text)
    return _TOKEN.sub(
        lambda found: (found[2] or "") + replacement(_channel(found)) if _is_known(found) else found[0], text
    )


def _is_known(found: re.Match[str]) -> bool:
    """A text that only looks like what `repr` gives, such as a message that an author has copied, is a text."""
    return found[5] is None or int(found[5]) in _channels


def _channel(found: re.Match[str]) -> PipelineChannel:
    return _channels[int(found[1] or found[4] or found[5])]


def check_undamaged(text: str) -> None:
    """Refuse a text with a partial token."""
    if has_token(text) and _DAMAGED.search(_TOKEN.sub("", text)):
        raise DslValueError(
            "A text with a pipeline value in it was sliced, split or changed letter by letter.",
            code="CHANNEL_TEXT_DAMAGED",
            hint="the value is known only when the pipeline runs: change the text inside a component.",
        )


def channels_in(value: Any) -> Iterator[PipelineChannel]:
    """Every channel in a value, also inside texts, lists and dicts."""
    from headrace.dsl.pipeline_channel import PipelineChannel

    if isinstance(value, PipelineChannel):
        yield value
    elif isinstance(value, str):
        yield from channels_in_text(value)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from channels_in(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from channels_in(key)
            yield from channels_in(item)
