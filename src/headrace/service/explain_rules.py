"""Why a run and its tasks are in their states: a pure function of what is recorded.

Each answer has a code with a page (`wire.codes`), a sentence, and the facts behind it as typed values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from headrace.engine import Plan, node_path, uses_cache
from headrace.engine.model import Execution, Json, Kind, Reason, RunState, State, execution_id
from headrace.engine.outputs import first_of
from headrace.engine.plan import TaskPlan, child_path, iteration_path
from headrace.service.active import TASKS
from headrace.service.failures import failure_view
from headrace.service.reasons import optional_reason_view, reason_view
from headrace.service.single_flight import Member
from headrace.wire import api
from headrace.wire.times import millis, optional_millis

#: Upstream tasks, and executions of a chain, that one answer names.
_NAMED = 50
_PASSED_ON = ("UPSTREAM_FAILED", "UPSTREAM_SKIPPED")


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A run, and what is known of it beside its state."""

    plan: Plan
    state: RunState
    #: Seconds since the epoch.
    now: float
    #: When its cancel was asked for.
    canceled_at: float | None = None
    #: Whether this server uses a cache.
    caching: bool = True
    #: For whom executions wait that would do the same, by path: see `Cache.leader_of`.
    leaders: Mapping[str, Member] = field(default_factory=dict)

    def ref(self, execution: Execution, reason: Reason | None = None) -> api.TaskRef:
        """A mention of one of its executions; with the recorded reason where no other is given."""
        return api.TaskRef(
            run_id=self.state.run_id,
            execution_id=execution_id(self.state.run_id, execution.path),
            path=execution.path,
            state=execution.state.value,
            reason=optional_reason_view(reason or execution.reason),
        )

    def task(self, execution: Execution) -> TaskPlan | None:
        """Its task in the document; None for the root."""
        return self.plan.task_at(execution.path) if execution.path else None


# --- one execution -----------------------------------------------------------------------------


def explain(subject: Subject, path: str) -> api.Explanation:
    """Why the execution at `path` is in its state."""
    execution = subject.state.executions[path]
    reason = why(subject, execution)
    return api.Explanation(
        run_id=subject.state.run_id,
        execution_id=execution_id(subject.state.run_id, path),
        path=path,
        task=execution.task,
        kind=execution.kind.value,
        state=execution.state.value,
        reason=reason_view(reason),
        waiting_for=_waiting_for(subject, execution, reason),
        causes=[subject.ref(one) for one in causes(subject, execution)],
        failure=failure_view(execution.reason) if execution.state is State.FAILED and execution.reason else None,
        retry=_retry(subject, execution),
        condition=_condition(execution),
        cache=cache_use(subject, execution),
        canceled_at=optional_millis(subject.canceled_at) if _is_canceled(execution) else None,
    )


def why(subject: Subject, execution: Execution) -> Reason:
    """The code and the sentence; of what has a recorded reason, that one."""
    match execution.state:
        case State.SUCCEEDED:
            return _succeeded(subject, execution)
        case State.FAILED | State.SKIPPED | State.CANCELED:
            return execution.reason or Reason(code="UNKNOWN", message="No reason was recorded.")
        case State.CANCELING:
            why_stopped = f"was marked {execution.marked.state}" if execution.marked else "was cancelled"
            return Reason(code="STOPPING", message=f"It {why_stopped}, and its processes are being stopped.")
        case State.RUNNING:
            return _running(subject, execution)
        case _:
            return _pending(subject, execution)


def _succeeded(subject: Subject, execution: Execution) -> Reason:
    if execution.cached_from is not None:
        return Reason(
            code="CACHE_HIT",
            message="Its outputs are reused from an earlier, identical task.",
            details={"execution_id": execution.cached_from},
        )
    if execution.reason is not None:
        return execution.reason
    if execution.reused_from is not None:
        origin = subject.state.origin
        return Reason(
            code="REUSED",
            message=f"Its outputs are those of run {origin.run_id}, from which this run was made." if origin else "",
            details={"execution_id": execution.reused_from},
        )
    number = len(execution.attempts) - execution.earlier_attempts
    tries = f" at attempt {number}" if number > 1 else ""
    return Reason(code="SUCCEEDED", message=f"It ran and succeeded{tries}.")


def _running(subject: Subject, execution: Execution) -> Reason:
    if execution.kind in TASKS:
        if execution.attempts and (waiting := execution.attempts[-1].waiting) is not None:
            return waiting
        attempt = execution.attempts[-1].number if execution.attempts else 1
        since = execution.attempts[-1].started_at if execution.attempts else execution.started_at
        more = f" for {_span(subject.now - since)}" if since is not None else ""
        return Reason(code="RUNNING", message=f"Attempt {attempt} is running{more}.", details={"attempt": attempt})
    children = list(_children(subject, execution))
    done = sum(child.state.final for child in children)
    noun = "iterations" if execution.kind is Kind.LOOP else "tasks"
    going = sum(child.state is State.RUNNING for child in children)
    return Reason(
        code="RUNNING",
        message=f"Of its {len(children)} {noun} {done} are done and {going} running.",
        details={"done": done, "of": len(children), "running": going},
    )


def _pending(subject: Subject, execution: Execution) -> Reason:
    if execution.kind is Kind.ROOT:
        return Reason(code="RUN_NOT_STARTED", message="The run is recorded and about to start.")
    if execution.looking_up:
        return _looking_up(subject, execution)
    attempt = execution.attempts[-1] if execution.attempts else None
    if execution.begun and attempt is not None and not attempt.state.final:
        return attempt.waiting or Reason(
            code="STARTING", message=f"Attempt {attempt.number} was handed to the executor, which prepares it."
        )
    if execution.retry_at is not None:
        return _waiting_for_retry(subject, execution)
    unmet = _unmet(subject, execution)
    if unmet and not execution.begun:
        first = ", ".join(f"{one.task} ({one.state})" for one in unmet[:3])
        more = f" and {len(unmet) - 3} more" if len(unmet) > 3 else ""
        return Reason(
            code="WAITING_FOR_UPSTREAM",
            message=f"It waits for {first}{more}.",
            details={"tasks": {one.path: one.state.value for one in unmet[:_NAMED]}},
        )
    if subject.state.paused:
        return Reason(code="RUN_PAUSED", message="The run is paused: no task starts until it is resumed.")
    if execution.iteration is not None and (full := _full_loop(subject, execution)):
        return full
    if not execution.begun and (parent := _unready_parent(subject, execution)):
        return Reason(
            code="WAITING_FOR_GROUP",
            message=f"The group it is in, {parent.path}, has not started.",
            details={"path": parent.path, "state": parent.state.value},
        )
    return Reason(code="STARTING", message="It is about to start.")


def _looking_up(subject: Subject, execution: Execution) -> Reason:
    noted = execution.cache.reason if execution.cache else None
    leader = subject.leaders.get(execution.path)
    if leader is not None and not (noted and (noted.details.get("run_id"), noted.details.get("path")) == leader):
        where = (
            f"{leader[1]} of this run" if leader[0] == subject.state.run_id else f"{leader[1]} of run {leader[0][:8]}"
        )
        return Reason(
            code="WAITING_FOR_SAME_TASK",
            message=f"{where} is an identical task that is running; when it succeeds, its outputs are reused here.",
            details={"run_id": leader[0], "path": leader[1], "execution_id": execution_id(*leader)},
        )
    return noted or Reason(code="LOOKING_UP_CACHE", message="The cache is being asked for an earlier result.")


def _waiting_for_retry(subject: Subject, execution: Execution) -> Reason:
    retry = _retry(subject, execution)
    due = (execution.retry_at or 0.0) - subject.now
    number, at_most = (retry.number, retry.at_most) if retry else (1, 1)
    after = retry.after if retry else None
    failed = f" after: {after.message.splitlines()[0]} [{after.code}]" if after and after.message else ""
    when = "The run is paused, so it waits beyond its time." if subject.state.paused else f"It is due in {_span(due)}."
    again = f"Retry {number} of {at_most}" if number else f"Its attempt was lost {execution.lost_count} times"
    return Reason(
        code="WAITING_FOR_RETRY",
        message=f"{again}{failed}. {when}",
        details={"number": number, "at_most": at_most, "due_at": millis(execution.retry_at or 0.0)},
    )


def _full_loop(subject: Subject, execution: Execution) -> Reason | None:
    loop = subject.state.executions.get(execution.parent or "")
    task = subject.task(execution)
    if loop is None or task is None or task.iterator is None or not task.iterator.parallelism:
        return None
    limit = task.iterator.parallelism
    return Reason(
        code="WAITING_FOR_PARALLELISM",
        message=f"The loop's parallelism is {limit}, and so many iterations are running.",
        details={"limit": limit, "loop": loop.path},
    )


def _unready_parent(subject: Subject, execution: Execution) -> Execution | None:
    parent = subject.state.executions.get(execution.parent or "")
    return parent if parent is not None and parent.state is State.PENDING else None


def _unmet(subject: Subject, execution: Execution) -> list[Execution]:
    """Upstream siblings that are not final."""
    task = subject.task(execution)
    if task is None or execution.iteration is not None:
        return []
    siblings = (child_path(execution.parent or "", name) for name in task.dependencies)
    found = (subject.state.executions.get(path) for path in siblings)
    return [one for one in found if one is not None and not one.state.final]


def _waiting_for(subject: Subject, execution: Execution, reason: Reason) -> list[api.TaskRef]:
    if reason.code == "WAITING_FOR_UPSTREAM":
        return [subject.ref(one, why(subject, one)) for one in _unmet(subject, execution)[:_NAMED]]
    if reason.code == "WAITING_FOR_SAME_TASK":
        details = reason.details
        return [
            api.TaskRef(run_id=details["run_id"], execution_id=details["execution_id"], path=details["path"])
        ]  # fmt: skip
    return []


def _retry(subject: Subject, execution: Execution) -> api.RetryView | None:
    task = subject.task(execution)
    if execution.kind is Kind.DAG:
        if not execution.retries and execution.retry_at is None:
            return None
        number, after = execution.retries + (execution.retry_at is not None), execution.reason
    else:
        life = execution.attempts[execution.earlier_attempts :]
        failed = [attempt for attempt in life if attempt.state is State.FAILED]
        over = bool(failed) and execution.state is State.FAILED and failed[-1] is life[-1]
        number = len(failed) - execution.lost_count - over
        before = failed[:-1] if over else failed
        after = before[-1].error if before else None
        if number < 1 and not execution.lost_count:
            return None
    policy = task.task.retry if task is not None else None
    return api.RetryView(
        number=max(0, number),
        at_most=policy.max_count if policy else 0,
        due_at=optional_millis(execution.retry_at),
        after=optional_reason_view(after),
        lost=execution.lost_count,
    )


def _condition(execution: Execution) -> api.ConditionView | None:
    reason = execution.reason
    if reason is None or reason.code not in ("CONDITION_FALSE", "CONDITION_ERROR"):
        return None
    return api.ConditionView(
        condition=str(reason.details.get("condition", "")), values=dict(reason.details.get("values", {}))
    )


def _is_canceled(execution: Execution) -> bool:
    return execution.state in (State.CANCELING, State.CANCELED)


# --- the cache ---------------------------------------------------------------------------------


def cache_use(subject: Subject, execution: Execution) -> api.CacheUse | None:
    """What the cache had to do with a task; None for what never uses it."""
    if execution.kind is not Kind.TASK:
        return None
    note = execution.cache
    mark = note.fingerprint if note else ""
    if execution.cached_from is not None:
        reason = why(subject, execution)
        source = api.TaskRef(run_id="", execution_id=execution.cached_from, path="")
        return api.CacheUse(use="HIT", reason=reason_view(reason), source=source, fingerprint=mark)
    off = _cache_off(subject, execution)
    if off is not None and note is None:
        return api.CacheUse(use="OFF", reason=reason_view(off))
    if execution.looking_up:
        return api.CacheUse(use="WAITING", reason=reason_view(_looking_up(subject, execution)), fingerprint=mark)
    if note is None or note.reason is None:
        message = "It has not begun, so the cache was not asked." if not execution.begun else "The cache was not asked."
        return api.CacheUse(use="NOT_ASKED", reason=api.ReasonView(code="CACHE_NOT_ASKED", message=message))
    return api.CacheUse(
        use="OFF" if note.reason.code == "CACHE_OFF_SERVER" else "MISS",
        reason=reason_view(note.reason),
        source=_source(note.reason.details.get("from")),
        differs=[api.DifferenceView(**one) for one in note.reason.details.get("differs", [])],
        fingerprint=mark,
    )


def _cache_off(subject: Subject, execution: Execution) -> Reason | None:
    if subject.state.caching is False:
        return Reason(code="CACHE_OFF_RUN", message="The run was started without caching.")
    if not uses_cache(subject.plan, subject.state, execution.path):
        return Reason(code="CACHE_OFF_TASK", message="Caching is off for this task.")
    if not subject.caching:
        return Reason(code="CACHE_OFF_SERVER", message="This server uses no cache (setting caching).")
    return None


def _source(found: Json) -> api.TaskRef | None:
    if not isinstance(found, dict):
        return None
    return api.TaskRef(run_id=found["run_id"], execution_id=found["execution_id"], path="")


# --- causes ------------------------------------------------------------------------------------


def causes(subject: Subject, execution: Execution) -> list[Execution]:
    """What explains the execution's end, from the next one down to the one that nothing else explains."""
    chain: list[Execution] = []
    seen = {execution.path}
    at: Execution | None = execution
    while at is not None and len(chain) < _NAMED:
        at = _next_cause(subject, at)
        if at is None or at.path in seen:
            break
        seen.add(at.path)
        chain.append(at)
    return chain


def _next_cause(subject: Subject, execution: Execution) -> Execution | None:
    reason = execution.reason
    if reason is not None and reason.code == "RUN_CANCELED":
        return None
    if reason is not None and reason.code in _PASSED_ON and execution.iteration is None:
        named = child_path(execution.parent or "", str(reason.details.get("task", "")))
        found = subject.state.executions.get(named)
        # A group that was skipped passes its reason on to all below it.
        return found if found is not None else subject.state.executions.get(execution.parent or "")
    if execution.kind in TASKS or execution.state not in (State.FAILED, State.CANCELED):
        return None
    return first_of(list(_children(subject, execution)), execution.state)


def _children(subject: Subject, execution: Execution) -> Iterator[Execution]:
    if execution.kind is Kind.LOOP:
        paths: Iterable[str] = (iteration_path(execution.path, i) for i in range(execution.iteration_count or 0))
    elif execution.kind in (Kind.DAG, Kind.ROOT):
        paths = (child_path(execution.path, name) for name in subject.plan.dag_at(execution.path).tasks)
    else:
        return
    for path in paths:
        if (child := subject.state.executions.get(path)) is not None:
            yield child


# --- a run -------------------------------------------------------------------------------------


def explain_run(subject: Subject, *, limit: int) -> api.RunExplanation:
    """Why the run is in its state: what ended it, or what it waits for now; and its tasks, at most `limit`."""
    state = subject.state
    root = state.executions[""]
    chain = causes(subject, root)
    tasks = [one for one in state.executions.values() if one.kind in TASKS]
    tasks.sort(key=lambda one: (_RANKS[one.state], _natural(one.path)))
    return api.RunExplanation(
        run_id=state.run_id,
        display_name=state.display_name,
        state=state.state.value,
        reason=reason_view(_run_reason(subject, root, tasks)),
        causes=[subject.ref(one) for one in chain],
        cause=explain(subject, chain[-1].path) if chain else None,
        waiting=_waits(subject, tasks),
        tasks=[explain(subject, one.path) for one in tasks[:limit]],
        omitted=max(0, len(tasks) - limit),
        canceled_at=optional_millis(subject.canceled_at),
    )


def _run_reason(subject: Subject, root: Execution, tasks: list[Execution]) -> Reason:
    state = subject.state
    match state.state:
        case State.PENDING:
            return _pending(subject, root)
        case State.PAUSED:
            going = sum(one.state is State.RUNNING for one in tasks)
            more = f" Tasks that had started continue: {going}." if going else ""
            return Reason(code="RUN_PAUSED", message=f"The run is paused: no task starts until it is resumed.{more}")
        case State.CANCELING:
            left = sum(not one.state.final for one in tasks)
            message = f"The run is being cancelled; tasks that have not ended: {left}."
            return Reason(code="STOPPING", message=message)
        case State.RUNNING:
            return _running_run(tasks)
        case State.SUCCEEDED:
            cached = sum(one.cached_from is not None for one in tasks)
            more = f" From the cache: {cached} of its {len(tasks)} tasks." if cached else ""
            return Reason(code="SUCCEEDED", message=f"Everything that had to run succeeded.{more}")
        case _:
            return state.error or Reason(code="UNKNOWN", message="No reason was recorded.")


def _running_run(tasks: list[Execution]) -> Reason:
    done = sum(one.state.final for one in tasks)
    going = sum(one.state is State.RUNNING for one in tasks)
    return Reason(
        code="RUNNING",
        message=f"Of its tasks {going} are running, {len(tasks) - done - going} waiting, {done} done.".replace(
            " 1 are ", " 1 is "
        ),
        details={"running": going, "waiting": len(tasks) - done - going, "done": done},
    )


def _waits(subject: Subject, tasks: list[Execution]) -> list[api.WaitView]:
    found: dict[str, tuple[int, Execution, Reason]] = {}
    for one in tasks:
        if one.state is not State.PENDING:
            continue
        reason = why(subject, one)
        count, example, first = found.get(reason.code, (0, one, reason))
        found[reason.code] = (count + 1, example, first)
    return [
        api.WaitView(code=code, count=count, message=reason.message, example=subject.ref(example))
        for code, (count, example, reason) in found.items()
    ]


#: Tasks that tell most come first.
_RANKS = {
    State.FAILED: 0,
    State.RUNNING: 1,
    State.CANCELING: 1,
    State.PENDING: 2,
    State.PAUSED: 2,
    State.CANCELED: 3,
    State.SKIPPED: 4,
    State.SUCCEEDED: 5,
}


def _natural(path: str) -> tuple[str, tuple[int, ...]]:
    """`x[2]` before `x[10]`."""
    numbers = tuple(int(part.partition("]")[0]) for part in path.split("[")[1:])
    return node_path(path), numbers


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{max(0.0, seconds):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
