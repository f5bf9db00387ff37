"""Whose things are: the namespace of a row, and the user who made it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Select, select

from headrace.store.records import Record
from headrace.store.tables import artifacts, executions, experiments, pipeline_versions, pipelines, recurring_runs, runs


class Ownership(Record, frozen=True, kw_only=True):
    """What decides who may do what to a row."""

    namespace: str
    #: The user who made it; "" when that is not known.
    created_by: str


def of_experiment(conn: Connection, experiment_id: str) -> Ownership | None:
    """By id; None when there is none."""
    return _first(conn, _OF_EXPERIMENT.where(experiments.c.experiment_id == experiment_id))


def of_pipeline(conn: Connection, pipeline_id: str) -> Ownership | None:
    """By id; None when there is none."""
    return _first(conn, _OF_PIPELINE.where(pipelines.c.pipeline_id == pipeline_id))


def of_version(conn: Connection, pipeline_version_id: str) -> Ownership | None:
    """By id: the namespace of its pipeline; None when there is none."""
    return _first(conn, _OF_VERSION.where(pipeline_versions.c.pipeline_version_id == pipeline_version_id))


def of_run(conn: Connection, run_id: str) -> Ownership | None:
    """By id; None when there is none."""
    return _first(conn, _OF_RUN.where(runs.c.run_id == run_id))


def of_recurring_run(conn: Connection, recurring_run_id: str) -> Ownership | None:
    """By id; None when there is none."""
    return _first(conn, _OF_RECURRING_RUN.where(recurring_runs.c.recurring_run_id == recurring_run_id))


def of_execution(conn: Connection, execution_id: str) -> Ownership | None:
    """By id: its run's; None when there is none."""
    return _first(conn, _OF_RUN.join(executions).where(executions.c.execution_id == execution_id))


def of_artifact(conn: Connection, artifact_id: str) -> Ownership | None:
    """By id; None when there is none."""
    return _first(conn, _OF_ARTIFACT.where(artifacts.c.artifact_id == artifact_id))


_OF_EXPERIMENT = select(experiments.c.namespace, experiments.c.created_by)
_OF_PIPELINE = select(pipelines.c.namespace, pipelines.c.created_by)
_OF_VERSION = select(pipelines.c.namespace, pipeline_versions.c.created_by).join_from(pipeline_versions, pipelines)
_OF_RUN = select(runs.c.namespace, runs.c.created_by)
_OF_RECURRING_RUN = select(recurring_runs.c.namespace, recurring_runs.c.created_by)
_OF_ARTIFACT = select(artifacts.c.namespace, artifacts.c.created_by)


def _first(conn: Connection, rows: Select[Any]) -> Ownership | None:
    row = conn.execute(rows).first()
    return None if row is None else Ownership(namespace=row.namespace, created_by=row.created_by)
