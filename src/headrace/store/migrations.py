"""The schema's history: one list for both databases, each step plain SQL that is never edited once released.

A database is always made by walking this list; `store.tables` says where the walk ends, and a test compares the two.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeAlias

from sqlalchemy import Connection, inspect, text

from headrace.store.errors import SchemaTooNew

Migration: TypeAlias = Callable[[Connection], None]

_FIRST = """
CREATE TABLE documents (digest TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (digest));
CREATE TABLE tags (
    owner_id TEXT NOT NULL, "key" TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (owner_id, "key")
);
CREATE TABLE pipelines (
    pipeline_id TEXT NOT NULL,
    name TEXT NOT NULL,
    display_name TEXT NOT NULL,
    description TEXT DEFAULT '' NOT NULL,
    namespace TEXT DEFAULT '' NOT NULL,
    created_at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (pipeline_id),
    CONSTRAINT pipelines_name UNIQUE (namespace, name)
);
CREATE TABLE pipeline_versions (
    pipeline_version_id TEXT NOT NULL,
    pipeline_id TEXT NOT NULL,
    name TEXT NOT NULL,
    display_name TEXT NOT NULL,
    description TEXT DEFAULT '' NOT NULL,
    code_source_url TEXT DEFAULT '' NOT NULL,
    created_at DOUBLE PRECISION NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (pipeline_version_id),
    CONSTRAINT pipeline_versions_name UNIQUE (pipeline_id, name),
    FOREIGN KEY (pipeline_id) REFERENCES pipelines (pipeline_id) ON DELETE CASCADE,
    FOREIGN KEY (document) REFERENCES documents (digest)
);
CREATE INDEX pipeline_versions_document ON pipeline_versions (document);
CREATE TABLE experiments (
    experiment_id TEXT NOT NULL,
    display_name TEXT NOT NULL,
    description TEXT DEFAULT '' NOT NULL,
    namespace TEXT DEFAULT '' NOT NULL,
    created_at DOUBLE PRECISION NOT NULL,
    last_run_created_at DOUBLE PRECISION,
    archived BOOLEAN NOT NULL,
    PRIMARY KEY (experiment_id),
    CONSTRAINT experiments_name UNIQUE (namespace, display_name)
);
CREATE TABLE runs (
    run_id TEXT NOT NULL,
    display_name TEXT NOT NULL,
    description TEXT DEFAULT '' NOT NULL,
    experiment_id TEXT NOT NULL,
    namespace TEXT DEFAULT '' NOT NULL,
    pipeline_name TEXT NOT NULL,
    pipeline_id TEXT,
    pipeline_version_id TEXT,
    recurring_run_id TEXT,
    service_account TEXT DEFAULT '' NOT NULL,
    pipeline_root TEXT DEFAULT '' NOT NULL,
    state TEXT NOT NULL,
    archived BOOLEAN NOT NULL,
    parameters TEXT NOT NULL,
    created_at DOUBLE PRECISION NOT NULL,
    scheduled_at DOUBLE PRECISION NOT NULL,
    started_at DOUBLE PRECISION,
    finished_at DOUBLE PRECISION,
    error TEXT,
    state_history TEXT NOT NULL,
    task_counts TEXT NOT NULL,
    version BIGINT NOT NULL,
    event_count BIGINT NOT NULL,
    document TEXT NOT NULL,
    head TEXT NOT NULL,
    lease_owner TEXT,
    lease_until DOUBLE PRECISION,
    PRIMARY KEY (run_id),
    FOREIGN KEY (document) REFERENCES documents (digest)
);
CREATE INDEX runs_created ON runs (created_at, run_id);
CREATE INDEX runs_experiment ON runs (experiment_id, created_at);
CREATE INDEX runs_state ON runs (state);
CREATE INDEX runs_document ON runs (document);
CREATE TABLE executions (
    run_id TEXT NOT NULL,
    path TEXT NOT NULL,
    execution_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    version BIGINT NOT NULL,
    position INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (run_id, path),
    CONSTRAINT executions_id UNIQUE (execution_id),
    FOREIGN KEY (run_id) REFERENCES runs (run_id) ON DELETE CASCADE
);
CREATE INDEX executions_version ON executions (run_id, version);
CREATE TABLE run_events (
    run_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    at DOUBLE PRECISION NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (run_id, seq),
    FOREIGN KEY (run_id) REFERENCES runs (run_id) ON DELETE CASCADE
);
CREATE TABLE artifacts (
    artifact_id TEXT NOT NULL,
    name TEXT NOT NULL,
    schema_title TEXT NOT NULL,
    schema_version TEXT NOT NULL,
    uri TEXT NOT NULL,
    metadata TEXT NOT NULL,
    digest TEXT DEFAULT '' NOT NULL,
    size_bytes BIGINT NOT NULL,
    run_id TEXT,
    execution_id TEXT,
    created_at DOUBLE PRECISION NOT NULL,
    is_directory BOOLEAN NOT NULL,
    PRIMARY KEY (artifact_id)
);
CREATE INDEX artifacts_uri ON artifacts (uri);
CREATE INDEX artifacts_run ON artifacts (run_id);
CREATE TABLE execution_artifacts (
    execution_id TEXT NOT NULL,
    direction TEXT NOT NULL,
    name TEXT NOT NULL,
    position INTEGER NOT NULL,
    run_id TEXT NOT NULL,
    artifact_id TEXT NOT NULL,
    PRIMARY KEY (execution_id, direction, name, position),
    FOREIGN KEY (run_id) REFERENCES runs (run_id) ON DELETE CASCADE
);
CREATE INDEX execution_artifacts_artifact ON execution_artifacts (artifact_id);
CREATE INDEX execution_artifacts_run ON execution_artifacts (run_id);
CREATE TABLE cache_entries (
    namespace TEXT NOT NULL,
    pipeline_name TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    execution_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    outputs TEXT NOT NULL,
    created_at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (namespace, pipeline_name, fingerprint)
);
CREATE INDEX cache_entries_run ON cache_entries (run_id)
"""

_CACHE_PARTS = """
ALTER TABLE cache_entries ADD COLUMN task TEXT DEFAULT '' NOT NULL;
ALTER TABLE cache_entries ADD COLUMN parts TEXT DEFAULT '{}' NOT NULL;
CREATE INDEX cache_entries_task ON cache_entries (namespace, pipeline_name, task, created_at)
"""

_MANY_SERVERS = """
CREATE TABLE servers (
    server_id TEXT NOT NULL,
    place TEXT NOT NULL,
    url TEXT DEFAULT '' NOT NULL,
    started_at DOUBLE PRECISION NOT NULL,
    lease_until DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (server_id)
);
CREATE TABLE inbox (
    inbox_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    at DOUBLE PRECISION NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (inbox_id),
    FOREIGN KEY (run_id) REFERENCES runs (run_id) ON DELETE CASCADE
);
CREATE INDEX inbox_run ON inbox (run_id);
CREATE TABLE writers (
    writer_id TEXT NOT NULL,
    word TEXT NOT NULL,
    at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (writer_id)
);
ALTER TABLE runs DROP COLUMN lease_until;
ALTER TABLE runs ADD COLUMN place TEXT;
CREATE INDEX runs_lease ON runs (lease_owner)
"""

_RERUNS = """
ALTER TABLE runs ADD COLUMN origin TEXT;
ALTER TABLE runs ADD COLUMN expires_at DOUBLE PRECISION;
CREATE INDEX runs_expiry ON runs (expires_at)
"""

#: Until now there was one user, `local`.
_CREATORS = """
ALTER TABLE pipelines ADD COLUMN created_by TEXT DEFAULT '' NOT NULL;
ALTER TABLE pipeline_versions ADD COLUMN created_by TEXT DEFAULT '' NOT NULL;
ALTER TABLE experiments ADD COLUMN created_by TEXT DEFAULT '' NOT NULL;
ALTER TABLE runs ADD COLUMN created_by TEXT DEFAULT '' NOT NULL;
ALTER TABLE artifacts ADD COLUMN namespace TEXT DEFAULT '' NOT NULL;
ALTER TABLE artifacts ADD COLUMN created_by TEXT DEFAULT '' NOT NULL;
UPDATE pipelines SET created_by = 'local';
UPDATE pipeline_versions SET created_by = 'local';
UPDATE experiments SET created_by = 'local';
UPDATE runs SET created_by = 'local';
UPDATE artifacts SET created_by = 'local', namespace = coalesce(
    (SELECT runs.namespace FROM runs WHERE runs.run_id = artifacts.run_id), ''
)
"""

# A place was the data directory of a server. It becomes one of the domains of a server's executors; importers, whose
# domain is `anywhere`, ran in each server. Places hold no character that JSON would escape.
_EXECUTOR_DOMAINS = """
ALTER TABLE servers RENAME COLUMN place TO executor_domains;
UPDATE servers SET executor_domains = '["' || executor_domains || '","anywhere"]';
ALTER TABLE runs RENAME COLUMN place TO executor_domains;
UPDATE runs SET executor_domains = '["' || executor_domains || '","anywhere"]' WHERE executor_domains IS NOT NULL
"""

# Whether content is an execution's own was read from its URI until now: keys were `<run>/<execution>/<attempt>/<name>`
# in the server's directory, and `…/<execution>-<attempt>/<name>` in object stores. Ids hold no wildcard of LIKE.
_OWNED = """
ALTER TABLE artifacts ADD COLUMN owned BOOLEAN DEFAULT false NOT NULL;
UPDATE artifacts SET owned = true WHERE execution_id IS NOT NULL AND (
    (uri LIKE 'file:%' AND uri LIKE '%/' || execution_id || '/%/%')
    OR (uri NOT LIKE 'file:%' AND uri LIKE '%://%/' || execution_id || '-%/%')
)
"""

_KEYS = """
CREATE TABLE idempotency_keys (
    user_id TEXT NOT NULL,
    namespace TEXT NOT NULL,
    route TEXT NOT NULL,
    "key" TEXT NOT NULL,
    digest TEXT NOT NULL,
    run_id TEXT NOT NULL,
    created_at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (user_id, namespace, route, "key")
);
CREATE INDEX idempotency_keys_created ON idempotency_keys (created_at);
CREATE TABLE server_secrets (
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    created_at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (name)
);
CREATE TABLE used_codes (
    code_id TEXT NOT NULL,
    expires_at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (code_id)
)
"""

_SESSIONS = """
CREATE TABLE sessions (
    session_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    token_hash TEXT NOT NULL,
    secret_hash TEXT NOT NULL,
    browser TEXT DEFAULT '' NOT NULL,
    created_at DOUBLE PRECISION NOT NULL,
    used_at DOUBLE PRECISION NOT NULL,
    expires_at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (session_id)
)
"""

_CRASHES = """
ALTER TABLE runs ADD COLUMN crashes BIGINT NOT NULL DEFAULT 0
"""

_RECURRING = """
CREATE INDEX runs_recurring ON runs (recurring_run_id, created_at);
CREATE TABLE recurring_runs (
    recurring_run_id TEXT NOT NULL,
    display_name TEXT NOT NULL,
    short_name TEXT NOT NULL,
    description TEXT DEFAULT '' NOT NULL,
    namespace TEXT DEFAULT '' NOT NULL,
    experiment_id TEXT NOT NULL,
    created_by TEXT DEFAULT '' NOT NULL,
    pipeline_id TEXT,
    pipeline_version_id TEXT,
    document TEXT,
    parameters TEXT NOT NULL,
    pipeline_root TEXT DEFAULT '' NOT NULL,
    service_account TEXT DEFAULT '' NOT NULL,
    max_concurrency INTEGER NOT NULL,
    timetable TEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    created_at DOUBLE PRECISION NOT NULL,
    updated_at DOUBLE PRECISION NOT NULL,
    tick_index BIGINT NOT NULL,
    last_tick_at DOUBLE PRECISION,
    next_tick_at DOUBLE PRECISION,
    PRIMARY KEY (recurring_run_id),
    FOREIGN KEY(document) REFERENCES documents (digest)
);
CREATE INDEX recurring_runs_created ON recurring_runs (created_at, recurring_run_id);
CREATE INDEX recurring_runs_due ON recurring_runs (enabled, next_tick_at);
CREATE INDEX recurring_runs_experiment ON recurring_runs (experiment_id, created_at);
CREATE INDEX recurring_runs_document ON recurring_runs (document);
CREATE TABLE ticks (
    recurring_run_id TEXT NOT NULL,
    tick_at DOUBLE PRECISION NOT NULL,
    handled_at DOUBLE PRECISION NOT NULL,
    skipped BIGINT NOT NULL,
    run_id TEXT,
    reason TEXT,
    PRIMARY KEY (recurring_run_id, tick_at)
)
"""

_EXECUTION_PAGES = """
CREATE INDEX executions_position ON executions (run_id, position)
"""

_AT_LIMIT = """
ALTER TABLE recurring_runs ADD COLUMN at_limit TEXT DEFAULT 'wait' NOT NULL
"""

#: For each usual list of runs an index that has its order: what it is narrowed to, then what it is sorted by.
_RUN_LISTS = """
DROP INDEX runs_state;
DROP INDEX runs_experiment;
DROP INDEX runs_recurring;
CREATE INDEX runs_state ON runs (state, created_at, run_id);
CREATE INDEX runs_experiment ON runs (experiment_id, created_at, run_id);
CREATE INDEX runs_recurring ON runs (recurring_run_id, created_at, run_id);
CREATE INDEX runs_archived ON runs (archived, created_at, run_id);
CREATE INDEX runs_scheduled ON runs (scheduled_at, run_id);
CREATE INDEX runs_finished ON runs (coalesce(finished_at, 0.0), run_id)
"""


#: Index of runs -> rows of the table, and rows for one value of its first column, of its first two, … SQLite chooses
#: an index by these numbers. They are fixed, of a large deployment: so its choice is the same on every day, and the one
#: that `tests/unit/store/test_run_lists.py` has seen. (PostgreSQL counts for itself.)
_ROWS = {
    "sqlite_autoindex_runs_1": "1000000 1",
    "runs_created": "1000000 2 1",
    "runs_archived": "1000000 500000 2 1",
    "runs_state": "1000000 150000 2 1",
    "runs_experiment": "1000000 10000 2 1",
    "runs_recurring": "1000000 3000 2 1",
    "runs_scheduled": "1000000 2 1",
    "runs_finished": "1000000 2 1",
    "runs_name": "1000000 3 1",
    "runs_document": "1000000 1000",
    "runs_lease": "1000000 1000",
    "runs_expiry": "1000000 2",
}


def _run_lists(conn: Connection) -> None:
    _script(_RUN_LISTS)(conn)
    if conn.dialect.name == "postgresql":
        conn.execute(text('CREATE INDEX runs_name ON runs (display_name COLLATE "C", run_id)'))
        return
    conn.execute(text("CREATE INDEX runs_name ON runs (display_name, run_id)"))
    conn.execute(text("ANALYZE sqlite_schema"))
    conn.execute(text("DELETE FROM sqlite_stat1 WHERE tbl = 'runs'"))
    rows = [{"idx": name, "stat": numbers} for name, numbers in _ROWS.items()]
    conn.execute(text("INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('runs', :idx, :stat)"), rows)
    # This connection reads them now, others when they are opened.
    conn.execute(text("ANALYZE sqlite_schema"))


def _script(sql: str) -> Migration:
    def run(conn: Connection) -> None:
        for statement in sql.split(";"):
            conn.execute(text(statement.strip()))

    return run


#: Version n is reached by the n-th step. Append only.
MIGRATIONS: Sequence[Migration] = (
    _script(_FIRST),
    _script(_CACHE_PARTS),
    _script(_MANY_SERVERS),
    _script(_RERUNS),
    _script(_CREATORS),
    _script(_EXECUTOR_DOMAINS),
    _script(_OWNED),
    _script(_KEYS),
    _script(_SESSIONS),
    _script(_CRASHES),
    _script(_RECURRING),
    _script(_EXECUTION_PAGES),
    _script(_AT_LIMIT),
    _run_lists,
)

LATEST = len(MIGRATIONS)

_VERSIONS = """
CREATE TABLE schema_version (version INTEGER NOT NULL, applied_at DOUBLE PRECISION NOT NULL, PRIMARY KEY (version))
"""


def current_version(conn: Connection) -> int:
    """The schema's version; 0 for an empty database. Reads only."""
    if not inspect(conn).has_table("schema_version"):
        return 0
    return conn.execute(text("SELECT max(version) FROM schema_version")).scalar_one() or 0


def check_version(found: int, known: int = LATEST) -> None:
    """Raise SchemaTooNew when the schema is from the future."""
    if found > known:
        raise SchemaTooNew(found=found, known=known)


def upgrade(conn: Connection, migrations: Sequence[Migration] = MIGRATIONS) -> int:
    """Bring the schema to the newest version, in the caller's transaction; answers the version it had."""
    found = current_version(conn)
    check_version(found, len(migrations))
    if found == 0:
        conn.execute(text(_VERSIONS))
    for version, migration in enumerate(migrations[found:], start=found + 1):
        migration(conn)
        statement = text("INSERT INTO schema_version (version, applied_at) VALUES (:version, :at)")
        conn.execute(statement, {"version": version, "at": time.time()})
    return found
