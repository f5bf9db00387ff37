"""Pages, sorting and filters, over real rows in SQLite and in PostgreSQL."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from headrace.store import dialect, experiments, pipelines, tables
from headrace.store.documents import decode_document, encode_document, get_body
from headrace.store.errors import BadQuery, Duplicate
from headrace.store.records import ExperimentRecord, ListQuery, PipelineRecord, Predicate, VersionRecord

SECRET = b"k" * 32


def add(conn: Connection, n: int, **fields: Any) -> ExperimentRecord:
    given = {
        "experiment_id": f"id-{n:04}", "display_name": f"e{n}", "created_at": float(n), "namespace": "",
    } | fields  # fmt: skip
    record = ExperimentRecord(**given)
    experiments.insert_experiment(conn, record)
    return record


def names(conn: Connection, *predicates: Predicate, **query: Any) -> list[str]:
    page = experiments.list_experiments(conn, ListQuery(predicates=predicates, **query), SECRET)
    return [record.display_name for record in page.items]


def where(key: str, operation: str, value: Any) -> Predicate:
    return Predicate(key=key, operation=operation, value=value)


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    created=st.lists(st.integers(0, 5), max_size=30),
    runs=st.lists(st.none() | st.integers(0, 3), min_size=30, max_size=30),
    size=st.integers(1, 7),
    sort_by=st.sampled_from(["created_at", "last_run_created_at", "name", "storage_state", "description"]),
    descending=st.booleans(),
)
def test_pages_hold_every_row_once_and_in_order(conn, created, runs, size, sort_by, descending):
    conn.execute(tables.experiments.delete())
    for n, at in enumerate(created):
        # Names that a language's order would sort otherwise than their letters' numbers.
        name = f"{'aBäZ_é-'[n % 7]}{n}"
        add(
            conn, n, display_name=name, created_at=float(at), last_run_created_at=runs[n], archived=n % 2 == 0
        )  # fmt: skip
    query = ListQuery(page_size=size, sort_by=sort_by, descending=descending)
    whole = experiments.list_experiments(conn, ListQuery(page_size=200, sort_by=sort_by, descending=descending), SECRET)
    found, token = [], ""
    # One page more than there can be, so that a list that goes on for ever is seen.
    for _ in range(len(created) // size + 2):
        page = experiments.list_experiments(
            conn, query if not token else ListQuery(page_token=token, page_size=size), SECRET
        )
        assert page.total_size == len(created)
        assert len(page.items) <= size
        found += page.items
        token = page.next_page_token
        if not token:
            break
    assert found == list(whole.items)
    assert sorted(r.experiment_id for r in found) == [f"id-{n:04}" for n in range(len(created))]

    def key(r: ExperimentRecord):
        value = {
            "created_at": r.created_at, "last_run_created_at": r.last_run_created_at or 0.0, "name": r.display_name,
            "storage_state": r.archived, "description": r.description,
        }[sort_by]  # fmt: skip
        return value, r.experiment_id

    assert found == sorted(found, key=key, reverse=descending)


def test_page_sizes(conn):
    for n in range(250):
        add(conn, n)
    sizes = {n: len(experiments.list_experiments(conn, ListQuery(page_size=n), SECRET).items) for n in (0, 3, 200, 999)}
    assert sizes == {0: 20, 3: 3, 200: 200, 999: 200}
    with pytest.raises(BadQuery) as caught:
        experiments.list_experiments(conn, ListQuery(page_size=-1), SECRET)
    assert caught.value.code == "BAD_PAGE_SIZE"


def test_filters(conn):
    add(conn, 1, display_name="Wine 100%", created_at=10.7, archived=False)
    add(conn, 2, display_name="cancer_a", created_at=11.0, archived=True)
    add(conn, 3, display_name="cancer-b", created_at=12.2, description="x")
    cases = {
        ("name", "EQUALS", "cancer_a"): ["cancer_a"],
        ("display_name", "NOT_EQUALS", "cancer_a"): ["Wine 100%", "cancer-b"],
        ("name", "IS_SUBSTRING", "CANCER"): ["cancer_a", "cancer-b"],
        ("name", "IS_SUBSTRING", "r_a"): ["cancer_a"],
        ("name", "IS_SUBSTRING", "0%"): ["Wine 100%"],
        ("name", "IN", ("cancer_a", "nope")): ["cancer_a"],
        ("name", "IN", ()): [],
        ("storage_state", "EQUALS", "ARCHIVED"): ["cancer_a"],
        ("storage_state", "NOT_EQUALS", "STORAGESTATE_ARCHIVED"): ["Wine 100%", "cancer-b"],
        ("created_at", "EQUALS", 10): ["Wine 100%"],
        ("created_at", "EQUALS", "10"): ["Wine 100%"],
        ("created_at", "EQUALS", "1970-01-01T00:00:10Z"): ["Wine 100%"],
        ("created_at", "NOT_EQUALS", 11): ["Wine 100%", "cancer-b"],
        ("created_at", "GREATER_THAN", 10): ["cancer_a", "cancer-b"],
        ("created_at", "GREATER_THAN_EQUALS", 11): ["cancer_a", "cancer-b"],
        ("created_at", "LESS_THAN", 11): ["Wine 100%"],
        ("created_at", "LESS_THAN_EQUALS", 10): ["Wine 100%"],
        ("created_at", "IN", (10, 12)): ["Wine 100%", "cancer-b"],
        ("last_run_created_at", "EQUALS", 0): ["Wine 100%", "cancer_a", "cancer-b"],
        ("id", "EQUALS", "id-0003"): ["cancer-b"],
    }
    assert {case: names(conn, where(*case)) for case in cases} == cases
    assert names(conn, where("name", "IS_SUBSTRING", "cancer"), where("description", "EQUALS", "x")) == ["cancer-b"]
    add(conn, 4, display_name="Été", created_at=99.0)
    assert names(conn, where("name", "IS_SUBSTRING", "éT")) == ["Été"]


@pytest.mark.parametrize(
    ("predicate", "code"),
    [
        (where("password", "EQUALS", "x"), "BAD_FILTER_KEY"),
        (where("name; DROP TABLE runs", "EQUALS", "x"), "BAD_FILTER_KEY"),
        (where("tags.a", "EQUALS", "x"), "BAD_FILTER_KEY"),
        (where("name", "LIKE", "x"), "BAD_FILTER_OPERATION"),
        (where("created_at", "EQUALS", "yesterday"), "BAD_FILTER_VALUE"),
        (where("created_at", "EQUALS", "nan"), "BAD_FILTER_VALUE"),
        (where("created_at", "EQUALS", 10**400), "BAD_FILTER_VALUE"),
        (where("storage_state", "EQUALS", "SOMEWHERE"), "BAD_FILTER_VALUE"),
    ],
)
def test_what_cannot_be_filtered_is_refused(conn, predicate, code):
    with pytest.raises(BadQuery) as caught:
        names(conn, predicate)
    assert caught.value.code == code


def test_an_unknown_sort_key_is_refused(conn):
    with pytest.raises(BadQuery) as caught:
        names(conn, sort_by="(SELECT 1)")
    assert caught.value.code == "BAD_SORT_KEY"


def test_user_text_is_only_ever_a_bound_value(conn):
    add(conn, 1, display_name="'; DROP TABLE experiments; --")
    assert names(conn, where("name", "EQUALS", "'; DROP TABLE experiments; --")) == ["'; DROP TABLE experiments; --"]
    assert names(conn, where("name", "EQUALS", "' OR '1'='1")) == []


def first_page(conn: Connection, **query: Any) -> str:
    return experiments.list_experiments(conn, ListQuery(page_size=2, **query), SECRET).next_page_token


def test_a_token_alone_carries_sorting_filter_and_scope(conn):
    for n in range(9):
        add(conn, n, namespace="mine" if n % 2 else "yours")
    token = first_page(
        conn, sort_by="name", descending=True, namespace="mine", predicates=(where("name", "NOT_EQUALS", "e7"),)
    )
    assert names(conn, page_token=token, page_size=9) == ["e1"]
    assert names(
        conn, where("name", "NOT_EQUALS", "e7"), page_token=token, sort_by="name", descending=True, namespace="mine"
    ) == ["e1"]


@pytest.mark.parametrize(
    "query",
    [
        {"sort_by": "name"},
        {"descending": True},
        {"predicates": (where("name", "EQUALS", "e1"),)},
        {"namespace": "yours"},
    ],
)
def test_a_token_is_refused_with_another_list(conn, query):
    for n in range(9):
        add(conn, n, namespace="mine")
    token = first_page(conn, namespace="mine")
    with pytest.raises(BadQuery) as caught:
        experiments.list_experiments(conn, ListQuery(page_token=token, **query), SECRET)
    assert caught.value.code == "BAD_PAGE_TOKEN"


def test_a_forged_or_foreign_token_is_refused(conn):
    for n in range(9):
        add(conn, n)
    token = first_page(conn)
    raw = base64.urlsafe_b64decode(token)
    forged = base64.urlsafe_b64encode(raw[:32] + raw[32:].replace(b"created_at", b"description")).decode()
    unsigned = base64.urlsafe_b64encode(bytes(32) + msgspec.json.encode(["experiment"])).decode()
    for bad in ("x", "é", "====", token[:-4], token + "AAAA", forged, unsigned, "A" * 20_000, "\0"):
        with pytest.raises(BadQuery) as caught:
            experiments.list_experiments(conn, ListQuery(page_token=bad), SECRET)
        assert caught.value.code == "BAD_PAGE_TOKEN"
    with pytest.raises(BadQuery):
        pipelines.list_pipelines(conn, ListQuery(page_token=token), SECRET)
    with pytest.raises(BadQuery):
        experiments.list_experiments(conn, ListQuery(page_token=token), b"another key")


@given(token=st.text(max_size=80))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_text_breaks_the_reader_of_tokens(conn, token):
    query = ListQuery(page_token=token)
    if token:
        with pytest.raises(BadQuery):
            experiments.list_experiments(conn, query, SECRET)


# --- pipelines and tags --------------------------------------------------------------------------


def a_pipeline(n: int, **fields: Any) -> PipelineRecord:
    return PipelineRecord(
        **({"pipeline_id": f"p{n}", "name": f"p{n}", "display_name": f"P{n}", "created_at": float(n)} | fields)
    )


def a_version(n: int, pipeline_id: str = "p1", **fields: Any) -> VersionRecord:
    given = {
        "pipeline_version_id": f"v{n}", "pipeline_id": pipeline_id, "name": f"v{n}", "display_name": f"V{n}",
        "created_at": float(n), "pipeline_spec": {"pipelineInfo": {"name": "x"}},
    }  # fmt: skip
    return VersionRecord(**(given | fields))


def insert_version(conn: Connection, record: VersionRecord) -> None:
    pipelines.insert_version(conn, record, encode_document(record.pipeline_spec, record.platform_spec))


def test_tags_are_kept_and_filtered_by(conn):
    first = a_pipeline(1, tags={"team": "vision", "stage": "prod"})
    pipelines.insert_pipeline(conn, first)
    pipelines.insert_pipeline(conn, a_pipeline(2, tags={"team": "text"}))
    assert pipelines.get_pipeline(conn, "p1") == first
    page = pipelines.list_pipelines(conn, ListQuery(predicates=(where("tags.team", "EQUALS", "vision"),)), SECRET)
    assert page.items == (first,)
    with pytest.raises(BadQuery):
        pipelines.list_pipelines(conn, ListQuery(predicates=(where("tags.team", "IN", ("vision",)),)), SECRET)
    changed = pipelines.update_pipeline(conn, "p1", display_name="New", new_tags={})
    assert changed == a_pipeline(1, display_name="New")


def test_versions(conn):
    pipelines.insert_pipeline(conn, a_pipeline(1))
    one, two = a_version(1), a_version(2, created_at=1.0, platform_spec={"platforms": {}}, tags={"a": "b"})
    insert_version(conn, one)
    insert_version(conn, two)
    assert pipelines.get_version(conn, "v2") == two
    latest = pipelines.find_latest_document(conn, "p1")
    assert latest == pipelines.find_version_document(conn, "v2") != pipelines.find_version_document(conn, "v1")
    assert latest is not None
    assert (latest.pipeline_version_id, latest.pipeline_id) == ("v2", "p1")
    assert decode_document(get_body(conn, latest.digest) or "") == (two.pipeline_spec, two.platform_spec)
    assert pipelines.find_latest_document(conn, "p2") is None
    assert pipelines.list_versions(conn, "p1", ListQuery(), SECRET).items == (one, two)
    assert pipelines.list_versions(conn, "p2", ListQuery(), SECRET).items == ()
    with pytest.raises(DBAPIError) as caught:
        insert_version(conn, a_version(3, name="v1"))
    assert isinstance(dialect.translate(caught.value), Duplicate)


def test_a_token_of_one_pipelines_versions_is_no_good_for_another(conn):
    for owner in ("p1", "p2"):
        pipelines.insert_pipeline(conn, a_pipeline(int(owner[1])))
        for n in range(3):
            insert_version(conn, a_version(n, owner, pipeline_version_id=f"{owner}v{n}"))
    token = pipelines.list_versions(conn, "p1", ListQuery(page_size=1), SECRET).next_page_token
    assert [
        v.pipeline_version_id for v in pipelines.list_versions(conn, "p1", ListQuery(page_token=token), SECRET).items
    ] == ["p1v1", "p1v2"]
    with pytest.raises(BadQuery):
        pipelines.list_versions(conn, "p2", ListQuery(page_token=token), SECRET)


def test_a_document_is_kept_once_and_goes_with_its_last_user(conn):
    from sqlalchemy import func, select

    from headrace.store.tables import documents, tags

    def count(table) -> int:
        return conn.execute(select(func.count()).select_from(table)).scalar_one()

    pipelines.insert_pipeline(conn, a_pipeline(1, tags={"a": "b"}))
    insert_version(conn, a_version(1))
    insert_version(conn, a_version(2, tags={"a": "b"}))
    assert count(documents) == 1
    pipelines.delete_version(conn, "v1")
    assert count(documents) == 1
    pipelines.delete_pipeline(conn, "p1")
    assert (count(documents), count(tags)) == (0, 0)
    assert pipelines.get_version(conn, "v2") is None
