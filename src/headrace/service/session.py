"""The one door: everything that can be asked of a Headrace server, in the name of one caller.

`Service.for_caller` makes a session. Each of its methods states the access it needs, reads whose the row is, and
lets `access.decide` answer. What a caller may not read does not exist for them: the answer is the same, word for
word, as for what is not there.

All methods raise `service.errors` only. What they have acknowledged is on disk when they return.
"""

from __future__ import annotations

import asyncio
import copy
import functools
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Concatenate, ParamSpec, TypeVar

import msgspec

from headrace.engine.model import Execution, Json
from headrace.service import (
    cache_entries,
    content,
    experiments,
    explain_queries,
    idempotency,
    marks,
    package_urls,
    pipelines,
    recurring_runs,
    reruns,
    runs,
    tick_views,
    views,
)
from headrace.service.access import Access, Caller, Decision, Resource, Scope, Verb, allowed_in, decide, readable
from headrace.service.context import Context
from headrace.service.errors import Forbidden, Invalid, NotFound
from headrace.service.loop import RunLoop
from headrace.service.requests import (
    IdempotencyKey,
    NewMark,
    NewRecurringRun,
    NewRun,
    NewVersion,
    RecurringRunEdit,
    Rerun,
)
from headrace.store import namespaces
from headrace.store import runs as run_rows
from headrace.store.cache import CacheFilter
from headrace.store.database import Connection
from headrace.store.idempotency import KeyScope
from headrace.store.namespaces import Ownership
from headrace.store.records import (
    ArtifactRecord,
    ExperimentRecord,
    ListQuery,
    Page,
    PipelineRecord,
    RecurringRunRecord,
    RunRecord,
    StoredTimetable,
    TickRecord,
    VersionRecord,
)
from headrace.wire.api import (
    CacheList,
    ExecutionDetail,
    ExecutionPage,
    Explanation,
    ListChange,
    RunChange,
    RunExplanation,
    RunView,
)
from headrace.wire.recurring_runs import TickList

P = ParamSpec("P")
T = TypeVar("T")

_Find = Callable[[Connection, str], Ownership | None]


class UndeclaredAccess(Exception):
    """A route's handler asks for another access than its route declares: a mistake in the program."""


def needs(
    kind: Resource, verb: Verb, scope: Scope = "row"
) -> Callable[[Callable[Concatenate[Session, P], T]], Callable[Concatenate[Session, P], T]]:
    """A method of `Session` that needs this access: it runs on a session which knows what is being asked for."""
    access = Access(kind, verb, scope)

    def mark(method: Callable[Concatenate[Session, P], T]) -> Callable[Concatenate[Session, P], T]:
        @functools.wraps(method)
        def asked(self: Session, /, *args: P.args, **kwargs: P.kwargs) -> T:
            return method(self._asking(access), *args, **kwargs)

        vars(asked)["access"] = access
        return asked

    return mark


def access_of(method: Callable[..., Any]) -> Access:
    """What a method of `Session` needs. Raises KeyError for what is no such method."""
    found = vars(method)["access"]
    assert isinstance(found, Access)
    return found


class Session:
    """What one caller may ask."""

    def __init__(self, context: Context, loop: RunLoop, caller: Caller, *, only: Access | None = None) -> None:
        self._context = context
        self._loop = loop
        self.caller = caller
        #: The one access that the route of a request declares; None: methods of every access may be called.
        self._only = only
        #: What the method that runs needs.
        self._access: Access | None = None

    # experiments -----------------------------------------------------------------------------
    @needs(Resource.EXPERIMENT, Verb.CREATE, "body")
    async def create_experiment(self, *, name: str, description: str = "", namespace: str = "") -> ExperimentRecord:
        """A new experiment. Raises AlreadyExists."""
        self._check_namespace(namespace)
        return await experiments.create(
            self._context, name=name, description=description, namespace=namespace, created_by=self.caller.user
        )

    @needs(Resource.EXPERIMENT, Verb.READ)
    async def get_experiment(self, experiment_id: str) -> ExperimentRecord:
        """One experiment."""
        await self._check(namespaces.of_experiment, "experiment", experiment_id=experiment_id)
        return await experiments.get(self._context, experiment_id)

    @needs(Resource.EXPERIMENT, Verb.READ, "query")
    async def list_experiments(self, query: ListQuery) -> Page[ExperimentRecord]:
        """A page of experiments."""
        return await experiments.list_page(self._context, self._narrowed(query))

    @needs(Resource.EXPERIMENT, Verb.UPDATE)
    async def set_experiment_archived(self, experiment_id: str, archived: bool) -> None:
        """Archive an experiment with every run in it, or bring it back alone."""
        await self._check(namespaces.of_experiment, "experiment", experiment_id=experiment_id)
        await experiments.set_archived(self._context, experiment_id, archived)

    @needs(Resource.EXPERIMENT, Verb.DELETE)
    async def delete_experiment(self, experiment_id: str) -> None:
        """Delete an experiment; its runs stay."""
        await self._check(namespaces.of_experiment, "experiment", experiment_id=experiment_id)
        await experiments.delete(self._context, experiment_id)

    # pipelines and versions ------------------------------------------------------------------
    @needs(Resource.PIPELINE, Verb.CREATE, "body")
    async def create_pipeline(
        self,
        *,
        name: str,
        display_name: str = "",
        description: str = "",
        namespace: str = "",
        tags: dict[str, str] | None = None,
        version: NewVersion | None = None,
    ) -> PipelineRecord:
        """A new pipeline, and its first version if one is given. Raises AlreadyExists."""
        self._check_namespace(namespace)
        return await pipelines.create(
            self._context,
            name=name,
            display_name=display_name,
            description=description,
            namespace=namespace,
            tags=tags or {},
            version=None if version is None else await self._fetched(version),
            created_by=self.caller.user,
        )

    @needs(Resource.PIPELINE, Verb.CREATE)
    async def create_version(self, pipeline_id: str, version: NewVersion) -> VersionRecord:
        """A new version of a pipeline. Raises AlreadyExists."""
        await self._check(namespaces.of_pipeline, "pipeline", pipeline_id=pipeline_id)
        return await pipelines.create_version(self._context, pipeline_id, await self._fetched(version))

    async def _fetched(self, version: NewVersion) -> NewVersion:
        """The version as the caller's, with its document; after the caller's right to it was checked."""
        if version.package_url:
            document = await package_urls.fetch(version.package_url, private=self._context.settings.fetch_private)
            version = msgspec.structs.replace(version, document=document, package_url="")
        return self._made_by_caller(version)

    @needs(Resource.PIPELINE, Verb.READ)
    async def get_pipeline(self, pipeline_id: str) -> PipelineRecord:
        """One pipeline."""
        await self._check(namespaces.of_pipeline, "pipeline", pipeline_id=pipeline_id)
        return await pipelines.get(self._context, pipeline_id)

    @needs(Resource.PIPELINE, Verb.READ, "query")
    async def get_pipeline_by_name(self, name: str, namespace: str = "") -> PipelineRecord:
        """The pipeline of this name in the namespace."""
        decision = self._decide(Ownership(namespace=namespace, created_by=""))
        self._enforce(decision, namespace, pipelines.no_such_name(name))
        return await pipelines.find(self._context, name, namespace)

    @needs(Resource.PIPELINE, Verb.READ, "query")
    async def list_pipelines(self, query: ListQuery) -> Page[PipelineRecord]:
        """A page of pipelines."""
        return await pipelines.list_page(self._context, self._narrowed(query))

    @needs(Resource.PIPELINE, Verb.UPDATE)
    async def update_pipeline(
        self, pipeline_id: str, *, display_name: str | None = None, tags: dict[str, str] | None = None
    ) -> PipelineRecord:
        """Change the display name or the tags; None changes nothing, an empty map removes all tags."""
        await self._check(namespaces.of_pipeline, "pipeline", pipeline_id=pipeline_id)
        return await pipelines.update(self._context, pipeline_id, display_name=display_name, tags=tags)

    @needs(Resource.PIPELINE, Verb.DELETE)
    async def delete_pipeline(self, pipeline_id: str, *, cascade: bool = False) -> None:
        """Delete a pipeline. Raises Conflict PIPELINE_HAS_VERSIONS unless `cascade` deletes those, too."""
        await self._check(namespaces.of_pipeline, "pipeline", pipeline_id=pipeline_id)
        await pipelines.delete(self._context, pipeline_id, cascade=cascade)

    @needs(Resource.PIPELINE, Verb.READ)
    async def get_version(self, pipeline_version_id: str) -> VersionRecord:
        """One version."""
        await self._check_version(pipeline_version_id)
        return await pipelines.get_version(self._context, pipeline_version_id)

    @needs(Resource.PIPELINE, Verb.READ)
    async def list_versions(self, pipeline_id: str, query: ListQuery) -> Page[VersionRecord]:
        """A page of a pipeline's versions."""
        await self._check(namespaces.of_pipeline, "pipeline", pipeline_id=pipeline_id)
        return await pipelines.list_versions(self._context, pipeline_id, query)

    @needs(Resource.PIPELINE, Verb.UPDATE)
    async def update_version(
        self,
        pipeline_version_id: str,
        *,
        display_name: str | None = None,
        tags: dict[str, str] | None = None,
    ) -> VersionRecord:
        """As `update_pipeline`."""
        await self._check_version(pipeline_version_id)
        return await pipelines.update_version(self._context, pipeline_version_id, display_name=display_name, tags=tags)

    @needs(Resource.PIPELINE, Verb.DELETE)
    async def delete_version(self, pipeline_version_id: str) -> None:
        """Delete a version; runs made from it keep their document."""
        await self._check_version(pipeline_version_id)
        await pipelines.delete_version(self._context, pipeline_version_id)

    # runs ------------------------------------------------------------------------------------
    @needs(Resource.RUN, Verb.CREATE, "body")
    async def create_run(self, new: NewRun, *, key: IdempotencyKey | None = None) -> RunRecord:
        """Check the document and the arguments, record the run with RunStarted, and begin.

        The run is made in the namespace of its experiment; the caller must be able to read the pipeline it is made
        from. With a key, the same request makes one run however often it is sent: see `service.idempotency`.
        """
        if new.experiment_id:
            await self._check(namespaces.of_experiment, "experiment", experiment_id=new.experiment_id)
        else:
            self._check_namespace(new.namespace)
        await self._check_source(new)
        new = self._made_by_caller(new)
        if new.recurring_run_id:
            made = await self._asking(_READ_RECURRING_RUN)._made_by_recurring_run(new)
            if made is not None:
                return made
        if key is None:
            return await runs.create(self._context, self._loop, new)
        scope = self._scope(key, await self._namespace_of(new))
        return await idempotency.once(
            self._context, scope, [new], lambda also: runs.create(self._context, self._loop, new, with_=[also])
        )

    # recurring runs --------------------------------------------------------------------------
    @needs(Resource.RECURRING_RUN, Verb.CREATE, "body")
    async def create_recurring_run(self, new: NewRecurringRun) -> RecurringRunRecord:
        """Check document, arguments and timetable, and record it. Its runs are made in the caller's name."""
        if new.experiment_id:
            await self._check(namespaces.of_experiment, "experiment", experiment_id=new.experiment_id)
        else:
            self._check_namespace(new.namespace)
        await self._check_source(new)
        return await recurring_runs.create(self._context, self._made_by_caller(new))

    @needs(Resource.RECURRING_RUN, Verb.READ)
    async def get_recurring_run(self, recurring_run_id: str) -> RecurringRunRecord:
        """One recurring run."""
        await self._check_recurring_run(recurring_run_id)
        return await recurring_runs.get(self._context, recurring_run_id)

    @needs(Resource.RECURRING_RUN, Verb.READ)
    async def get_recurring_run_document(
        self, recurring_run_id: str
    ) -> tuple[dict[str, Json], dict[str, Json] | None] | None:
        """`(pipeline_spec, platform_spec)`; None for one that was made from what was uploaded."""
        await self._check_recurring_run(recurring_run_id)
        record = await recurring_runs.get(self._context, recurring_run_id)
        return await recurring_runs.document_of(self._context, record)

    @needs(Resource.RECURRING_RUN, Verb.READ, "query")
    async def list_recurring_runs(self, query: ListQuery) -> Page[RecurringRunRecord]:
        """A page of recurring runs."""
        return await recurring_runs.list_page(self._context, self._narrowed(query))

    @needs(Resource.RECURRING_RUN, Verb.READ)
    async def list_ticks(self, recurring_run_id: str, limit: int = 100) -> list[TickRecord]:
        """The newest ticks that were handled, newest first."""
        await self._check_recurring_run(recurring_run_id)
        return await recurring_runs.list_ticks(self._context, recurring_run_id, limit)

    @needs(Resource.RECURRING_RUN, Verb.UPDATE)
    async def edit_recurring_run(self, recurring_run_id: str, wanted: RecurringRunEdit) -> RecurringRunRecord:
        """Change it in place, from the next tick on. Raises Conflict when somebody else edits it meanwhile."""
        await self._check_recurring_run(recurring_run_id)
        if wanted.pipeline_version_id:
            await self._asking(_READ_PIPELINE)._check_version(wanted.pipeline_version_id)
        return await recurring_runs.edit(self._context, recurring_run_id, wanted)

    @needs(Resource.RECURRING_RUN, Verb.READ)
    async def tick_list(self, recurring_run_id: str, *, past: int, coming: int) -> TickList:
        """What came of its ticks, the newest first, and which ones come."""
        await self._check_recurring_run(recurring_run_id)
        return await tick_views.tick_list(self._context, recurring_run_id, past=past, coming=coming)

    @needs(Resource.RECURRING_RUN, Verb.READ, "query")
    async def preview_timetable(self, timetable: StoredTimetable, count: int) -> list[float]:
        """The next times at which a recurring run with this timetable, made now, would be due. Raises Invalid."""
        return await asyncio.to_thread(recurring_runs.preview, self._context, timetable, count)

    @needs(Resource.RECURRING_RUN, Verb.UPDATE)
    async def set_recurring_run_enabled(self, recurring_run_id: str, enabled: bool) -> None:
        """Let it make runs, or not; runs that it has made go on."""
        await self._check_recurring_run(recurring_run_id)
        await recurring_runs.set_enabled(self._context, recurring_run_id, enabled)

    @needs(Resource.RECURRING_RUN, Verb.DELETE)
    async def delete_recurring_run(self, recurring_run_id: str) -> None:
        """Delete a recurring run; its runs stay."""
        await self._check_recurring_run(recurring_run_id)
        await recurring_runs.delete(self._context, recurring_run_id)

    @needs(Resource.RUN, Verb.READ)
    async def get_run(self, run_id: str) -> RunRecord:
        """One run, without its executions."""
        await self._check_run(run_id)
        return await runs.get(self._context, run_id)

    @needs(Resource.RUN, Verb.READ)
    async def get_run_document(self, run_id: str) -> tuple[dict[str, Json], dict[str, Json] | None]:
        """`(pipeline_spec, platform_spec)` of the run."""
        await self._check_run(run_id)
        return await runs.get_document(self._context, run_id)

    @needs(Resource.RUN, Verb.READ, "query")
    async def list_runs(self, query: ListQuery) -> Page[RunRecord]:
        """A page of runs."""
        return await runs.list_page(self._context, self._narrowed(query))

    @needs(Resource.RUN, Verb.READ)
    async def get_executions(self, run_id: str) -> tuple[Execution, ...]:
        """All executions of a run, parents before children."""
        await self._check_run(run_id)
        return await runs.get_executions(self._context, run_id)

    @needs(Resource.RUN, Verb.CONTROL)
    async def terminate_run(self, run_id: str) -> None:
        """End a run early: CANCELED once nothing of it runs any more. Raises Conflict RUN_FINAL when it has ended."""
        await self._check_run(run_id)
        await runs.terminate(self._context, self._loop, run_id)

    @needs(Resource.RUN, Verb.CONTROL)
    async def retry_run(self, run_id: str) -> None:
        """Run what failed once more, keeping what succeeded. Raises Conflict unless the run is FAILED or CANCELED."""
        await self._check_run(run_id)
        await runs.retry(self._context, self._loop, run_id)

    @needs(Resource.RUN, Verb.CREATE)
    async def rerun_run(self, run_id: str, wanted: Rerun, *, key: IdempotencyKey | None = None) -> RunRecord:
        """A new run in which the named tasks, and what depends on them, run; it reuses what succeeded otherwise.

        Raises Invalid INVALID_RERUN (`faults` in its details) when a document does not fit what is to be reused.
        `key` as for `create_run`.
        """
        await self._check_run(run_id)
        wanted = self._made_by_caller(wanted)
        if key is None:
            return await reruns.rerun(self._context, self._loop, run_id, wanted)
        whose = await self._context.read(namespaces.of_run, run_id)
        return await idempotency.once(
            self._context,
            self._scope(key, "" if whose is None else whose.namespace),
            [run_id, wanted],
            lambda also: reruns.rerun(self._context, self._loop, run_id, wanted, with_=[also]),
        )

    @needs(Resource.RUN, Verb.CONTROL)
    async def mark_execution(self, run_id: str, execution_id: str, wanted: NewMark) -> None:
        """Decide the outcome of a task; one that runs is stopped first, and what waited for it goes on.

        Raises Conflict when it is too late to decide, Invalid INVALID_OUTPUTS (`faults`) for outputs that the
        component does not declare so, Invalid ARTIFACT_UNKNOWN for artifacts that the caller may not read.
        """
        await self._check_run(run_id)
        await self._asking(_READ_ARTIFACT)._check_artifacts(one for ids in wanted.artifacts.values() for one in ids)
        by_caller = msgspec.structs.replace(wanted, by=self.caller.user)
        await marks.mark(self._context, self._loop, run_id, execution_id, by_caller)

    @needs(Resource.RUN, Verb.CONTROL)
    async def pause_run(self, run_id: str) -> None:
        """Begin nothing new; what runs goes on. Raises Conflict when the run has ended or is being cancelled."""
        await self._check_run(run_id)
        await runs.pause(self._context, self._loop, run_id)

    @needs(Resource.RUN, Verb.CONTROL)
    async def resume_run(self, run_id: str) -> None:
        """Begin again what a pause held back. Raises Conflict unless the run is paused."""
        await self._check_run(run_id)
        await runs.resume(self._context, self._loop, run_id)

    @needs(Resource.RUN, Verb.UPDATE)
    async def set_run_archived(self, run_id: str, archived: bool) -> None:
        """Archive a run, or bring it back; one that runs goes on."""
        await self._check_run(run_id)
        await runs.set_archived(self._context, run_id, archived)

    @needs(Resource.RUN, Verb.DELETE)
    async def delete_run(self, run_id: str) -> None:
        """Delete a run, its executions and its artifacts; one that is not final is terminated first."""
        await self._check_run(run_id)
        await runs.delete(self._context, self._loop, run_id)

    # why -------------------------------------------------------------------------------------
    @needs(Resource.RUN, Verb.READ)
    async def explain_run(self, run_id: str, *, limit: int = 200) -> RunExplanation:
        """Why the run is in its state, what its tasks wait for, and each of at most `limit` tasks."""
        await self._check_run(run_id)
        return await explain_queries.of_run(self._context, self._loop, run_id, limit=limit)

    @needs(Resource.RUN, Verb.READ)
    async def explain_execution(self, execution_id: str) -> Explanation:
        """Why an execution is in its state, with all that its fingerprint is made from."""
        await self._check_execution(execution_id)
        return await explain_queries.of_execution(self._context, self._loop, execution_id)

    # cache -----------------------------------------------------------------------------------
    @needs(Resource.CACHE, Verb.READ, "query")
    async def list_cache(self, query: ListQuery) -> CacheList:
        """A page of the cache's entries."""
        return await cache_entries.list_view(self._context, self._narrowed(query))

    @needs(Resource.CACHE, Verb.DELETE, "query")
    async def drop_cache(self, which: CacheFilter, *, everything: bool = False) -> int:
        """Forget entries; how many. Raises Invalid CACHE_FILTER_MISSING when nothing is said about which."""
        cache_entries.check_filter(which, everything=everything)
        if self.caller.namespaces is None:
            self._enforce(self._decide(_ANYWHERE), "", _no_namespace(""))
        else:
            mine = allowed_in(self.caller, Resource.CACHE, Verb.DELETE)
            if not mine:
                self._enforce(self._somewhere(), "", _no_namespace(""))
            which = msgspec.structs.replace(which, namespaces=mine)
        return await cache_entries.drop(self._context, which)

    # views for `/api` ------------------------------------------------------------------------
    @needs(Resource.RUN, Verb.READ)
    async def run_view(self, run_id: str) -> RunView:
        """A run, its plan and its first executions."""
        await self._check_run(run_id)
        return await views.run_view(self._context, run_id)

    @needs(Resource.RUN, Verb.READ)
    async def execution_page(self, run_id: str, *, token: str) -> ExecutionPage:
        """More executions of a run, from where an earlier page ended. Raises Invalid for a token that is none."""
        await self._check_run(run_id)
        return await views.execution_page(self._context, run_id, token=token)

    @needs(Resource.RUN, Verb.READ)
    async def execution_detail(self, execution_id: str) -> ExecutionDetail:
        """All there is to know of one execution."""
        await self._check_execution(execution_id)
        return await views.execution_detail(self._context, execution_id)

    @needs(Resource.RUN, Verb.READ)
    async def watch_run(self, run_id: str, *, after_version: int = 0) -> AsyncIterator[RunChange]:
        """What changed after `after_version` (0: everything), then each change, batched (at most ~10 a second);
        ends once the run is final and all is sent. Raises NotFound at the first step."""
        await self._check_run(run_id)
        async for change in views.watch_run(self._context, run_id, after_version=after_version):
            yield change

    @needs(Resource.RUN, Verb.READ, "query")
    async def watch_runs(self) -> AsyncIterator[ListChange]:
        """Summaries of the runs that the caller may read, as they change, batched; endless."""
        async for change in views.watch_runs(self._context, readable(self.caller, Resource.RUN)):
            yield change

    # artifacts and logs ----------------------------------------------------------------------
    @needs(Resource.ARTIFACT, Verb.READ)
    async def get_artifact(self, artifact_id: str) -> ArtifactRecord:
        """An artifact, without its content."""
        await self._check_artifact(artifact_id)
        return await content.get_artifact(self._context, artifact_id)

    @needs(Resource.ARTIFACT, Verb.READ)
    async def list_artifact_members(self, artifact_id: str) -> tuple[tuple[str, int], ...]:
        """`(name, size_bytes)` of each file of a directory artifact; one pair with name "" for a file."""
        await self._check_artifact(artifact_id)
        return await content.list_members(self._context, artifact_id)

    @needs(Resource.CONTENT, Verb.READ)
    async def find_content(self, artifact_id: str, member: str = "") -> tuple[ArtifactRecord, int]:
        """`(artifact, size_bytes)` of the content, or of one file of a directory artifact.

        Raises NotFound MEMBER_NOT_FOUND when the artifact has no such file.
        """
        await self._check_artifact(artifact_id)
        return await content.find_content(self._context, artifact_id, member)

    @needs(Resource.CONTENT, Verb.READ)
    async def read_artifact(
        self, artifact_id: str, *, offset: int = 0, limit: int | None = None, member: str = ""
    ) -> AsyncIterator[bytes]:
        """The content in chunks; `member` is a file's name inside a directory artifact (never followed out)."""
        await self._check_artifact(artifact_id)
        chunks = content.read_artifact(self._context, artifact_id, offset=offset, limit=limit, member=member)
        async for chunk in chunks:
            yield chunk

    @needs(Resource.LOG, Verb.READ)
    async def latest_attempt(self, execution_id: str) -> int:
        """Number of the execution's latest attempt. Raises NotFound NO_ATTEMPT when there is none yet."""
        await self._check_execution(execution_id)
        return await content.latest_attempt(self._context, execution_id)

    @needs(Resource.LOG, Verb.READ)
    async def log_size(self, execution_id: str, attempt: int) -> int:
        """Bytes of the attempt's log so far."""
        await self._check_execution(execution_id)
        return await content.log_size(self._context, execution_id, attempt)

    @needs(Resource.LOG, Verb.READ)
    async def read_log(
        self, execution_id: str, attempt: int, *, offset: int = 0, limit: int | None = None, follow: bool = False
    ) -> AsyncIterator[bytes]:
        """The attempt's log from byte `offset`; with `follow`, until the attempt has ended."""
        await self._check_execution(execution_id)
        chunks = content.read_log(
            self._context, execution_id, attempt, offset=offset, limit=limit, follow=follow
        )  # fmt: skip
        async for chunk in chunks:
            yield chunk

    # deciding --------------------------------------------------------------------------------
    def _asking(self, access: Access) -> Session:
        """This session while it is asked for `access`. Raises UndeclaredAccess."""
        if self._access is None and self._only is not None and self._only != access:
            raise UndeclaredAccess(f"The route declares {self._only}, and its handler asks for {access}.")
        asking = copy.copy(self)
        asking._access = access
        return asking

    def _decide(self, whose: Ownership) -> Decision:
        assert self._access is not None, "a method of Session without @needs"
        return decide(
            self.caller, self._access.kind, self._access.verb, whose.namespace, created_by=whose.created_by
        )  # fmt: skip

    def _enforce(self, decision: Decision, namespace: str, absent: NotFound) -> None:
        """Raise `absent` for what the caller may not know of, Forbidden ACCESS_DENIED for what they may not do."""
        assert self._access is not None
        if decision is Decision.HIDE:
            raise absent
        if decision is Decision.REFUSE:
            role = self.caller.role_in(namespace)
            raise Forbidden(
                f"You may not {self._access.verb} a {self._access.kind} here: you are {role or 'not a member'} of the "
                f"namespace {namespace!r}{', with a token for reading only' if self.caller.scopes else ''}.",
                code="ACCESS_DENIED",
                kind=self._access.kind.value,
                verb=self._access.verb.value,
                namespace=namespace,
            )

    async def _check(self, find: _Find, noun: str, **ident: str) -> None:
        """Refuse unless the caller may do this to the row of this id, given as its name and value."""
        if self.caller.namespaces is None:
            # The same in every namespace: no need to read whose it is. The operation says when it is not there.
            self._enforce(self._decide(_ANYWHERE), "", _no_namespace(""))
            return
        ((_, value),) = ident.items()
        found = await self._context.read(find, value)
        decision = Decision.HIDE if found is None else self._decide(found)
        self._enforce(
            decision, found.namespace if found else "", NotFound(f"There is no {noun} {value}.", **ident)
        )  # fmt: skip

    async def _check_source(self, new: NewRun | NewRecurringRun) -> None:
        """Refuse unless the caller may read the pipeline that this is made from."""
        if new.pipeline_version_id:
            await self._asking(_READ_PIPELINE)._check_version(new.pipeline_version_id)
        elif new.pipeline_id:
            of_pipeline = namespaces.of_pipeline
            await self._asking(_READ_PIPELINE)._check(of_pipeline, "pipeline", pipeline_id=new.pipeline_id)

    async def _made_by_recurring_run(self, new: NewRun) -> RunRecord | None:
        """The run of this name that the recurring run has already, as KFP answers. Raises NotFound without that."""
        assert new.recurring_run_id is not None
        await self.get_recurring_run(new.recurring_run_id)
        return await self._context.read(run_rows.find_of_recurring_run, new.recurring_run_id, new.display_name)

    async def _check_recurring_run(self, recurring_run_id: str) -> None:
        of_recurring_run = namespaces.of_recurring_run
        await self._check(of_recurring_run, "recurring run", recurring_run_id=recurring_run_id)

    async def _check_run(self, run_id: str) -> None:
        await self._check(namespaces.of_run, "run", run_id=run_id)

    async def _check_execution(self, execution_id: str) -> None:
        await self._check(namespaces.of_execution, "execution", execution_id=execution_id)

    async def _check_version(self, version_id: str) -> None:
        await self._check(namespaces.of_version, "pipeline version", pipeline_version_id=version_id)

    async def _check_artifact(self, artifact_id: str) -> None:
        await self._check(namespaces.of_artifact, "artifact", artifact_id=artifact_id)

    async def _check_artifacts(self, artifact_ids: Iterable[str]) -> None:
        """As for artifacts that are not there: a mark must not reveal what its caller may not read."""
        for artifact_id in artifact_ids:
            try:
                await self._check_artifact(artifact_id)
            except NotFound as error:
                raise Invalid(error.message, code="ARTIFACT_UNKNOWN", artifact_id=artifact_id) from error

    def _check_namespace(self, namespace: str) -> None:
        """Refuse unless the caller may make this in the namespace."""
        whose = Ownership(namespace=namespace, created_by=self.caller.user)
        self._enforce(self._decide(whose), namespace, _no_namespace(namespace))

    def _narrowed(self, query: ListQuery) -> ListQuery:
        """The same list, of the caller's namespaces only: the one place where lists are narrowed."""
        assert self._access is not None
        return msgspec.structs.replace(query, namespaces=readable(self.caller, self._access.kind))

    def _somewhere(self) -> Decision:
        """REFUSE when the caller may read things of this kind in some namespace, else HIDE."""
        assert self._access is not None
        return Decision.REFUSE if allowed_in(self.caller, self._access.kind, Verb.READ) else Decision.HIDE

    def _scope(self, key: IdempotencyKey, namespace: str) -> KeyScope:
        return KeyScope(user_id=self.caller.user, namespace=namespace, route=key.route, key=key.value)

    async def _namespace_of(self, new: NewRun) -> str:
        """The namespace in which the run will be."""
        if not new.experiment_id:
            return new.namespace
        whose = await self._context.read(namespaces.of_experiment, new.experiment_id)
        return "" if whose is None else whose.namespace

    def _made_by_caller(self, new: _New) -> _New:
        return msgspec.structs.replace(new, created_by=self.caller.user)


_New = TypeVar("_New", NewRun, NewVersion, Rerun, NewRecurringRun)
_READ_PIPELINE = Access(Resource.PIPELINE, Verb.READ)
_READ_RECURRING_RUN = Access(Resource.RECURRING_RUN, Verb.READ)
_READ_ARTIFACT = Access(Resource.ARTIFACT, Verb.READ)
#: For callers whose rights are the same in every namespace.
_ANYWHERE = Ownership(namespace="", created_by="")


def _no_namespace(namespace: str) -> NotFound:
    return NotFound(f"There is no namespace {namespace!r}.", code="NAMESPACE_NOT_FOUND", namespace=namespace)
