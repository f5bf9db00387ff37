"""The tables, one definition for SQLite and PostgreSQL. What changes here needs a migration in `store.migrations`.

JSON is kept as text that `msgspec` wrote: both databases treat it alike, and nothing queries inside it.
"""

from __future__ import annotations

from sqlalchemy import (
    DOUBLE_PRECISION,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    func,
    literal_column,
    text,
)

from headrace.store.dialect import bytewise

metadata = MetaData()


def _text(name: str, *, default: str | None = None) -> Column[str]:
    return Column(name, Text, nullable=False, server_default=None if default is None else text(f"'{default}'"))


schema_version = Table(
    "schema_version",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("applied_at", DOUBLE_PRECISION, nullable=False),
)

#: Pipeline documents by the sha256 of their text: versions and runs share them.
documents = Table("documents", metadata, Column("digest", Text, primary_key=True), _text("body"))

#: Tags of pipelines and of versions.
tags = Table(
    "tags",
    metadata,
    Column("owner_id", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    _text("value"),
)

pipelines = Table(
    "pipelines",
    metadata,
    Column("pipeline_id", Text, primary_key=True),
    _text("name"),
    _text("display_name"),
    _text("description", default=""),
    _text("namespace", default=""),
    Column("created_at", DOUBLE_PRECISION, nullable=False),
    # The user who made it.
    _text("created_by", default=""),
    UniqueConstraint("namespace", "name", name="pipelines_name"),
)

pipeline_versions = Table(
    "pipeline_versions",
    metadata,
    Column("pipeline_version_id", Text, primary_key=True),
    Column("pipeline_id", Text, ForeignKey("pipelines.pipeline_id", ondelete="CASCADE"), nullable=False),
    _text("name"),
    _text("display_name"),
    _text("description", default=""),
    _text("code_source_url", default=""),
    Column("created_at", DOUBLE_PRECISION, nullable=False),
    Column("document", Text, ForeignKey("documents.digest"), nullable=False),
    # The user who made it.
    _text("created_by", default=""),
    UniqueConstraint("pipeline_id", "name", name="pipeline_versions_name"),
)
Index("pipeline_versions_document", pipeline_versions.c.document)

experiments = Table(
    "experiments",
    metadata,
    Column("experiment_id", Text, primary_key=True),
    _text("display_name"),
    _text("description", default=""),
    _text("namespace", default=""),
    Column("created_at", DOUBLE_PRECISION, nullable=False),
    Column("last_run_created_at", DOUBLE_PRECISION),
    Column("archived", Boolean, nullable=False),
    # The user who made it.
    _text("created_by", default=""),
    UniqueConstraint("namespace", "display_name", name="experiments_name"),
)

runs = Table(
    "runs",
    metadata,
    Column("run_id", Text, primary_key=True),
    _text("display_name"),
    _text("description", default=""),
    # No foreign key: a run outlives its experiment, as in KFP.
    _text("experiment_id"),
    _text("namespace", default=""),
    _text("pipeline_name"),
    Column("pipeline_id", Text),
    Column("pipeline_version_id", Text),
    Column("recurring_run_id", Text),
    _text("service_account", default=""),
    _text("pipeline_root", default=""),
    _text("state"),
    Column("archived", Boolean, nullable=False),
    _text("parameters"),
    Column("created_at", DOUBLE_PRECISION, nullable=False),
    Column("scheduled_at", DOUBLE_PRECISION, nullable=False),
    Column("started_at", DOUBLE_PRECISION),
    Column("finished_at", DOUBLE_PRECISION),
    Column("error", Text),
    _text("state_history"),
    _text("task_counts"),
    Column("version", BigInteger, nullable=False),
    Column("event_count", BigInteger, nullable=False),
    Column("document", Text, ForeignKey("documents.digest"), nullable=False),
    # The engine's RunState without its executions.
    _text("head"),
    # Which of several servers drives it (for as long as its lease, in `servers`, lasts); one server needs neither.
    Column("lease_owner", Text),
    # JSON list: `servers.executor_domains` of the server that drove the run last; NULL while it has had none.
    Column("executor_domains", Text),
    # The run it was made from, as JSON (`Origin`); null when it was made from none.
    Column("origin", Text),
    # When its working files and logs are to go; null when they stay, or are gone.
    Column("expires_at", DOUBLE_PRECISION),
    # The user who made it.
    _text("created_by", default=""),
    # Servers that died while they handled it, since it was made, or since it was ended for that.
    Column("crashes", BigInteger, nullable=False, server_default=text("0")),
)
# Lists of runs: what they are narrowed to, then what they are sorted by.
Index("runs_created", runs.c.created_at, runs.c.run_id)
Index("runs_recurring", runs.c.recurring_run_id, runs.c.created_at, runs.c.run_id)
Index("runs_experiment", runs.c.experiment_id, runs.c.created_at, runs.c.run_id)
Index("runs_state", runs.c.state, runs.c.created_at, runs.c.run_id)
Index("runs_archived", runs.c.archived, runs.c.created_at, runs.c.run_id)
Index("runs_scheduled", runs.c.scheduled_at, runs.c.run_id)
Index("runs_finished", func.coalesce(runs.c.finished_at, literal_column("0.0")), runs.c.run_id)
Index("runs_name", bytewise(runs.c.display_name), runs.c.run_id)
Index("runs_document", runs.c.document)
Index("runs_lease", runs.c.lease_owner)
Index("runs_expiry", runs.c.expires_at)

executions = Table(
    "executions",
    metadata,
    Column("run_id", Text, ForeignKey("runs.run_id", ondelete="CASCADE"), primary_key=True),
    Column("path", Text, primary_key=True),
    _text("execution_id"),
    _text("kind"),
    _text("state"),
    # The run's version with which it last changed: what a watcher has not seen yet.
    Column("version", BigInteger, nullable=False),
    # In the order they came to be, so parents come before children.
    Column("position", Integer, nullable=False),
    _text("body"),
    UniqueConstraint("execution_id", name="executions_id"),
)
Index("executions_version", executions.c.run_id, executions.c.version)
Index("executions_position", executions.c.run_id, executions.c.position)

run_events = Table(
    "run_events",
    metadata,
    Column("run_id", Text, ForeignKey("runs.run_id", ondelete="CASCADE"), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at", DOUBLE_PRECISION, nullable=False),
    _text("body"),
)

artifacts = Table(
    "artifacts",
    metadata,
    Column("artifact_id", Text, primary_key=True),
    _text("name"),
    _text("schema_title"),
    _text("schema_version"),
    _text("uri"),
    _text("metadata"),
    _text("digest", default=""),
    Column("size_bytes", BigInteger, nullable=False),
    Column("run_id", Text),
    Column("execution_id", Text),
    Column("created_at", DOUBLE_PRECISION, nullable=False),
    Column("is_directory", Boolean, nullable=False),
    # Of the run that made it; both stay when that run is deleted.
    _text("namespace", default=""),
    _text("created_by", default=""),
    # Whether the content is the execution's own, so that it goes with this row.
    Column("owned", Boolean, nullable=False, server_default=text("false")),
)
Index("artifacts_uri", artifacts.c.uri)
Index("artifacts_run", artifacts.c.run_id)

#: Lineage: which execution read or made which artifact, under which name.
execution_artifacts = Table(
    "execution_artifacts",
    metadata,
    Column("execution_id", Text, primary_key=True),
    # INPUT or OUTPUT.
    Column("direction", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("run_id", Text, ForeignKey("runs.run_id", ondelete="CASCADE"), nullable=False),
    # No foreign key: a lineage edge whose artifact was deleted meanwhile must not stop a run.
    _text("artifact_id"),
)
Index("execution_artifacts_artifact", execution_artifacts.c.artifact_id)
Index("execution_artifacts_run", execution_artifacts.c.run_id)

cache_entries = Table(
    "cache_entries",
    metadata,
    Column("namespace", Text, primary_key=True),
    Column("pipeline_name", Text, primary_key=True),
    Column("fingerprint", Text, primary_key=True),
    _text("execution_id"),
    _text("run_id"),
    _text("outputs"),
    Column("created_at", DOUBLE_PRECISION, nullable=False),
    # The execution's path without iterations, and what the fingerprint was made from: for telling why there was no hit.
    _text("task", default=""),
    _text("parts", default="{}"),
)
Index("cache_entries_run", cache_entries.c.run_id)
Index(
    "cache_entries_task",
    cache_entries.c.namespace,
    cache_entries.c.pipeline_name,
    cache_entries.c.task,
    cache_entries.c.created_at,
)

#: Servers at work on one PostgreSQL, each with a lease by the database's clock.
servers = Table(
    "servers",
    metadata,
    Column("server_id", Text, primary_key=True),
    # JSON list, sorted: where this server's executors make attempts; it can reach the attempts in these domains.
    _text("executor_domains"),
    _text("url", default=""),
    Column("started_at", DOUBLE_PRECISION, nullable=False),
    Column("lease_until", DOUBLE_PRECISION, nullable=False),
)

#: Events that reached a server that does not drive their run, for the one that does.
inbox = Table(
    "inbox",
    metadata,
    Column("inbox_id", Text, primary_key=True),
    Column("run_id", Text, ForeignKey("runs.run_id", ondelete="CASCADE"), nullable=False),
    Column("at", DOUBLE_PRECISION, nullable=False),
    _text("body"),
)
Index("inbox_run", inbox.c.run_id)

#: Which run a request with an idempotency key has made. The run may be deleted meanwhile; the key stays taken.
idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("user_id", Text, primary_key=True),
    Column("namespace", Text, primary_key=True),
    Column("route", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    _text("digest"),
    _text("run_id"),
    Column("created_at", DOUBLE_PRECISION, nullable=False),
)
Index("idempotency_keys_created", idempotency_keys.c.created_at)

#: Keys that all servers of a deployment share: for page tokens, sign-ins and links. No other program reads them.
server_secrets = Table(
    "server_secrets",
    metadata,
    Column("name", Text, primary_key=True),
    _text("value"),
    Column("created_at", DOUBLE_PRECISION, nullable=False),
)

#: One-time sign-in codes that were used, until they would have expired anyway.
used_codes = Table(
    "used_codes",
    metadata,
    Column("code_id", Text, primary_key=True),
    Column("expires_at", DOUBLE_PRECISION, nullable=False),
)

#: Browsers that are signed in: the hash of what each of them must show, never the thing itself.
sessions = Table(
    "sessions",
    metadata,
    Column("session_id", Text, primary_key=True),
    _text("user_id"),
    _text("token_hash"),
    _text("secret_hash"),
    _text("browser", default=""),
    Column("created_at", DOUBLE_PRECISION, nullable=False),
    Column("used_at", DOUBLE_PRECISION, nullable=False),
    Column("expires_at", DOUBLE_PRECISION, nullable=False),
)

#: The last word each connection has committed: how to know whether a COMMIT without an answer was done.
writers = Table(
    "writers",
    metadata,
    Column("writer_id", Text, primary_key=True),
    _text("word"),
    Column("at", DOUBLE_PRECISION, nullable=False),
)

recurring_runs = Table(
    "recurring_runs",
    metadata,
    Column("recurring_run_id", Text, primary_key=True),
    _text("display_name"),
    # What the names of its runs begin with.
    _text("short_name"),
    _text("description", default=""),
    _text("namespace", default=""),
    # No foreign keys: as with runs.
    _text("experiment_id"),
    _text("created_by", default=""),
    Column("pipeline_id", Text),
    Column("pipeline_version_id", Text),
    Column("document", Text, ForeignKey("documents.digest")),
    _text("parameters"),
    _text("pipeline_root", default=""),
    _text("service_account", default=""),
    Column("max_concurrency", Integer, nullable=False),
    # JSON: `StoredTimetable`.
    _text("timetable"),
    Column("enabled", Boolean, nullable=False),
    Column("created_at", DOUBLE_PRECISION, nullable=False),
    Column("updated_at", DOUBLE_PRECISION, nullable=False),
    # How many runs it has made.
    Column("tick_index", BigInteger, nullable=False),
    Column("last_tick_at", DOUBLE_PRECISION),
    # The tick after the last one; null when there is none any more.
    Column("next_tick_at", DOUBLE_PRECISION),
    # What a tick does while `max_concurrency` runs have not ended: wait, skip or cancel.
    _text("at_limit", default="wait"),
)
Index("recurring_runs_created", recurring_runs.c.created_at, recurring_runs.c.recurring_run_id)
Index("recurring_runs_due", recurring_runs.c.enabled, recurring_runs.c.next_tick_at)
Index("recurring_runs_experiment", recurring_runs.c.experiment_id, recurring_runs.c.created_at)
Index("recurring_runs_document", recurring_runs.c.document)

#: The newest ticks of each recurring run: that a tick was handled is recorded with the run that it makes.
ticks = Table(
    "ticks",
    metadata,
    Column("recurring_run_id", Text, primary_key=True),
    Column("tick_at", DOUBLE_PRECISION, primary_key=True),
    Column("handled_at", DOUBLE_PRECISION, nullable=False),
    # Ticks before it that were missed and left out.
    Column("skipped", BigInteger, nullable=False),
    Column("run_id", Text),
    # JSON: why no run could be made.
    Column("reason", Text),
)
