"""Lists: pages, sorting and filters over a fixed set of keys. User text only ever becomes a bound value."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    exists,
    false,
    func,
    literal,
    literal_column,
    or_,
    select,
    tuple_,
)

from headrace.store.dialect import bytewise
from headrace.store.errors import BadQuery
from headrace.store.records import ListQuery, Page, Predicate
from headrace.store.tables import tags

T = TypeVar("T")

DEFAULT_PAGE_SIZE = 20
MAX_PAGE_SIZE = 200
#: Things of a list are counted up to this number: to count a million takes longer than anybody wants to wait.
MOST_COUNTED = 10_000
_MAX_TOKEN = 16_384
#: Long texts are sorted by so many characters: the last one of a page is in the token of the next.
_SORTED_CHARS = 200

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
    #: A text of any length.
    long: bool = False
    #: A word in capital letters, asked for in any.
    capitals: bool = False
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
    #: How many there were when the list began.
    total: int


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
    total = _count(conn, narrowed, noun) if token is None else token.total
    order = _order(key)
    after = [] if token is None else [_after(order, noun.id, token)]
    page = narrowed.add_columns(order.label("sort_value"), noun.id.label("sort_id")).where(*after)
    by = (order.desc(), noun.id.desc()) if query.descending else (order.asc(), noun.id.asc())
    found = conn.execute(page.order_by(*by).limit(size + 1)).all()
    more = len(found) > size
    return Page(
        items=tuple(make(row) for row in found[:size]),
        total_size=total,
        next_page_token=_next(noun, query, scope, found[size - 1], total, secret) if more else "",
    )


def _count(conn: Connection, narrowed: Select[Any], noun: Noun) -> int:
    """How many there are, up to MOST_COUNTED."""
    some = narrowed.with_only_columns(noun.id).order_by(None).limit(MOST_COUNTED).subquery()
    return conn.execute(select(func.count()).select_from(some)).scalar_one()


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
    """What a list is sorted by. Of the runs' usual keys, each is just what an index of the table has."""
    if key.words is not None:
        return cast("ColumnElement[Any]", key.column)
    # Null sorts as the smallest, and text by the numbers of its letters: the same in both databases.
    column = key.column
    if getattr(column, "nullable", True):
        column = func.coalesce(column, literal_column("0.0" if key.time else "''"))
    if key.long:
        column = func.substr(column, 1, _SORTED_CHARS)
    return cast("ColumnElement[Any]", column if key.time else bytewise(column))


def _scope(noun: Noun, query: ListQuery) -> list[ColumnElement[bool]]:
    wanted = ((noun.namespace, query.namespace), (noun.experiment, query.experiment_id))
    narrowed = [column == value for column, value in wanted if column is not None and value is not None]
    if noun.namespace is not None and query.namespaces is not None:
        narrowed.append(noun.namespace.in_(sorted(query.namespaces)))
    return narrowed


def _after(order: ColumnElement[Any], ident: Any, token: _Token) -> ColumnElement[bool]:
    # Row values: databases begin to walk an index there. Bound values, also when they are true or false.
    place, last = tuple_(order, ident), tuple_(literal(token.value), literal(token.id))
    return place < last if token.descending else place > last


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
        return _is_one_of(key, predicate.value)
    if predicate.operation not in _COMPARISONS:
        raise BadQuery("BAD_FILTER_OPERATION", f"{predicate.operation!r} is not a filter operation.")
    return _compare(key, predicate.operation, predicate.value)


def _is_one_of(key: Key, values: Sequence[Any]) -> ColumnElement[bool]:
    if key.time or key.words is not None:
        return or_(false(), *(_compare(key, "EQUALS", value) for value in values))
    texts = [str(value).upper() if key.capitals else str(value) for value in values]
    return cast("ColumnElement[bool]", key.column.in_(texts))


def _compare(key: Key, operation: str, value: Any) -> ColumnElement[bool]:
    if key.time:
        return _compare_times(_order(key), operation, _seconds(value))
    if key.words is not None:
        return _compare_words(key, operation, str(value).upper())
    return _COMPARISONS[operation](key.column, str(value).upper() if key.capitals else str(value))


def _compare_words(key: Key, operation: str, value: str) -> ColumnElement[bool]:
    """As KFP does: the words are compared as texts, whatever the column holds for them."""
    words = key.words or {}
    if value not in words:
        raise BadQuery("BAD_FILTER_VALUE", f"{value!r} is none of {', '.join(sorted(words))}.")
    # The first word for a value is its own; the others mean the same.
    own = {held: word for word, held in reversed(list(words.items()))}
    meant = [held for held, word in own.items() if _COMPARISONS[operation](word, own[words[value]])]
    return or_(false(), *(key.column == held for held in meant))


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


def _next(noun: Noun, query: ListQuery, scope: str, last: Row[Any], total: int, secret: bytes) -> str:
    token = _Token(
        noun.name, scope, query.sort_by, query.descending, query.predicates, query.namespace, query.experiment_id,
        last.sort_value, last.sort_id, total,
    )  # fmt: skip
    body = msgspec.json.encode(token)
    return base64.urlsafe_b64encode(_sign(body, secret) + body).decode()


def _sign(body: bytes, secret: bytes) -> bytes:
    return hmac.new(secret, body, hashlib.sha256).digest()


def _resume(noun: Noun, query: ListQuery, secret: bytes, scope: str) -> tuple[ListQuery, _Token | None]:
    """The query a token stands for; what the caller says beside it must agree with it."""
    if not query.page_token:
        return msgspec.structs.replace(query, sort_by=query.sort_by or "created_at"), None
    token = _open_token(query.page_token, secret)
    agrees = (
        token.noun == noun.name
        and token.scope == scope
        and query.sort_by in ("", token.sort_by)
        and (query.descending == token.descending or not (query.sort_by or query.descending))
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
