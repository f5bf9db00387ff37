"""The cache, asked: a hit or a miss, and why, for each execution that may reuse earlier outputs.

Executions that would do the same at the same time are answered when the first of them has settled: it runs, the
others take its outputs (`service.single_flight`). That holds within one server; of several servers over one database
each has its own first. It holds between runs only: within a run each task runs itself, for an author who draws five
random numbers in a loop wants five. So nothing that this very run has made is an answer either.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

import msgspec

from headrace.artifacts.port import ArtifactError
from headrace.attempt.derive import launch_order
from headrace.engine import fingerprint_parts, node_path, shown_parts
from headrace.engine.fingerprint import digest_of
from headrace.engine.model import (
    AnyEvent,
    Artifact,
    AttemptId,
    CacheHit,
    CacheMissed,
    CacheWaiting,
    Json,
    Kind,
    Reason,
    RunState,
    State,
    execution_id,
)
from headrace.executors.port import LACKING
from headrace.service.active import ActiveRun
from headrace.service.context import Context
from headrace.service.single_flight import Member, SingleFlight
from headrace.slices import in_slices
from headrace.store import cache
from headrace.store.cache import CacheEntry, CacheFilter, CacheKey
from headrace.store.database import Connection
from headrace.store.run_changes import RunChangeSet

log = logging.getLogger(__name__)

Posted: TypeAlias = tuple[str, AnyEvent]
#: An execution whose outputs are looked for, in the state in which that was wished.
Wanted: TypeAlias = tuple[ActiveRun, RunState, str]
#: Differing parts that are kept with a miss.
_KEPT_DIFFERENCES = 6
#: A longer value is not shown in a sentence.
_SHOWN = 60
#: Executions that are worked on without a break for other work of the event loop.
_SLICE = 32
#: When the leader changes, at most so many followers record it in their reason, the first ones.
_INFORMED = 16


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One part in which two executions differ; None where it has no such part."""

    part: str
    there: str | None
    here: str | None

    def __str__(self) -> str:
        there, here = ("nothing" if text is None else text for text in (self.there, self.here))
        if any(len(text) > _SHOWN or text.startswith(("sha256:", '"sha256:')) for text in (there, here)):
            return f"{self.part} differs"
        return f"{self.part}: {there} there, {here} here"


class _Asked(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One execution that wants an answer, and what it would do."""

    run: ActiveRun
    path: str
    key: CacheKey
    parts: Mapping[str, Json]

    @property
    def member(self) -> Member:
        return self.run.run_id, self.path


class Cache:
    """Answers `LookUpCache` for one run loop."""

    def __init__(self, context: Context, runs: Mapping[str, ActiveRun]) -> None:
        self._context = context
        self._runs = runs
        self._single_flight = SingleFlight()
        #: Keys whose entry is being looked for: their followers have not recorded yet that they wait.
        self._asking: set[CacheKey] = set()

    # asking ----------------------------------------------------------------------------------

    async def look_up(self, wanted: Sequence[Wanted]) -> list[Posted]:
        """Answers for those that can be answered now. The others wait, and say so; whatever goes wrong is a miss."""
        if not self._context.settings.caching:
            off = Reason(code="CACHE_OFF_SERVER", message="This server uses no cache (setting caching).")
            return [(run.run_id, self._missed(path, off)) for run, _, path in wanted]
        try:
            asked = [await self._asked(*one) async for one in in_slices(wanted, _SLICE)]
        except Exception:
            log.exception("what the cache is asked for could not be worked out")
            return [(run.run_id, self._missed(path, _unavailable())) for run, _, path in wanted]
        answered = [one for one in asked if not isinstance(one, _Asked)]
        return answered + await self._answered([one for one in asked if isinstance(one, _Asked)])

    async def _asked(self, run: ActiveRun, state: RunState, path: str) -> _Asked | Posted:
        order = launch_order(run.plan, state, AttemptId(run_id=run.run_id, path=path, number=1))
        surroundings = await self._context.executor.surroundings(order)
        if LACKING in surroundings:
            return run.run_id, self._missed(path, _lacking(surroundings[LACKING]))
        parts = fingerprint_parts(run.plan, state, path, surroundings)
        key = CacheKey(
            namespace=run.record.namespace, pipeline_name=run.record.pipeline_name, fingerprint=digest_of(parts)
        )
        return _Asked(run=run, path=path, key=key, parts=parts)

    async def _answered(self, asked: Sequence[_Asked]) -> list[Posted]:
        leading: list[_Asked] = []
        posted: list[Posted] = []
        async for one in in_slices(asked, _SLICE):
            if self._single_flight.key_of(one.member) not in (None, one.key):
                posted += self._succession(one.member)
            # What a pause holds back must not hold back others; it only looks.
            if one.run.state.paused or self._single_flight.has_other_of_run(one.key, one.member):
                leading.append(one)
                continue
            leader = self._single_flight.join(one.key, one.member)
            if leader is None:
                leading.append(one)
                self._asking.add(one.key)
            elif one.key not in self._asking:
                posted.append(self._waiting(one.member, one.key, leader))
        try:
            answers = await self._found(leading)
        except Exception:
            log.exception("the cache could not be asked")
            answers = [_unavailable() for _ in leading]
        async for one, answer in in_slices(zip(leading, answers, strict=True), _SLICE):
            if self._single_flight.key_of(one.member) == one.key:
                self._asking.discard(one.key)
            posted += self._hits(one, answer) if isinstance(answer, CacheEntry) else self._misses(one, answer)
        return posted

    def _hits(self, one: _Asked, entry: CacheEntry) -> Iterator[Posted]:
        for run_id, path in (one.member, *self._single_flight.complete(one.key)):
            yield (
                run_id,
                CacheHit(
                    at=self._context.now(),
                    path=path,
                    outputs=entry.outputs,
                    cached_from=entry.execution_id,
                    fingerprint=one.key.fingerprint,
                ),
            )

    def _misses(self, one: _Asked, reason: Reason) -> Iterator[Posted]:
        yield one.run.run_id, self._missed(one.path, reason, one.key)
        if self._single_flight.key_of(one.member) == one.key:
            for follower in self._single_flight.followers(one.key):
                yield self._waiting(follower, one.key, one.member)

    def _missed(self, path: str, reason: Reason, key: CacheKey | None = None) -> CacheMissed:
        return CacheMissed(
            at=self._context.now(), path=path, reason=reason, fingerprint=key.fingerprint if key else ""
        )  # fmt: skip

    def _waiting(self, member: Member, key: CacheKey, leader: Member) -> Posted:
        run_id, path = member
        reason = same_task(leader, self._runs.get(leader[0]), here=run_id)
        return run_id, CacheWaiting(
            at=self._context.now(), path=path, reason=reason, fingerprint=key.fingerprint
        )  # fmt: skip

    # what there is ---------------------------------------------------------------------------

    async def _found(self, asked: Sequence[_Asked]) -> list[CacheEntry | Reason]:
        if not asked:
            return []
        entries, lost_ids = await self._context.database.read(_read, [one.key for one in asked])
        answers = [
            None if entry is None else await self._usable(entry, lost_ids, one.run.run_id)
            for one, entry in zip(asked, entries, strict=True)
        ]
        missing = [one for one, answer in zip(asked, answers, strict=True) if answer is None]
        nearest = await self._context.database.read(_nearest, {_task_of(one) for one in missing}) if missing else {}
        return [
            why_missed(shown_parts(one.parts), nearest[_task_of(one)], self._context.now())
            if answer is None
            else answer
            async for one, answer in in_slices(zip(asked, answers, strict=True), _SLICE)
        ]

    async def _usable(self, entry: CacheEntry, lost_ids: set[str], run_id: str) -> CacheEntry | Reason:
        """The entry, or why it is none; one whose artifacts are gone is dropped."""
        if entry.run_id == run_id:
            message = "An identical task of this run has run already. Within a run, each task runs itself."
            return Reason(code="CACHE_SAME_RUN", message=message, details={"from": _from(entry)})
        limit = self._context.settings.cache_max_age_s
        age = self._context.now() - entry.created_at
        if limit is not None and age > limit:
            return _expired(entry, age, limit)
        try:
            lost = await self._lost(entry, lost_ids)
        except ArtifactError as error:
            message = f"Whether the earlier result is still there could not be found out: {error}"
            return Reason(code="CACHE_UNAVAILABLE", message=message, details={"from": _from(entry)})
        if lost is None:
            return entry
        key = entry.key
        which = CacheFilter(namespace=key.namespace, pipeline_name=key.pipeline_name, fingerprint=key.fingerprint)
        await self._context.database.write(cache.drop_entries, which)
        return Reason(
            code="CACHE_ARTIFACT_LOST",
            message=f"The artifact {lost.name!r} of the earlier result is gone, so the entry was dropped.",
            details={"artifact": lost.name, "artifact_id": lost.artifact_id, "from": _from(entry)},
        )

    async def _lost(self, entry: CacheEntry, lost_ids: set[str]) -> Artifact | None:
        for artifact in (one for many in entry.outputs.artifacts.values() for one in many):
            if artifact.artifact_id in lost_ids or not await self._has_content(artifact):
                return artifact
        return None

    async def _has_content(self, artifact: Artifact) -> bool:
        """Whether the content is there. Content outside of our own store is taken to be there."""
        store = self._context.artifacts
        if not artifact.digest or not store.owns(artifact.uri):
            return True
        return await store.exists(artifact.uri, digest=artifact.digest, size_bytes=artifact.size_bytes)

    async def sweep(self) -> None:
        """Remove entries that are twice as old as they may be. Younger ones are kept to say why they are not used."""
        limit = self._context.settings.cache_max_age_s
        if limit is not None:
            before = self._context.now() - 2 * limit
            await self._context.database.write(cache.drop_entries, CacheFilter(before=before))

    # after a commit -------------------------------------------------------------------------

    def adopt(self, run: ActiveRun) -> None:
        """After a restart: what was under way leads those who asked for the same."""
        found: list[tuple[str, str]] = []
        for path, execution in run.state.executions.items():
            note = execution.cache
            under_way = execution.begun and not execution.state.final and not execution.looking_up
            if note is not None and note.fingerprint and under_way and execution.kind is Kind.TASK:
                found.append((path, note.fingerprint))
        # The first to join leads, and the map's own order is another in each process.
        for path, fingerprint in sorted(found):
            key = CacheKey(
                namespace=run.record.namespace, pipeline_name=run.record.pipeline_name, fingerprint=fingerprint
            )
            if not self._single_flight.has_other_of_run(key, (run.run_id, path)):
                self._single_flight.join(key, (run.run_id, path))

    def recorded(self, change: RunChangeSet, *, pause_changed: bool) -> tuple[list[Posted], list[Wanted]]:
        """A change was committed: answers it makes possible, and executions that are to ask again."""
        posted: list[Posted] = []
        again: list[Member] = []
        if not self._single_flight:
            return posted, []
        for _, execution in change.changed:
            if execution.state.final and execution.kind is Kind.TASK:
                self._settled((change.run_id, execution.path), execution.state, posted, again)
        if pause_changed:
            for member in self._single_flight.members_of(change.run_id):
                posted += self._reconsidered(member)
        return posted, list(self._wanted(again))

    def gone(self, run_id: str) -> list[Posted]:
        """The run is not driven any more."""
        posted: list[Posted] = []
        for member in self._single_flight.members_of(run_id):
            posted += self._succession(member)
        return posted

    def leader_of(self, run_id: str, path: str) -> Member | None:
        """For whom an execution waits that asked the cache."""
        return self._single_flight.leader_of((run_id, path))

    def _settled(self, member: Member, state: State, posted: list[Posted], again: list[Member]) -> None:
        key = self._single_flight.key_of(member)
        if key is None:
            return
        if state is State.SUCCEEDED and self._single_flight.leader_of(member) is None:
            again += self._single_flight.complete(key)
        else:
            posted += self._succession(member)

    def _succession(self, member: Member) -> Iterator[Posted]:
        """The member leaves. If it led, the next one leads: it runs, and the others go on waiting."""
        key = self._single_flight.key_of(member)
        leader = self._single_flight.leave(member, self._may_lead)
        if leader is None or key is None:
            return
        run_id, path = leader
        reason = Reason(
            code="CACHE_SAME_TASK_FAILED",
            message=f"An identical task was running ({_named(member, self._runs.get(member[0]))}) and did not succeed.",
            details={"run_id": member[0], "path": member[1], "execution_id": execution_id(*member)},
        )
        yield run_id, self._missed(path, reason, key)
        for follower in self._single_flight.followers(key)[:_INFORMED]:
            yield self._waiting(follower, key, leader)

    def _reconsidered(self, member: Member) -> Iterator[Posted]:
        """Where a pause keeps the leader from beginning, somebody whom none keeps leads."""
        key = self._single_flight.key_of(member)
        leader = self._single_flight.leader_of(member) or member
        if key is None or not self._is_held(leader):
            return
        if any(self._may_lead(follower) for follower in self._single_flight.followers(key)):
            yield from self._succession(leader)

    def _may_lead(self, member: Member) -> bool:
        run = self._runs.get(member[0])
        return run is not None and not run.state.paused

    def _is_held(self, member: Member) -> bool:
        run = self._runs.get(member[0])
        execution = run.state.executions.get(member[1]) if run else None
        if run is None or execution is None or not run.state.paused:
            return False
        return not execution.is_attempted

    def _wanted(self, members: Iterable[Member]) -> Iterator[Wanted]:
        for run_id, path in members:
            run = self._runs.get(run_id)
            execution = run.state.executions.get(path) if run else None
            if run is not None and execution is not None and execution.looking_up:
                yield run, run.state, path


# --- words -------------------------------------------------------------------------------------


def why_missed(here: Mapping[str, str], earlier: Sequence[CacheEntry], now: float) -> Reason:
    """Why nothing was found: the entry that comes nearest, and what is different there. Newest first in `earlier`."""
    if not earlier:
        return Reason(
            code="CACHE_NO_ENTRY", message="This task has no earlier result in the cache, in runs of this pipeline."
        )
    entry, found = min(
        ((entry, differences(entry.parts, here)) for entry in earlier), key=lambda pair: len(pair[1]) or 1 << 30
    )
    if not found:
        message = "The earlier results in the cache were made by another version of Headrace."
        return Reason(code="CACHE_NO_ENTRY", message=message)
    differing = "; ".join(str(one) for one in found[:3]) + (f"; and {len(found) - 3} more" if len(found) > 3 else "")
    return Reason(
        code="CACHE_KEY_DIFFERS",
        message=f"The most similar earlier result ({ago(now - entry.created_at)} ago) differs: {differing}.",
        details={
            "from": _from(entry),
            "differs": [msgspec.to_builtins(one) for one in found[:_KEPT_DIFFERENCES]],
            "differing_parts": len(found),
        },
    )


def differences(there: Mapping[str, str], here: Mapping[str, str]) -> list[Difference]:
    """Parts in which the two differ; parameters first, since people change those."""
    names = sorted({*there, *here}, key=lambda name: (not name.startswith("parameter "), name))
    return [
        Difference(part=name, there=there.get(name), here=here.get(name))
        for name in names
        if there.get(name) != here.get(name)
    ]


def same_task(leader: Member, run: ActiveRun | None, *, here: str) -> Reason:
    """Why an execution waits whose work is being done."""
    where = f"{leader[1]} of this run" if leader[0] == here else _named(leader, run)
    return Reason(
        code="WAITING_FOR_SAME_TASK",
        message=f"{where} is an identical task that is running; when it succeeds, its outputs are reused here.",
        details={"run_id": leader[0], "path": leader[1], "execution_id": execution_id(*leader)},
    )


def ago(seconds: float) -> str:
    """A span in the largest unit that fits: `3 s`, `2 h`, `5 days`."""
    for unit, length in (("days", 86_400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def _named(member: Member, run: ActiveRun | None) -> str:
    return f"{member[1]} of run {run.record.display_name if run else member[0][:8]}"


def _expired(entry: CacheEntry, age: float, limit: float) -> Reason:
    return Reason(
        code="CACHE_EXPIRED",
        message=(
            f"The earlier result expired {ago(age - limit)} ago: entries hold for {ago(limit)} "
            "(setting cache_max_age_s)."
        ),
        details={"from": _from(entry), "age_s": age, "max_age_s": limit},
    )


def _lacking(settings: str) -> Reason:
    return Reason(
        code="CACHE_SETTINGS_WITHOUT_EFFECT",
        message=(
            f"The task has settings that have no effect where tasks run without Kubernetes ({settings}), so what it "
            "makes here is not reused."
        ),
        details={"settings": settings.split(", ")},
    )


def _unavailable() -> Reason:
    return Reason(code="CACHE_UNAVAILABLE", message="The cache could not be read; the server's log has the error.")


def _from(entry: CacheEntry) -> dict[str, Json]:
    return {"execution_id": entry.execution_id, "run_id": entry.run_id, "created_at": entry.created_at}


# --- reads -------------------------------------------------------------------------------------

_Task: TypeAlias = tuple[str, str, str]


def _task_of(one: _Asked) -> _Task:
    return one.key.namespace, one.key.pipeline_name, node_path(one.path)


def _read(conn: Connection, keys: Sequence[CacheKey]) -> tuple[list[cache.Found], set[str]]:
    entries = cache.look_up(conn, keys)
    wanted = {
        artifact.artifact_id
        for entry in entries
        if entry is not None
        for many in entry.outputs.artifacts.values()
        for artifact in many
    }
    return entries, cache.lost_artifacts(conn, wanted)


def _nearest(conn: Connection, tasks: set[_Task]) -> dict[_Task, list[CacheEntry]]:
    return {task: cache.newest_of_task(conn, *task) for task in tasks}
