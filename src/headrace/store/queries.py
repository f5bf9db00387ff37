"""Lists: pages, sorting and filters over a fixed set of keys. User text only ever becomes a bound value."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, Select, and_, exists, false, func, literal, or_, select

from headrace.store.dialect import bytewise
from headrace.store.errors import BadQuery
from headrace.store.records import ListQuery, Page, Predicate
from headrace.store.tables import tags

T = TypeVar("T")

DEFAULT_PAGE_SIZE = 20
MAX_PAGE_SIZE = 200
_MAX_TOKEN = 16_384

_COMPARISONS: Mapping[str, Callable[[Any, Any], ColumnElement[bool]]] = {
    "EQUALS": lambda column, value: column == value,
    "NOT_EQUALS": lambda column, value: column != value,
    "GREATER_THAN": lambda column, value: column > value,
    "GREATER_THAN_EQUALS": lambda column, value: column >= value,
    "LESS_THAN": lambda column, value: column < value,
    "LESS_THAN_EQUALS": lambda column, value: column <= value,
}


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """What a list may be sorted and filtered by."""

    column: Any
    #: Seconds since the epoch; compared by whole seconds, as KFP's times are.
    time: bool = False
    #: Word -> what the column holds, for keys whose words are not the column's.
    words: Mapping[str, Any] | None = None


class Noun(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of list."""

    name: str
    id: Any
    keys: Mapping[str, Key]
    namespace: Any | None = None
    experiment: Any | None = None
    tagged: bool = False


class _Token(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where a list stopped, and what it was a list of."""

    noun: str
    scope: str
    sort_by: str
    descending: bool
    predicates: tuple[Predicate, ...]
    namespace: str | None
    experiment_id: str | None
    value: Any
    id: str


def fetch_page(
    conn: Connection,
    noun: Noun,
    rows: Select[Any],
    query: ListQuery,
    *,
    secret: bytes,
    make: Callable[[Row[Any]], T],
    scope: str = "",
) -> Page[T]:
    """One page of `rows`. `scope` names what the caller narrowed `rows` to; a token is good for that only."""
    query, token = _resume(noun, query, secret, scope)
    size = _page_size(query.page_size)
    key = _key(noun, query.sort_by)
    narrowed = rows.where(*_scope(noun, query), *(_condition(noun, one) for one in query.predicates))
    total = conn.execute(select(func.count()).select_from(narrowed.subquery())).scalar_one()
    order = _order(key)
    after = [] if token is None else [_after(order, bytewise(noun.id), token)]
    ident = bytewise(noun.id)
    page = narrowed.add_columns(order.label("sort_value"), noun.id.label("sort_id")).where(*after)
    by = (order.desc(), ident.desc()) if query.descending else (order.asc(), ident.asc())
    found = conn.execute(page.order_by(*by).limit(size + 1)).all()
    more = len(found) > size
    return Page(
        items=tuple(make(row) for row in found[:size]),
        total_size=total,
        next_page_token=_next(noun, query, scope, found[size - 1], secret) if more else "",
    )


def _page_size(asked: int) -> int:
    if asked < 0:
        raise BadQuery("BAD_PAGE_SIZE", f"page_size is {asked}; use 1 to {MAX_PAGE_SIZE}, or 0 for the default.")
    return min(asked or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)


def _key(noun: Noun, name: str) -> Key:
    if name not in noun.keys:
        raise BadQuery("BAD_SORT_KEY", f"{noun.name}s cannot be sorted by {name!r}; use one of {_listed(noun)}.")
    return noun.keys[name]


def _listed(noun: Noun) -> str:
    return ", ".join(sorted(noun.keys)) + (", tags.<key>" if noun.tagged else "")


def _order(key: Key) -> ColumnElement[Any]:
    if key.words is not None:
        return cast("ColumnElement[Any]", key.column)
    # Null sorts as the smallest, and text by the numbers of its letters: the same in both databases.
    return func.coalesce(key.column, literal(0.0)) if key.time else bytewise(func.coalesce(key.column, literal("")))


def _scope(noun: Noun, query: ListQuery) -> list[ColumnElement[bool]]:
    wanted = ((noun.namespace, query.namespace), (noun.experiment, query.experiment_id))
    narrowed = [column == value for column, value in wanted if column is not None and value is not None]
    if noun.namespace is not None and query.namespaces is not None:
        narrowed.append(noun.namespace.in_(sorted(query.namespaces)))
    return narrowed


def _after(order: ColumnElement[Any], ident: Any, token: _Token) -> ColumnElement[bool]:
    # A bound value, also when it is true or false.
    last: ColumnElement[Any] = literal(token.value)
    if token.descending:
        return or_(order < last, and_(order == last, ident < token.id))
    return or_(order > last, and_(order == last, ident > token.id))


# --- filters -----------------------------------------------------------------------------------


def _condition(noun: Noun, predicate: Predicate) -> ColumnElement[bool]:
    if noun.tagged and predicate.key.startswith("tags."):
        return _tag_condition(noun, predicate)
    if predicate.key not in noun.keys:
        raise BadQuery(
            "BAD_FILTER_KEY", f"{noun.name}s cannot be filtered by {predicate.key!r}; use one of {_listed(noun)}."
        )
    key = noun.keys[predicate.key]
    if predicate.operation == "IS_SUBSTRING":
        return func.lower(key.column).contains(str(predicate.value).lower(), autoescape=True)
    if predicate.operation == "IN":
        return or_(false(), *(_equals(key, value) for value in predicate.value))
    if predicate.operation not in _COMPARISONS:
        raise BadQuery("BAD_FILTER_OPERATION", f"{predicate.operation!r} is not a filter operation.")
    return _compare(key, predicate.operation, predicate.value)


def _equals(key: Key, value: Any) -> ColumnElement[bool]:
    return _compare(key, "EQUALS", value)


def _compare(key: Key, operation: str, value: Any) -> ColumnElement[bool]:
    if key.time:
        return _compare_times(_order(key), operation, _seconds(value))
    return _COMPARISONS[operation](key.column, str(value) if key.words is None else _word(key.words, str(value)))


def _word(words: Mapping[str, Any], value: str) -> Any:
    if value.upper() not in words:
        raise BadQuery("BAD_FILTER_VALUE", f"{value!r} is none of {', '.join(sorted(words))}.")
    return words[value.upper()]


def _compare_times(column: ColumnElement[Any], operation: str, second: float) -> ColumnElement[bool]:
    """Compare by whole seconds: what happened at 12.7 EQUALS 12."""
    match operation:
        case "EQUALS":
            return and_(column >= second, column < second + 1)
        case "NOT_EQUALS":
            return or_(column < second, column >= second + 1)
        case "GREATER_THAN":
            return column >= second + 1
        case "LESS_THAN_EQUALS":
            return column < second + 1
        case _:
            return _COMPARISONS[operation](column, second)


def _seconds(value: Any) -> float:
    """Epoch seconds from a number, the text of one, or an ISO 8601 text."""
    try:
        number = _iso(value) if isinstance(value, str) else float(value)
    except (ValueError, TypeError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise BadQuery("BAD_FILTER_VALUE", f"{value!r} is not a time; use RFC 3339 or seconds since 1970.")
    return float(math.floor(number))


def _iso(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _tag_condition(noun: Noun, predicate: Predicate) -> ColumnElement[bool]:
    if predicate.operation != "EQUALS" or not isinstance(predicate.value, str):
        raise BadQuery("BAD_FILTER_OPERATION", "Tags can only be filtered by EQUALS with a text.")
    name = predicate.key.removeprefix("tags.")
    return exists(select(1).where(tags.c.owner_id == noun.id, tags.c.key == name, tags.c.value == predicate.value))


# --- page tokens -------------------------------------------------------------------------------


def _next(noun: Noun, query: ListQuery, scope: str, last: Row[Any], secret: bytes) -> str:
    token = _Token(
        noun.name, scope, query.sort_by, query.descending, query.predicates, query.namespace, query.experiment_id,
        last.sort_value, last.sort_id,
    )  # fmt: skip
    body = msgspec.json.encode(token)
    return base64.urlsafe_b64encode(_sign(body, secret) + body).decode()


def _sign(body: bytes, secret: bytes) -> bytes:
    return hmac.new(secret, body, hashlib.sha256).digest()


def _resume(noun: Noun, query: ListQuery, secret: bytes, scope: str) -> tuple[ListQuery, _Token | None]:
    """The query a token stands for; what the caller says beside it must agree with it."""
    if not query.page_token:
        return query, None
    token = _open_token(query.page_token, secret)
    plain = ListQuery()
    agrees = (
        token.noun == noun.name
        and token.scope == scope
        and query.sort_by in (plain.sort_by, token.sort_by)
        and query.descending in (plain.descending, token.descending)
        and (not query.predicates or _same(query.predicates, token.predicates))
        and query.namespace in (None, token.namespace)
        and query.experiment_id in (None, token.experiment_id)
    )
    if not agrees:
        raise BadQuery("BAD_PAGE_TOKEN", "The page token belongs to another list; ask again with what began that list.")
    resumed = msgspec.structs.replace(
        query,
        sort_by=token.sort_by,
        descending=token.descending,
        predicates=token.predicates,
        namespace=token.namespace,
        experiment_id=token.experiment_id,
    )
    return resumed, token


def _same(one: tuple[Predicate, ...], other: tuple[Predicate, ...]) -> bool:
    # As text: a token's lists come back as lists, whatever they were.
    return msgspec.json.encode(one) == msgspec.json.encode(other)


def _open_token(text: str, secret: bytes) -> _Token:
    try:
        if len(text) > _MAX_TOKEN:
            raise ValueError("too long")
        raw = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
        if not hmac.compare_digest(raw[:32], _sign(raw[32:], secret)):
            raise ValueError("forged")
        return msgspec.json.decode(raw[32:], type=_Token)
    except (ValueError, binascii.Error, UnicodeEncodeError, msgspec.MsgspecError) as error:
        raise BadQuery(
            "BAD_PAGE_TOKEN", "The page token is not one this server gave out; begin the list again."
        ) from error
