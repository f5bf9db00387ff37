"""What a handler asks its session, read from its compiled code: so that the route table can compare it with the route.

Only the expression `call.session.METHOD` is allowed, in the handler and in the functions of the server that it uses:
a session in a variable could be asked for anything.
"""

from __future__ import annotations

import dis
from collections.abc import Callable, Iterator
from functools import cache, partial
from types import CodeType, FunctionType
from typing import Any

_ATTRIBUTE = frozenset({"LOAD_ATTR", "LOAD_METHOD"})
_ROOM = "headrace.server"


class HandlerError(Exception):
    """A handler uses its session in a way that cannot be followed."""


def asked_of_session(handler: Callable[..., Any]) -> frozenset[str]:
    """Names of the methods of `Session` that the handler, or a function of the server that it uses, can call."""
    seen: set[FunctionType] = set()
    return frozenset(_asked(handler, seen))


def _asked(value: Any, seen: set[FunctionType]) -> Iterator[str]:
    if isinstance(value, partial):
        for part in (value.func, *value.args, *value.keywords.values()):
            yield from _asked(part, seen)
    if not isinstance(value, FunctionType) or value in seen or not _is_ours(value):
        return
    seen.add(value)
    for code in _codes(value.__code__):
        yield from _methods(code, value.__qualname__)
        for name in code.co_names:
            yield from _asked(value.__globals__.get(name), seen)
    for cell in value.__closure__ or ():
        yield from _asked(cell.cell_contents, seen)


def _is_ours(function: FunctionType) -> bool:
    # Other rooms know no requests; the handlers of a test are looked at, too.
    module = function.__module__ or ""
    return module.startswith(_ROOM) or not module.startswith("headrace")


def _codes(code: CodeType) -> Iterator[CodeType]:
    """The code with that of the functions and comprehensions inside."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


@cache
def _methods(code: CodeType, where: str) -> tuple[str, ...]:
    if "session" not in code.co_names:
        return ()  # To read the steps takes a thousand times as long.
    found: list[str] = []
    steps = [step for step in dis.get_instructions(code) if step.opname not in ("CACHE", "EXTENDED_ARG")]
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        if step.opname not in _ATTRIBUTE or step.argval != "session":
            continue
        if following is None or following.opname not in _ATTRIBUTE:
            raise HandlerError(f"{where} hands its session on; write call.session.METHOD(...) where it is used.")
        found.append(str(following.argval))
    return tuple(found)
