"""Values on their way between JSON and the user's function."""

from __future__ import annotations

from headrace.runtime import plain
from headrace.runtime.annotations import accepts_none, is_of_typing, origin_of, strip_optional
from headrace.runtime.problems import Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PLAIN = (str, int, float, bool, list, dict)


# --- into the function -----------------------------------------------------------------------


def to_argument(value: Any, annotation: Any) -> Any:
    """A parameter's JSON value, converted to the type of its annotation."""
    wanted = strip_optional(annotation)
    if wanted is float and type(value) is int:
        return float(value)
    if wanted is int and type(value) is float and value.is_integer():
        return int(value)
    if hasattr(wanted, "model_validate"):
        return wanted.model_validate(value)
    if isinstance(wanted, type) and hasattr(wanted, "__members__"):
        return wanted(value)
    return value


# --- out of the function ---------------------------------------------------------------------


def to_json(name: str, value: Any, annotation: Any) -> Any:
    """What the function returned for output `name`, checked against its annotation, as a JSON value."""
    if value is None and accepts_none(annotation):
        return None
    wanted = strip_optional(annotation)
    if hasattr(wanted, "model_validate") and hasattr(value, "model_dump"):
        return value.model_dump(mode="json", by_alias=True)
    if isinstance(wanted, type) and hasattr(wanted, "__members__") and isinstance(value, wanted):
        return getattr(value, "value")  # noqa: B009
    value = _scalar(value)
    _check_type(name, value, wanted)
    return strict(f"output {name!r}", float(value) if wanted is float else value, output=name)


def _scalar(value: Any) -> Any:
    """A zero-dimensional number of numpy, torch and the like as Python's own."""
    if type(value) in _PLAIN or not hasattr(value, "dtype"):
        return value
    return value.item() if getattr(value, "shape", None) == () else value


def _check_type(name: str, value: Any, wanted: Any) -> None:
    plain = _plain_type(wanted)
    if plain is None:
        return
    accepted = (int, float) if plain is float else plain
    if isinstance(value, accepted) and not (isinstance(value, bool) and plain in (int, float)):
        return
    raise _wrong_type(name, value, plain)


def _plain_type(wanted: Any) -> Any:
    """The JSON-able type an annotation stands for; None if any type is allowed."""
    if is_of_typing(origin_of(wanted), "Literal"):
        return type(wanted.__args__[0])
    wanted = origin_of(wanted) or wanted
    return wanted if wanted in _PLAIN else None


def _wrong_type(name: str, value: Any, wanted: type) -> Problem:
    got = type_name(value)
    message = f"output {name!r} must be {wanted.__name__}, but the function returned {got}."
    if hasattr(value, "tolist") and wanted is list:
        message += " Return value.tolist() instead."
    return Problem("OUTPUT_INVALID", message, output=name, expected=wanted.__name__, got=got)


def type_name(value: Any) -> str:
    """A value's type as a person writes it: `int`, `numpy.ndarray`."""
    kind = type(value)
    return kind.__name__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{kind.__qualname__}"


def strict(what: str, value: Any, **details: Any) -> Any:
    """`value` as it comes back from JSON; refuses what JSON cannot hold."""
    try:
        text = plain.dumps(value, allow_nan=False, default=_unusual)
        if "\\ud" in text:
            _refuse_half_characters(text)
    except (TypeError, ValueError, RecursionError) as error:
        where, why = find_fault(value) or ("", str(error) or type(error).__name__)
        raise Problem("OUTPUT_INVALID", f"{what}{where} {why}", got=type_name(value), **details) from None
    return plain.loads(text)


def without_odd_numbers(value: Any, depth: int = 0) -> Any:
    """The value with the words `NaN`, `Infinity` and `-Infinity` for the numbers that JSON cannot say.

    For metadata: a metric that is NaN must not cost the work of the task. The words are those of protobuf's JSON.
    """
    if depth > 200:
        return value
    if isinstance(value, dict):
        return {key: without_odd_numbers(member, depth + 1) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_odd_numbers(member, depth + 1) for member in value]
    number = _scalar(value)
    if isinstance(number, float) and number - number != 0:
        return "NaN" if number != number else "Infinity" if number > 0 else "-Infinity"
    return value


def _refuse_half_characters(text: str) -> None:
    """Refuse a lone surrogate: escaped it passes as JSON, and every reader of UTF-8 fails on it."""
    import json

    json.dumps(json.loads(text), ensure_ascii=False).encode("utf-8")


def _unusual(value: Any) -> Any:
    """Numbers of numpy and the like inside lists and dicts."""
    plain = _scalar(value)
    if plain is value:
        raise TypeError(type_name(value))
    return plain


def find_fault(value: Any, where: str = "", depth: int = 0) -> tuple[str, str] | None:
    """The path and the fault of something in a value that JSON cannot hold: `("['auc'][3]", "is NaN …")`."""
    if depth > 200:
        return where[:60] + "…", "is nested too deeply."
    if isinstance(value, dict):
        return _fault_in(value.items(), where, depth)
    if isinstance(value, (list, tuple)):
        return _fault_in(enumerate(value), where, depth)
    value = _scalar(value)
    if isinstance(value, float) and value - value != 0:
        name = "NaN" if value != value else "infinite"
        return where, f"is {name}, which JSON cannot say. Return a finite number, or a text of an output that is a str."
    if isinstance(value, str):
        return _fault_of_text(value, where)
    if value is None or isinstance(value, _PLAIN):
        return None
    return where, f"is a {type_name(value)}, which JSON cannot say. Return str, int, float, bool, list or dict."


def _fault_in(items: Any, where: str, depth: int) -> tuple[str, str] | None:
    for key, member in items:
        if not isinstance(key, (str, int, float, bool)) and key is not None:
            return where, f"has a key of type {type_name(key)}; keys must be texts."
        found = (isinstance(key, str) and _fault_of_text(key, f"{where}[{key!r}]")) or find_fault(
            member, f"{where}[{key!r}]", depth + 1
        )
        if found:
            return found
    return None


def _fault_of_text(value: str, where: str) -> tuple[str, str] | None:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return where, "holds a lone surrogate, which UTF-8 cannot say."
    return None
