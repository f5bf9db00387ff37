"""How a failure can be fixed: by what is recorded of it, else by the page of its code."""

from __future__ import annotations

from headrace.engine.model import Json
from headrace.wire import api, codes

#: How pages begin where nothing is to be done.
_NOTHING = "Nothing to do"
#: How a value becomes one of another type, by the type that is wanted.
_CONVERSIONS = {
    "int": "`return int(x)`",
    "float": "`return float(x)`",
    "bool": "`return bool(x)`, or a comparison",
    "str": "`return str(x)`",
    "list": "`return list(x)`, or `x.tolist()` of an array",
    "dict": "`return dict(x)`, or `json.loads(x)` of a text",
}


def fix_of(code: str) -> str:
    """What the page of a code says is to be done."""
    page = codes.find(code)
    return page.fix if page and not page.fix.startswith(_NOTHING) else ""


def fix_for(one: api.Explanation) -> str:
    """How the state of a task can be changed to a better one; "" where nothing is to be done."""
    details = one.reason.details
    match one.reason.code:
        case "MODULE_NOT_FOUND" if one.failure is not None and one.failure.module:
            return _module(one.failure)
        case "OUTPUT_INVALID" if details.get("expected") in _CONVERSIONS:
            return _output(details)
        case "OUTPUT_MISSING" if details.get("function"):
            return _no_value(details)
        case "KILLED_BY_SIGNAL" if details.get("signal") in _OTHERS:
            return _OTHERS[details["signal"]]
    return fix_of(one.reason.code)


def _module(failure: api.FailureView) -> str:
    if failure.module.partition(".")[0] in ("pip", "setuptools", "pkg_resources", "distutils", "wheel"):
        return (
            f"Add packages_to_install={failure.packages!r} to the component's decorator: environments here have no pip "
            "and setuptools, which images of Python have."
        )
    return (
        f"Add packages_to_install={failure.packages!r} to the component's decorator; or, if {failure.module} is a "
        "module of your own, code=."
    )


def _output(details: dict[str, Json]) -> str:
    """For a value of another type than the declared one."""
    expected, got = details["expected"], details.get("got")
    if got == "NoneType":
        return _no_value(details)
    annotation = f", or declare the output as `{got}`" if got in _CONVERSIONS else ""
    return f"Give a value of that type, for instance {_CONVERSIONS[expected]}{annotation}."


def _no_value(details: dict[str, Json]) -> str:
    """For a function that came to its end without a value."""
    return (
        f"Return a value of type {details.get('expected')} on every way through the function: without `return`, a "
        "function gives None. An `OutputPath` must be written to."
    )


_FROM_OUTSIDE = (
    "The process was ended from outside: by a user, another program or the system. If that was not meant, retry: "
    "`headrace runs retry RUN`."
)
#: Signals that a program is seldom ended by on its own.
_OTHERS = {
    **dict.fromkeys(("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"), _FROM_OUTSIDE),
    "SIGKILL": "It was ended from outside: by a user or another program, or by the system when memory ran out. For "
    "memory, give the task a limit (`task.set_memory_limit`) or less data. Then retry: `headrace runs retry RUN`.",
}
