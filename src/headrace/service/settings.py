"""Settings of one server: where it keeps its data and how much it may do at once."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from headrace.service.errors import Unavailable
from headrace.store.urls import DatabaseUrl


def default_home() -> Path:
    """`$HEADRACE_HOME`, else `~/.headrace`. Raises Unavailable HOME_UNKNOWN."""
    found = Path(os.environ.get("HEADRACE_HOME") or "~/.headrace")
    try:
        return found.expanduser().absolute()
    except RuntimeError:
        raise Unavailable(
            f"The data directory {found} cannot be found: this user has no home directory. Set HEADRACE_HOME to a "
            "directory that the user may write to, or use --home.",
            code="HOME_UNKNOWN",
        ) from None


def database_url(given: str = "") -> DatabaseUrl | None:
    """The PostgreSQL to use: `given`, else `$HEADRACE_DATABASE_URL`; None for SQLite in the data directory.

    `$HEADRACE_DATABASE_PASSWORD_FILE` names a file with its password. Raises store.errors.BadUrl.
    """
    found = given or os.environ.get("HEADRACE_DATABASE_URL", "")
    if not found:
        return None
    file = os.environ.get("HEADRACE_DATABASE_PASSWORD_FILE")
    return DatabaseUrl.parse(found, password_file=Path(file) if file else None)


def warm_starts() -> bool:
    """Unless `$HEADRACE_WARM_STARTS` says `off`."""
    return os.environ.get("HEADRACE_WARM_STARTS", "").lower() not in ("off", "0", "false", "no")


def ignores_resources() -> bool:
    """Whether `$HEADRACE_IGNORE_RESOURCES` is `1`, `true`, `yes` or `on`."""
    return _is_on("HEADRACE_IGNORE_RESOURCES")


def fetches_private() -> bool:
    """Whether `$HEADRACE_FETCH_PRIVATE` is `1`, `true`, `yes` or `on`."""
    return _is_on("HEADRACE_FETCH_PRIVATE")


def _is_on(name: str) -> bool:
    return os.environ.get(name, "").strip().lower() in ("1", "true", "yes", "on")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of one server."""

    #: Data directory: database, artifacts, attempts, environments, token.
    home: Path
    #: PostgreSQL, which several servers may share; None: SQLite, in the data directory.
    database: DatabaseUrl | None = None
    #: Seconds after which the runs of a server that gives no more sign of life go to others. PostgreSQL only.
    lease_s: float = 15.0
    #: Where artifacts go unless a run or its document says: URI in an object store; "": into the data directory.
    artifact_root: str = ""
    #: Directories of this machine below which importers may register files, beside the server's own artifacts.
    import_roots: tuple[Path, ...] = (Path("/"),)
    #: Attempts running at once on this machine; further ones wait for a slot.
    max_parallel: int = max(2, os.cpu_count() or 2)
    #: Seconds between SIGTERM and SIGKILL when an attempt is stopped.
    stop_grace_s: float = 5.0
    #: `podman`, `docker`, or "" to look for one.
    container_engine: str = ""
    #: Bytes of fetched input artifacts that are kept for the next task that wants them.
    max_fetched_bytes: int = 20 << 30
    #: Bytes of log after which an attempt is ended as LOG_LIMIT.
    max_log_bytes: int = 1 << 30
    #: Largest parameter value a task may hand on, in bytes of JSON.
    max_parameter_bytes: int = 1 << 20
    #: Whether Python components are forked from parents that have imported what they need.
    warm_starts: bool = True
    #: Cores, memory and accelerators that tasks may ask for together; None: what this machine has, less a reserve of
    #: memory. Accelerators are a type and the devices' names, as CUDA_VISIBLE_DEVICES has them.
    machine_cpus: float | None = None
    machine_memory_bytes: int | None = None
    accelerators: dict[str, tuple[str, ...]] | None = None
    #: Whether tasks run whatever they ask for: a pipeline written for a cluster then runs on a laptop.
    ignore_resources: bool = False
    #: Whether documents are fetched (`package_url`) from this machine and from private networks, too.
    fetch_private: bool = False
    #: Memory and cores of one attempt whose task says no limit; None: as much as there is.
    task_memory_bytes: int | None = None
    task_cpus: float | None = None
    #: Processes and threads of one attempt at once.
    max_processes: int = 4096
    #: What one attempt's own directory may hold; None: what the disk holds.
    max_work_bytes: int | None = None
    max_work_files: int = 1_000_000
    #: With less free on the disk, the attempt that holds most of it is ended.
    min_free_bytes: int = 64 << 20
    #: The address of a proxy before this server that browsers use, such as `http://127.0.0.1:9000`; "": its own.
    public_url: str = ""
    #: The address of the proxy for the content of artifacts: another host, or another port of it; "": its own.
    public_content_url: str = ""
    #: The port for the content of artifacts, which a proxy needs to know; 0: any free one.
    content_port: int = 0
    #: Whether the cache is used at all.
    caching: bool = True
    #: Seconds after which an entry of the cache is not used any more; None: never.
    cache_max_age_s: float | None = None
