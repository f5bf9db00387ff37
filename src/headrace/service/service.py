"""The service: what can be asked of a Headrace server, without HTTP.

One object, made by `Service.open`. All methods raise `service.errors` only. What they have
acknowledged is on disk when they return.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from headrace.engine.model import Execution, Json
from headrace.executors.port import Executor
from headrace.service import cache_entries, content, experiments, explain_queries, marks, pipelines, reruns, runs, views
from headrace.service.context import Context
from headrace.service.expiry import Expiry
from headrace.service.loop import RunLoop
from headrace.service.opening import close_context, open_context, resumable
from headrace.service.requests import NewMark as NewMark
from headrace.service.requests import NewRun as NewRun
from headrace.service.requests import NewVersion as NewVersion
from headrace.service.requests import Rerun as Rerun
from headrace.service.settings import Settings
from headrace.store.cache import CacheFilter
from headrace.store.records import (
    ArtifactRecord,
    ExperimentRecord,
    ListQuery,
    Page,
    PipelineRecord,
    RunRecord,
    VersionRecord,
)
from headrace.wire.api import CacheList, ExecutionDetail, Explanation, ListChange, RunChange, RunExplanation, RunView

if TYPE_CHECKING:
    from headrace.service.sharing import Sharing


async def _close(context: Context, loop: RunLoop, sharing: Sharing | None) -> None:
    await loop.close()
    if sharing is not None:
        await sharing.close()
    await close_context(context)


class Service:
    """A running service over one data directory."""

    def __init__(self, context: Context, loop: RunLoop, sharing: Sharing | None = None) -> None:
        self._context = context
        self._loop = loop
        self._sharing = sharing
        self._expiry = Expiry(context, loop)

    @classmethod
    async def open(
        cls, settings: Settings, *, executor: Executor | None = None, in_memory: bool = False, drive: bool = True
    ) -> Service:
        """Open or make the data directory, take it for this process alone, resume every run.

        `executor` takes the place of this machine's own; `in_memory` keeps nothing beyond `close` but artifacts.
        Without `drive` nothing is resumed, stopped or started: for looking only.

        Raises Unavailable: HOME_READ_ONLY, HOME_FULL, HOME_IN_USE (details: pid, url of who has it),
        HOME_NEWER (made by a newer version of Headrace).
        """
        return await cls.over(await open_context(settings, executor=executor, in_memory=in_memory, drive=drive), drive)

    @classmethod
    async def over(cls, context: Context, drive: bool = True) -> Service:
        """Resume every run of what is open, or with several servers a share of them; closes it if that fails."""
        loop = RunLoop(context)
        sharing: Sharing | None = None
        try:
            await experiments.find_or_create(context, experiments.DEFAULT_NAME)
            if context.lease is not None and context.database.server is not None:
                # Half a second to import with its driver, and only for those who use it.
                from headrace.service.sharing import Sharing

                sharing = Sharing(context, loop, context.lease, context.database.server)
                await loop.start((), alone=False)
                await sharing.start()
            elif drive:
                await loop.start(await resumable(context))
        except BaseException:
            await _close(context, loop, sharing)
            raise
        service = cls(context, loop, sharing)
        if drive:
            service._expiry.start()
        return service

    async def broken(self) -> None:
        """Wait until nothing can be kept any more, which may be never. Raises Unavailable DISK_FAILED."""
        database = self._context.database
        await database.failed.wait()
        assert database.failure is not None
        raise self._context.translated(database.failure)

    async def close(self) -> None:
        """Let go: attempts go on running and are adopted by the next `open`."""
        await self._expiry.close()
        await _close(self._context, self._loop, self._sharing)

    # experiments -----------------------------------------------------------------------------
    async def create_experiment(
        self, *, name: str, description: str = "", namespace: str = "", created_by: str = ""
    ) -> ExperimentRecord:
        return await experiments.create(
            self._context, name=name, description=description, namespace=namespace, created_by=created_by
        )

    async def get_experiment(self, experiment_id: str) -> ExperimentRecord:
        return await experiments.get(self._context, experiment_id)

    async def list_experiments(self, query: ListQuery) -> Page[ExperimentRecord]:
        return await experiments.list_page(self._context, query)

    async def set_experiment_archived(self, experiment_id: str, archived: bool) -> None:
        await experiments.set_archived(self._context, experiment_id, archived)

    async def delete_experiment(self, experiment_id: str) -> None:
        await experiments.delete(self._context, experiment_id)

    # pipelines and versions ------------------------------------------------------------------
    async def create_pipeline(
        self,
        *,
        name: str,
        display_name: str = "",
        description: str = "",
        namespace: str = "",
        tags: dict[str, str] | None = None,
        version: NewVersion | None = None,
        created_by: str = "",
    ) -> PipelineRecord:
        return await pipelines.create(
            self._context,
            name=name,
            display_name=display_name,
            description=description,
            namespace=namespace,
            tags=tags or {},
            version=version,
            created_by=created_by,
        )

    async def create_version(self, pipeline_id: str, version: NewVersion) -> VersionRecord:
        return await pipelines.create_version(self._context, pipeline_id, version)

    async def get_pipeline(self, pipeline_id: str) -> PipelineRecord:
        return await pipelines.get(self._context, pipeline_id)

    async def get_pipeline_by_name(self, name: str, namespace: str = "") -> PipelineRecord:
        return await pipelines.find(self._context, name, namespace)

    async def list_pipelines(self, query: ListQuery) -> Page[PipelineRecord]:
        return await pipelines.list_page(self._context, query)

    async def update_pipeline(
        self, pipeline_id: str, *, display_name: str | None = None, tags: dict[str, str] | None = None
    ) -> PipelineRecord:
        return await pipelines.update(self._context, pipeline_id, display_name=display_name, tags=tags)

    async def delete_pipeline(self, pipeline_id: str, *, cascade: bool = False) -> None:
        await pipelines.delete(self._context, pipeline_id, cascade=cascade)

    async def get_version(self, pipeline_version_id: str) -> VersionRecord:
        return await pipelines.get_version(self._context, pipeline_version_id)

    async def list_versions(self, pipeline_id: str, query: ListQuery) -> Page[VersionRecord]:
        return await pipelines.list_versions(self._context, pipeline_id, query)

    async def update_version(
        self, pipeline_version_id: str, *, display_name: str | None = None, tags: dict[str, str] | None = None
    ) -> VersionRecord:
        return await pipelines.update_version(self._context, pipeline_version_id, display_name=display_name, tags=tags)

    async def delete_version(self, pipeline_version_id: str) -> None:
        await pipelines.delete_version(self._context, pipeline_version_id)

    # runs ------------------------------------------------------------------------------------
    async def create_run(self, new: NewRun) -> RunRecord:
        """Check the document and the arguments, store the run with RunStarted, and begin."""
        return await runs.create(self._context, self._loop, new)

    async def get_run(self, run_id: str) -> RunRecord:
        return await runs.get(self._context, run_id)

    async def get_run_document(self, run_id: str) -> tuple[dict[str, Json], dict[str, Json] | None]:
        """`(pipeline_spec, platform_spec)` of the run."""
        return await runs.get_document(self._context, run_id)

    async def list_runs(self, query: ListQuery) -> Page[RunRecord]:
        return await runs.list_page(self._context, query)

    async def get_executions(self, run_id: str) -> tuple[Execution, ...]:
        """All executions of a run, parents before children."""
        return await runs.get_executions(self._context, run_id)

    async def terminate_run(self, run_id: str) -> None:
        """Ask for its end; CANCELED once nothing of it is left. Raises Conflict RUN_FINAL when it has ended already."""
        await runs.terminate(self._context, self._loop, run_id)

    async def retry_run(self, run_id: str) -> None:
        """Try what failed once more, keeping what succeeded. Raises Conflict unless the run is FAILED or CANCELED."""
        await runs.retry(self._context, self._loop, run_id)

    async def rerun_run(self, run_id: str, wanted: Rerun) -> RunRecord:
        """A new run in which the named tasks, and what depends on them, run; what succeeded otherwise is taken over.

        Raises Invalid INVALID_RERUN (`faults` in its details) when a document does not fit what is to be taken over.
        """
        return await reruns.rerun(self._context, self._loop, run_id, wanted)

    async def mark_execution(self, run_id: str, execution_id: str, wanted: NewMark) -> None:
        """Decide what a task came to; one that runs is stopped first, and what waited for it goes on.

        Raises Conflict when it cannot be decided any more, Invalid INVALID_OUTPUTS (`faults`) for outputs that the
        component does not declare so.
        """
        await marks.mark(self._context, self._loop, run_id, execution_id, wanted)

    async def pause_run(self, run_id: str) -> None:
        """Begin nothing new; what runs goes on. Raises Conflict when the run has ended or is being cancelled."""
        await runs.pause(self._context, self._loop, run_id)

    async def resume_run(self, run_id: str) -> None:
        """Go on with what a pause held back. Raises Conflict unless the run is paused."""
        await runs.resume(self._context, self._loop, run_id)

    async def set_run_archived(self, run_id: str, archived: bool) -> None:
        await runs.set_archived(self._context, run_id, archived)

    async def delete_run(self, run_id: str) -> None:
        """Delete a run and its executions; one that is not final is terminated first. Artifacts go with it."""
        await runs.delete(self._context, self._loop, run_id)

    # why -------------------------------------------------------------------------------------
    async def explain_run(self, run_id: str, *, limit: int = 200) -> RunExplanation:
        """Why the run is in its state, what its tasks wait for, and each of at most `limit` tasks."""
        return await explain_queries.of_run(self._context, self._loop, run_id, limit=limit)

    async def explain_execution(self, execution_id: str) -> Explanation:
        """Why an execution is in its state, with all that its fingerprint is made from."""
        return await explain_queries.of_execution(self._context, self._loop, execution_id)

    # cache -----------------------------------------------------------------------------------
    async def list_cache(self, query: ListQuery) -> CacheList:
        """A page of the cache's entries."""
        page = await cache_entries.list_page(self._context, query)
        limit = self._context.settings.cache_max_age_s
        return CacheList(
            entries=[cache_entries.entry_view(entry, limit) for entry in page.items],
            total_size=page.total_size,
            next_page_token=page.next_page_token,
        )

    async def drop_cache(self, which: CacheFilter, *, everything: bool = False) -> int:
        """Forget entries; how many. Raises Invalid CACHE_FILTER_MISSING when nothing is said about which."""
        return await cache_entries.drop(self._context, which, everything=everything)

    # views for `/api` ------------------------------------------------------------------------
    async def run_view(self, run_id: str) -> RunView:
        return await views.run_view(self._context, run_id)

    async def execution_detail(self, execution_id: str) -> ExecutionDetail:
        return await views.execution_detail(self._context, execution_id)

    def watch_run(self, run_id: str, *, after_version: int = 0) -> AsyncIterator[RunChange]:
        """What changed after `after_version` (0: everything), then each change, batched (at most ~10 a second);
        ends once the run is final and all is sent. Raises NotFound at the first step."""
        return views.watch_run(self._context, run_id, after_version=after_version)

    def watch_runs(self) -> AsyncIterator[ListChange]:
        """Summaries of runs as they change, batched; endless."""
        return views.watch_runs(self._context)

    async def get_artifact(self, artifact_id: str) -> ArtifactRecord:
        return await content.get_artifact(self._context, artifact_id)

    def read_artifact(
        self, artifact_id: str, *, offset: int = 0, limit: int | None = None, member: str = ""
    ) -> AsyncIterator[bytes]:
        """The content in chunks; `member` is a file's name inside a directory artifact (never followed out)."""
        return content.read_artifact(self._context, artifact_id, offset=offset, limit=limit, member=member)

    async def list_artifact_members(self, artifact_id: str) -> tuple[tuple[str, int], ...]:
        """`(name, size_bytes)` of each file of a directory artifact; one pair with name "" for a file."""
        return await content.list_members(self._context, artifact_id)

    async def log_size(self, execution_id: str, attempt: int) -> int:
        """Bytes of the attempt's log so far. Raises NotFound."""
        return await content.log_size(self._context, execution_id, attempt)

    def read_log(
        self, execution_id: str, attempt: int, *, offset: int = 0, limit: int | None = None, follow: bool = False
    ) -> AsyncIterator[bytes]:
        """The attempt's log from byte `offset`; with `follow`, until the attempt has ended."""
        return content.read_log(self._context, execution_id, attempt, offset=offset, limit=limit, follow=follow)
