"""KFP's list grammar."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.server.errors import HttpError
from headrace.server.listing import list_query
from headrace.store.records import ListQuery, Predicate


def one(**clause: object) -> Predicate:
    (predicate,) = list_query({"filter": json.dumps({"predicates": [clause]})}).predicates
    return predicate


def test_nothing_asked_is_the_first_page_oldest_first() -> None:
    assert list_query({}) == ListQuery(page_size=20, sort_by="", descending=False)


@pytest.mark.parametrize(
    ("given", "size"), [("", 20), ("0", 20), ("7", 7), ("200", 200), ("201", 200), ("99999999", 200)]
)
def test_page_sizes(given: str, size: int) -> None:
    assert list_query({"page_size": given}).page_size == size


@pytest.mark.parametrize("given", ["-1", "x", "1.5", "1e3", "9" * 5000, "\u0663\u0663x"])
def test_bad_page_sizes(given: str) -> None:
    with pytest.raises(HttpError) as caught:
        list_query({"page_size": given})
    assert (caught.value.status, caught.value.code) == (400, "PAGE_SIZE_INVALID")


@pytest.mark.parametrize(
    ("given", "key", "descending"),
    [
        ("name", "name", False),
        ("name asc", "name", False),
        ("created_at DESC", "created_at", True),
        (" id  desc ", "id", True),
    ],
)
def test_sorting(given: str, key: str, descending: bool) -> None:
    query = list_query({"sort_by": given})
    assert (query.sort_by, query.descending) == (key, descending)


@pytest.mark.parametrize("given", ["name down", "name asc desc", "name, id"])
def test_bad_sorting(given: str) -> None:
    with pytest.raises(HttpError) as caught:
        list_query({"sort_by": given})
    assert caught.value.code == "SORT_INVALID"


def test_operations_by_name_and_number_keys_in_both_cases() -> None:
    expected = Predicate(key="name", operation="EQUALS", value="x")
    assert one(operation="EQUALS", key="name", string_value="x") == expected
    assert one(operation=1, key="name", stringValue="x") == expected
    assert one(operation="IN", key="id", stringValues={"values": ["a", "b"]}).value == ["a", "b"]
    assert one(operation=8, key="id", int_values={"values": [1]}).value == [1]
    assert one(operation="EQUALS", key="x", long_value="12").value == 12


def test_times_become_seconds() -> None:
    assert one(operation=7, key="created_at", timestamp_value="1970-01-01T00:01:00.9Z").value == 60.0
    assert one(operation=7, key="created_at", timestampValue="1970-01-01T01:01:00+01:00").value == 60.0


def test_a_filter_encoded_twice_is_read() -> None:
    text = json.dumps({"predicates": [{"operation": "EQUALS", "key": "name", "string_value": "100% +x"}]})
    assert list_query({"filter": quote(text)}).predicates == list_query({"filter": text}).predicates


@pytest.mark.parametrize(
    "given",
    [
        "x",
        "[]",
        "1",
        '{"predicates": 1}',
        '{"other": []}',
        '{"predicates": [1]}',
        '{"predicates": [{}]}',
        '{"predicates": [{"operation": "LIKE", "key": "name", "string_value": "x"}]}',
        '{"predicates": [{"operation": 4, "key": "name", "string_value": "x"}]}',
        '{"predicates": [{"operation": "EQUALS", "key": "", "string_value": "x"}]}',
        '{"predicates": [{"operation": "EQUALS", "key": 1, "string_value": "x"}]}',
        '{"predicates": [{"operation": "EQUALS", "key": "name"}]}',
        '{"predicates": [{"operation": "EQUALS", "key": "name", "string_value": "x", "int_value": 1}]}',
        '{"predicates": [{"operation": "EQUALS", "key": "name", "string_values": {"values": ["x"]}}]}',
        '{"predicates": [{"operation": "IN", "key": "name", "string_value": "x"}]}',
        '{"predicates": [{"operation": "IN", "key": "name", "string_values": ["x"]}]}',
        '{"predicates": [{"operation": "IS_SUBSTRING", "key": "name", "int_value": 1}]}',
        '{"predicates": [{"operation": "EQUALS", "key": "name", "string_value": 1}]}',
        '{"predicates": [{"operation": "EQUALS", "key": "name", "int_value": true}]}',
        '{"predicates": [{"operation": "EQUALS", "key": "name", "timestamp_value": "yesterday"}]}',
        '{"predicates": [{"operation": "EQUALS", "key": "name", "timestamp_value": 7}]}',
        '{"predicates": [{"operation": "EQUALS", "key": "name", "string_value": "x", "or": 1}]}',
        '{"predicates": [' + "[" * 5000,
        "[" * 30000,
    ],
)
def test_bad_filters(given: str) -> None:
    with pytest.raises(HttpError) as caught:
        list_query({"filter": given})
    assert (caught.value.status, caught.value.code) == (400, "FILTER_INVALID")


def test_a_filter_has_limits() -> None:
    clause = {"operation": 1, "key": "name", "string_value": "x"}
    for filter in (json.dumps({"predicates": [clause] * 51}), "x" * 40_000):
        with pytest.raises(HttpError) as caught:
            list_query({"filter": filter})
        assert caught.value.code == "FILTER_TOO_LARGE"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=8,
)
CLAUSES = st.dictionaries(
    st.sampled_from(["operation", "key", "string_value", "intValue", "timestamp_value", "string_values", "x"]), JSON
)


@given(st.text() | JSON.map(json.dumps) | st.lists(CLAUSES, max_size=3).map(lambda c: json.dumps({"predicates": c})))
def test_any_filter_is_read_or_refused(given: str) -> None:
    try:
        query = list_query({"filter": given})
    except HttpError as error:
        assert error.status == 400
    else:
        assert all(predicate.key for predicate in query.predicates)
