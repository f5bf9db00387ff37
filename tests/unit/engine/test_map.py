"""The map at the head of `engine/advance.py` names every event, every follow-up, and the function that runs."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from typing import get_args

import pytest

from headrace.engine.model import AnyEvent
from headrace.engine.transition import FollowUp

advance = sys.modules["headrace.engine.advance"]
_ROW = re.compile(r"^(\w+) +(\w+)\.(\w+) +\S", re.MULTILINE)
ROWS = {name: (module, function) for name, module, function in _ROW.findall(inspect.getdoc(advance) or "")}
EVENTS = {event.__name__ for event in get_args(AnyEvent)}
FOLLOW_UPS = {follow_up.name: function for follow_up, function in advance._FOLLOW_UPS.items()}


def test_it_names_every_event_and_every_follow_up() -> None:
    assert set(ROWS) == EVENTS | set(FOLLOW_UPS)
    assert set(FOLLOW_UPS) == {follow_up.name for follow_up in FollowUp}


@pytest.mark.parametrize("name", sorted(EVENTS | set(FOLLOW_UPS)))
def test_it_names_the_function_that_runs(name: str) -> None:
    module, function = ROWS[name]
    named = getattr(importlib.import_module(f"headrace.engine.{module}"), function)
    if name in FOLLOW_UPS:
        assert FOLLOW_UPS[name] is named
    else:
        case = re.search(rf"case {name}\(\):\n +(\w+)\.(\w+)\(", inspect.getsource(advance._apply))
        assert case is not None
        assert case.groups() == (module, function)
