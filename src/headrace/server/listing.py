"""KFP's list grammar: page_size, page_token, sort_by and the JSON filter. Which keys there are, the store knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import msgspec

from headrace.server.errors import HttpError
from headrace.store.records import ListQuery, Predicate
from headrace.wire.protojson import snake_case
from headrace.wire.times import parse as parse_time

MAX_PAGE_SIZE = 200
_MAX_FILTER_CHARS = 32_768
_MAX_PREDICATES = 50
_MAX_LIST_VALUES = 500

_BY_NUMBER = {
    1: "EQUALS",
    2: "NOT_EQUALS",
    3: "GREATER_THAN",
    5: "GREATER_THAN_EQUALS",
    6: "LESS_THAN",
    7: "LESS_THAN_EQUALS",
    8: "IN",
    9: "IS_SUBSTRING",
}
_OPERATIONS = frozenset(_BY_NUMBER.values())
_VALUES = (
    "int_value",
    "long_value",
    "string_value",
    "timestamp_value",
    "int_values",
    "long_values",
    "string_values",
)


def list_query(
    query: Mapping[str, str], *, experiment_id: str | None = None, extra: tuple[Predicate, ...] = ()
) -> ListQuery:
    """The query parameters of a list call as a question to the store. Raises HttpError (400)."""
    sort_by, descending = _sort(query.get("sort_by", ""))
    return ListQuery(
        page_size=_page_size(query.get("page_size", "")),
        page_token=query.get("page_token", ""),
        sort_by=sort_by,
        descending=descending,
        predicates=(*_filter(query.get("filter", "")), *extra),
        experiment_id=experiment_id,
    )


def newest_first(query: Mapping[str, str]) -> dict[str, str]:
    """What a list of our own API is asked: the newest things first, where neither it nor its page token says more."""
    given = {name: query[name] for name in ("page_size", "page_token", "sort_by", "filter") if query.get(name)}
    return given if given.get("page_token") else {"sort_by": "created_at desc", **given}


def _bad(code: str, message: str) -> HttpError:
    return HttpError(400, code, message)


def _page_size(text: str) -> int:
    if not text:
        return 20
    try:
        size = int(text) if len(text) < 12 else -1
    except ValueError:
        size = -1
    if size < 0:
        raise _bad("PAGE_SIZE_INVALID", f"page_size must be a number from 0 to {MAX_PAGE_SIZE}, not {text[:40]!r}.")
    return min(size, MAX_PAGE_SIZE) or 20


def _sort(text: str) -> tuple[str, bool]:
    words = text.split()
    if not words:
        return "", False
    direction = words[1].lower() if len(words) == 2 else "asc"
    if len(words) > 2 or direction not in ("asc", "desc"):
        raise _bad("SORT_INVALID", f'sort_by must be "KEY", "KEY asc" or "KEY desc", not {text[:80]!r}.')
    # As in KFP, a key may be written in capitals; what a tag is called may have some.
    return words[0] if words[0].startswith("tags.") else words[0].lower(), direction == "desc"


def _filter(text: str) -> tuple[Predicate, ...]:
    if not text:
        return ()
    if len(text) > _MAX_FILTER_CHARS:
        raise _bad("FILTER_TOO_LARGE", f"The filter is longer than {_MAX_FILTER_CHARS} characters.")
    raw = _decoded(text)
    clauses = raw.get("predicates", []) if isinstance(raw, dict) else None
    if not isinstance(clauses, list) or set(raw) - {"predicates"}:
        raise _bad("FILTER_INVALID", 'The filter must be a JSON object {"predicates": [...]}.')
    if len(clauses) > _MAX_PREDICATES:
        raise _bad("FILTER_TOO_LARGE", f"The filter has more than {_MAX_PREDICATES} predicates.")
    return tuple(_clause(clause) for clause in clauses)


def _decoded(text: str) -> Any:
    """The JSON; clients may have URL-encoded it once more."""
    for candidate in (text, unquote(text)):
        try:
            return msgspec.json.decode(candidate)
        except (msgspec.DecodeError, RecursionError):
            continue
    raise _bad("FILTER_INVALID", "The filter is not JSON.")


def _clause(raw: Any) -> Predicate:
    if not isinstance(raw, dict):
        raise _bad("FILTER_INVALID", "Each predicate must be a JSON object.")
    clause = {snake_case(name): value for name, value in raw.items()}
    if unknown := set(clause) - {"operation", "key", *_VALUES}:
        raise _bad("FILTER_INVALID", f"A predicate has no field {sorted(unknown)[0][:80]!r}.")
    operation = _operation(clause.get("operation"))
    name = clause.get("key")
    if not isinstance(name, str) or not name:
        raise _bad("FILTER_INVALID", "Each predicate needs a key.")
    return Predicate(key=name, operation=operation, value=_value(clause, operation))


def _operation(raw: Any) -> str:
    name = _BY_NUMBER.get(raw, "") if isinstance(raw, int) else raw
    if not isinstance(name, str) or name not in _OPERATIONS:
        raise _bad("FILTER_INVALID", f"A predicate's operation must be one of {', '.join(sorted(_OPERATIONS))}.")
    return name


def _value(clause: dict[str, Any], operation: str) -> Any:
    given = [name for name in _VALUES if clause.get(name) is not None]
    if len(given) != 1:
        raise _bad("FILTER_INVALID", f"Each predicate needs exactly one value: {', '.join(_VALUES)}.")
    kind = given[0]
    if kind.endswith("s") != (operation == "IN"):
        raise _bad("FILTER_INVALID", "IN needs a list (int_values, long_values, string_values); the others one value.")
    if operation == "IS_SUBSTRING" and kind != "string_value":
        raise _bad("FILTER_INVALID", "IS_SUBSTRING needs a string_value.")
    raw = clause[kind]
    return _list(kind, raw) if operation == "IN" else _scalar(kind, raw)


def _list(kind: str, raw: Any) -> list[Any]:
    values = raw.get("values", []) if isinstance(raw, dict) else None
    if not isinstance(values, list) or len(values) > _MAX_LIST_VALUES:
        raise _bad("FILTER_INVALID", f'{kind} must be {{"values": [...]}} with at most {_MAX_LIST_VALUES} values.')
    return [_scalar(kind.removesuffix("s"), value) for value in values]


def _scalar(kind: str, raw: Any) -> Any:
    if kind == "timestamp_value":
        return float(int(_seconds(raw)))
    if kind == "string_value":
        if isinstance(raw, str):
            return raw
    elif isinstance(raw, int) and not isinstance(raw, bool):
        return raw
    elif kind == "long_value" and isinstance(raw, str) and raw.lstrip("-").isdigit() and len(raw) < 20:
        return int(raw)
    raise _bad("FILTER_INVALID", f"{str(raw)[:80]!r} is not a {kind}.")


def _seconds(raw: Any) -> float:
    try:
        return parse_time(raw)
    except (ValueError, TypeError, AttributeError, OverflowError):
        raise _bad("FILTER_INVALID", f"{str(raw)[:80]!r} is not a time; write it as 2026-01-31T12:00:00Z.") from None
