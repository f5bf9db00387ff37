"""Experiments."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from headrace.store.queries import Key, Noun, fetch_page
from headrace.store.records import ExperimentRecord, ListQuery, Page
from headrace.store.recurring_runs import disable_of_experiment
from headrace.store.tables import experiments, runs

STORAGE_WORDS = {
    "AVAILABLE": False,
    "ARCHIVED": True,
    # KFP's v1 words, which its clients still send.
    "STORAGESTATE_AVAILABLE": False,
    "STORAGESTATE_ARCHIVED": True,
    "1": False,
    "2": True,
}

_c = experiments.c
_NOUN = Noun(
    name="experiment",
    id=_c.experiment_id,
    namespace=_c.namespace,
    keys={
        "id": Key(column=_c.experiment_id),
        "experiment_id": Key(column=_c.experiment_id),
        "name": Key(column=_c.display_name),
        "display_name": Key(column=_c.display_name),
        "created_at": Key(column=_c.created_at, time=True),
        "last_run_created_at": Key(column=_c.last_run_created_at, time=True),
        "description": Key(column=_c.description, long=True),
        "namespace": Key(column=_c.namespace),
        "storage_state": Key(column=_c.archived, words=STORAGE_WORDS),
    },
)


def _record(row: Row[Any]) -> ExperimentRecord:
    return ExperimentRecord(
        experiment_id=row.experiment_id,
        display_name=row.display_name,
        description=row.description,
        namespace=row.namespace,
        created_at=row.created_at,
        created_by=row.created_by,
        last_run_created_at=row.last_run_created_at,
        archived=row.archived,
    )


def insert_experiment(conn: Connection, record: ExperimentRecord) -> None:
    """Raises Duplicate when the name is taken."""
    conn.execute(
        insert(experiments).values(
            experiment_id=record.experiment_id,
            display_name=record.display_name,
            description=record.description,
            namespace=record.namespace,
            created_at=record.created_at,
            created_by=record.created_by,
            last_run_created_at=record.last_run_created_at,
            archived=record.archived,
        )
    )


def get_experiment(conn: Connection, experiment_id: str) -> ExperimentRecord | None:
    """By id."""
    row = conn.execute(select(experiments).where(_c.experiment_id == experiment_id)).first()
    return _record(row) if row else None


def find_experiment(conn: Connection, name: str, namespace: str) -> ExperimentRecord | None:
    """By name."""
    found = conn.execute(select(experiments).where(_c.display_name == name, _c.namespace == namespace)).first()
    return _record(found) if found else None


def find_or_insert_experiment(conn: Connection, record: ExperimentRecord) -> ExperimentRecord:
    """The experiment of that name, made now if there is none."""
    found = find_experiment(conn, record.display_name, record.namespace)
    if found is None:
        insert_experiment(conn, record)
    return found or record


def list_experiments(conn: Connection, query: ListQuery, secret: bytes) -> Page[ExperimentRecord]:
    """One page."""
    return fetch_page(conn, _NOUN, select(experiments), query, secret=secret, make=_record)


def set_archived(conn: Connection, experiment_id: str, archived: bool, at: float) -> list[str]:
    """Archive with every run in it, recurring runs disabled; or bring back alone. Answers which runs changed."""
    conn.execute(update(experiments).where(_c.experiment_id == experiment_id).values(archived=archived))
    if not archived:
        return []
    disable_of_experiment(conn, experiment_id, at)
    inside = (runs.c.experiment_id == experiment_id, ~runs.c.archived)
    changed = list(conn.execute(select(runs.c.run_id).where(*inside)).scalars())
    conn.execute(update(runs).where(*inside).values(archived=True))
    return changed


def delete_experiment(conn: Connection, experiment_id: str) -> None:
    """Its runs stay."""
    conn.execute(delete(experiments).where(_c.experiment_id == experiment_id))
