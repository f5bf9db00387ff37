"""Opening and closing: the data directory, the database, the executor, and the runs that go on."""

from __future__ import annotations

import logging
import shutil
import time

import msgspec

from headrace.artifacts.object_stores import ObjectStoreConfig
from headrace.artifacts.port import NotConfigured
from headrace.artifacts.stores import Stores
from headrace.attempt.order import IMPORTER, LaunchOrder
from headrace.attempt.result import ProducedArtifact
from headrace.engine.model import Artifact, Reason
from headrace.executors.importer import ImporterExecutor
from headrace.executors.local.assemble import make_executor
from headrace.executors.local.attempt_dir import fetched_in_use
from headrace.executors.local.limits import Allowance
from headrace.executors.local.machine import Machine
from headrace.executors.port import Executor
from headrace.executors.router import ExecutorRouter
from headrace.service.active import ActiveRun, failed_for, internal_error
from headrace.service.context import Context, translated
from headrace.service.data_dir import DataDirectory, unavailable, unusable
from headrace.service.errors import Unavailable
from headrace.service.handling import HandlingNotes
from headrace.service.lease import ServerLease
from headrace.service.roots import check_settings
from headrace.service.runs import load
from headrace.service.secrets import SigningKeys, open_keys
from headrace.service.settings import Settings
from headrace.store import errors as store
from headrace.store import runs as rows
from headrace.store.artifacts import find_equal_artifact
from headrace.store.database import Database
from headrace.store.run_changes import commit_changes, quarantine_run
from headrace.store.urls import DatabaseUrl

log = logging.getLogger(__name__)

#: Bytes free on the disk below which a failure at the start is taken to be because the disk is full.
_LITTLE_ROOM = 256 * 1024
#: Servers that may die while they handle a run before it is ended for that.
MAX_CRASHES = 3
#: Name of the executor for orders that name none.
_DEFAULT = "default"


async def open_context(settings: Settings, *, executor: Executor | None, in_memory: bool, drive: bool) -> Context:
    """Take the data directory and open what is in it. Raises Unavailable."""
    settings = msgspec.structs.replace(settings, home=settings.home.expanduser().absolute())
    data_dir = DataDirectory.open(settings.home, shared=settings.database is not None)
    try:
        database = await _open_database(settings, None if in_memory else data_dir)
    except BaseException:
        data_dir.close()
        raise
    try:
        objects = ObjectStoreConfig.read(settings.home)
        check_settings(settings, objects)
        artifacts = Stores(settings.home, objects, max_fetched_bytes=settings.max_fetched_bytes)
        artifacts.in_use = lambda: fetched_in_use(settings.home)
        lease = ServerLease(settings.lease_s) if database.server is not None and drive else None
        local = executor or _executor(settings, artifacts, lease, data_dir.domain())
        executors = executors_of(local, importer_executor(settings, database))
        keys = SigningKeys.new() if in_memory else await open_keys(database, settings.home, time.time())
        handling, crashes = HandlingNotes(), None
        if drive and not in_memory:
            handling, crashes = HandlingNotes.open(settings.home)
        if crashes:
            await database.write(rows.count_crashes, crashes)
        return Context(
            settings=settings,
            handling=handling,
            keys=keys,
            data_dir=data_dir,
            database=database,
            executor=executors,
            artifacts=artifacts,
            objects=objects,
            lease=lease,
        )
    except BaseException as error:
        await database.close()
        data_dir.close()
        if isinstance(error, store.StoreError):
            raise _meaning(error, settings) from error
        if isinstance(error, OSError):
            raise unusable(settings.home, error) from error
        if isinstance(error, NotConfigured):
            raise Unavailable(str(error), code="OBJECT_STORES_INVALID") from error
        raise


def executors_of(default: Executor, importers: ImporterExecutor) -> ExecutorRouter:
    """All executors of a server: `default` for what needs a process, container or pod."""
    return ExecutorRouter({_DEFAULT: default, IMPORTER: importers}, default=_DEFAULT)


def importer_executor(settings: Settings, database: Database) -> ImporterExecutor:
    """The executor of importers, over the artifacts that the database has recorded."""

    async def find_equal(artifact: ProducedArtifact, order: LaunchOrder) -> Artifact | None:
        wanted = Artifact(
            artifact_id="", name=artifact.name, type=artifact.type, uri=artifact.uri, metadata=artifact.metadata
        )
        return await database.read(
            find_equal_artifact, wanted, pipeline_name=order.pipeline_name, namespace=order.namespace
        )

    return ImporterExecutor(settings.home, settings.import_roots, find_equal)


def _executor(settings: Settings, artifacts: Stores, lease: ServerLease | None, domain: str) -> Executor:
    return make_executor(
        settings.home,
        domain=domain,
        artifacts=artifacts,
        max_parallel=settings.max_parallel,
        stop_grace_s=settings.stop_grace_s,
        container_engine=settings.container_engine,
        max_log_bytes=settings.max_log_bytes,
        max_parameter_bytes=settings.max_parameter_bytes,
        warm_starts=settings.warm_starts,
        shared=lease is not None,
        may_start=lease.live if lease is not None else lambda: True,
        machine=None if settings.ignore_resources else machine_of(settings),
        allowance=Allowance(
            task_memory_bytes=settings.task_memory_bytes,
            task_cpus=settings.task_cpus,
            max_processes=settings.max_processes,
            max_work_bytes=settings.max_work_bytes,
            max_work_files=settings.max_work_files,
            min_free_bytes=settings.min_free_bytes,
        ),
    )


def machine_of(settings: Settings) -> Machine:
    """What attempts may use together on this machine."""
    return Machine.here(
        cpus=settings.machine_cpus, memory_bytes=settings.machine_memory_bytes, accelerators=settings.accelerators
    )


async def _open_database(settings: Settings, data_dir: DataDirectory | None) -> Database:
    where = settings.database if data_dir is not None else None
    try:
        return await Database.open(where or (data_dir.database() if data_dir else None))
    except store.StoreError as error:
        raise _meaning(error, settings) from error
    except ImportError as error:
        if where is None or error.name not in ("asyncpg", "greenlet"):
            raise
        raise Unavailable(
            f"PostgreSQL needs the package {error.name}: pip install 'headrace[server,postgresql]'",
            code="DATABASE_DRIVER_MISSING",
        ) from error


def _meaning(error: store.StoreError, settings: Settings) -> Exception:
    """SQLite says "cannot open" or "I/O error" for a full disk too."""
    if settings.database is not None:
        return _meaning_of_server(error, settings, settings.database)
    if isinstance(error, store.Broken | store.DiskFailed) and shutil.disk_usage(settings.home).free < _LITTLE_ROOM:
        return unavailable(settings.home, "HOME_FULL", str(error))
    if isinstance(error, store.Broken | store.DiskFailed):
        message = (
            f"The database in the data directory {settings.home} cannot be used: {error}. Put a good copy of "
            "headrace.db in its place, or choose another directory with HEADRACE_HOME."
        )
        return Unavailable(message, code="STORE_FAILED", home=str(settings.home))
    meaning = translated(error, settings)
    return meaning if isinstance(meaning, Unavailable) else Unavailable(str(error), code="STORE_FAILED")


def _meaning_of_server(error: store.StoreError, settings: Settings, database: DatabaseUrl) -> Exception:
    match error:
        case store.SchemaTooNew():
            return translated(error, settings)
        case store.NotDurable():
            message = (
                f"The PostgreSQL server at {database} runs with {error.setting} = off: a power failure would lose "
                f"what Headrace has acknowledged. Set {error.setting} = on in postgresql.conf and reload it."
            )
            return Unavailable(message, code="DATABASE_NOT_DURABLE", setting=error.setting)
        case store.DatabaseUnreachable() | store.Busy() | store.CommitUnknown():
            message = (
                f"The PostgreSQL server at {database} cannot be reached: {error}. Start it, or correct "
                "HEADRACE_DATABASE_URL."
            )
            return Unavailable(message, code="DATABASE_UNREACHABLE")
        case _:
            message = f"The PostgreSQL server at {database} refuses: {error}. Correct HEADRACE_DATABASE_URL."
            return Unavailable(message, code="DATABASE_REFUSED")


async def close_context(context: Context) -> None:
    """Let go of everything; attempts go on."""
    context.changes.close()
    context.plans.close()
    await context.executor.close()
    await context.database.close()
    context.handling.close()
    context.data_dir.close()


async def resumable(context: Context) -> list[ActiveRun]:
    """Every run that is not final. One that cannot be read is ended, FAILED, and keeps no other from going on."""
    loaded = [await load_or_end(context, run_id) for run_id in await context.read(rows.unfinished_runs)]
    return [run for run in loaded if run is not None]


async def load_or_end(context: Context, run_id: str) -> ActiveRun | None:
    """The run as it was recorded; None when it is gone, or is ended, FAILED: it cannot be read, or ends servers."""
    crashes = await context.read(rows.crashes_of, run_id)
    try:
        if crashes > MAX_CRASHES:
            # Even reading it has ended a server.
            await context.write(quarantine_run, run_id, _poison(crashes), context.now())
            return None
        if crashes:
            context.handling.suspect(run_id)
        with context.handling.of([run_id]):
            run = await load(context, run_id)
        if run is None or crashes < MAX_CRASHES or run.state.state.final:
            return run
        log.error("run %s is ended: %d servers died while they handled it", run_id, crashes)
        ended = failed_for(run, _poison(crashes), context.now())
        await context.write(commit_changes, [ended.change], context.owner)
        await context.write(rows.forget_crashes, run_id)
        return None
    except Unavailable:
        raise
    except Exception as error:
        log.exception("run %s cannot be taken up again", run_id)
        await context.write(quarantine_run, run_id, internal_error(error, ()), context.now())
        return None


def _poison(crashes: int) -> Reason:
    message = (
        f"{crashes} times the server died while it handled this run, so it is not handled any more; other runs go on. "
        "Look at the server's log and at the memory of its machine. `headrace retry` tries it again."
    )
    return Reason(code="POISON", message=message, details={"crashes": crashes})
