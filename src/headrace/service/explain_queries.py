"""Explanations of recorded runs: reads what `service.explain_rules` needs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

import msgspec

from headrace.attempt.derive import launch_order
from headrace.engine import fingerprint_parts, shown_parts
from headrace.engine.model import AttemptId, Execution, Kind, State
from headrace.service.content import find_execution
from headrace.service.context import Context
from headrace.service.errors import NotFound
from headrace.service.explain_rules import Subject, explain, explain_run
from headrace.service.fixes import fix_for, fix_of
from headrace.service.loop import RunLoop
from headrace.service.runs import load
from headrace.store import cache
from headrace.store import runs as rows
from headrace.store.cache import CacheKey
from headrace.wire import api


async def of_run(context: Context, loop: RunLoop, run_id: str, *, limit: int) -> api.RunExplanation:
    """See `Session.explain_run`."""
    subject, _ = await _subject(context, loop, run_id)
    found = await asyncio.to_thread(explain_run, subject, limit=limit)
    named = await _named(context, [*found.tasks, *([found.cause] if found.cause else [])])
    return msgspec.structs.replace(
        found,
        fix=fix_of(found.reason.code),
        tasks=[named[one.execution_id] for one in found.tasks],
        cause=named[found.cause.execution_id] if found.cause else None,
    )


async def of_execution(context: Context, loop: RunLoop, execution_id: str) -> api.Explanation:
    """See `Session.explain_execution`."""
    run_id, execution = await find_execution(context, execution_id)
    subject, pipeline = await _subject(context, loop, run_id)
    found = explain(subject, execution.path)
    named = (await _named(context, [found]))[execution_id]
    if named.cache is None or not execution.begun:
        return named
    parts = await _parts(context, subject, execution, pipeline)
    return msgspec.structs.replace(named, cache=msgspec.structs.replace(named.cache, parts=parts))


async def _subject(context: Context, loop: RunLoop, run_id: str) -> tuple[Subject, tuple[str, str]]:
    """The run, and its `(namespace, pipeline name)`."""
    run = loop.active(run_id) or await load(context, run_id)
    if run is None:
        raise NotFound(f"There is no run {run_id}.", run_id=run_id)
    waiting = [one.path for one in run.state.executions.values() if one.looking_up]
    leaders = {path: leader for path in waiting if (leader := loop.leader_of(run_id, path)) is not None}
    subject = Subject(
        plan=run.plan,
        state=run.state,
        now=context.now(),
        canceled_at=_canceled_at(run.state_history),
        caching=context.settings.caching,
        leaders=leaders,
    )
    return subject, (run.record.namespace, run.record.pipeline_name)


def _canceled_at(history: Iterable[tuple[float, State, object]]) -> float | None:
    """When the cancel was asked for that holds now."""
    at = None
    for when, state, _ in history:
        if state not in (State.CANCELING, State.CANCELED):
            at = None
        elif at is None:
            at = when
    return at


async def _named(context: Context, found: Iterable[api.Explanation]) -> Mapping[str, api.Explanation]:
    """The same with fixes, and with names for executions of other runs."""
    explanations = {one.execution_id: one for one in found}
    foreign = [one.cache.source.execution_id for one in explanations.values() if one.cache and one.cache.source]
    foreign += [ref.execution_id for one in explanations.values() for ref in one.waiting_for]
    places = await context.read(rows.locate_executions, foreign) if foreign else {}
    return {key: _completed(one, places) for key, one in explanations.items()}


def _completed(one: api.Explanation, places: Mapping[str, rows.ExecutionLocation]) -> api.Explanation:
    use = one.cache
    if use is not None and use.source is not None:
        use = msgspec.structs.replace(use, source=_placed(use.source, places))
    waiting = [_placed(ref, places) for ref in one.waiting_for]
    return msgspec.structs.replace(one, fix=fix_for(one), cache=use, waiting_for=waiting)


def _placed(ref: api.TaskRef, places: Mapping[str, rows.ExecutionLocation]) -> api.TaskRef:
    place = places.get(ref.execution_id)
    if place is None:
        return ref
    return msgspec.structs.replace(
        ref, run_id=place.run_id, run_name=place.run_name, path=place.path, state=place.state.value
    )


async def _parts(context: Context, subject: Subject, execution: Execution, pipeline: tuple[str, str]) -> dict[str, str]:
    """What the fingerprint was made from, if an entry tells; else what it would be made from now."""
    if execution.kind is not Kind.TASK:
        return {}
    if execution.cache is not None and execution.cache.fingerprint:
        namespace, name = pipeline
        key = CacheKey(namespace=namespace, pipeline_name=name, fingerprint=execution.cache.fingerprint)
        (entry,) = await context.read(cache.look_up, [key])
        if entry is not None:
            return entry.parts
    order = launch_order(
        subject.plan, subject.state, AttemptId(run_id=subject.state.run_id, path=execution.path, number=1)
    )
    surroundings = await context.executor.surroundings(order)
    return shown_parts(fingerprint_parts(subject.plan, subject.state, execution.path, surroundings))
