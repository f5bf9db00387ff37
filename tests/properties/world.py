"""A simulated world: virtual clock, one seed, an executor that delays, repeats, reorders, loses and forgets,
a server that crashes between recording and acting, and people who cancel, pause and retry."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

import msgspec

from headrace import engine
from headrace.engine.index import rebuild
from headrace.engine.model import *
from headrace.engine.plan import Plan
from properties.oracle import Oracle, picture

_EXECUTIONS = msgspec.json.Decoder(list[Execution])
MAX_STEPS = 5_000


@dataclass(kw_only=True)
class Faults:
    """How bad the world is; each a probability."""

    delay: float = 0.5
    repeat: float = 0.0
    lose: float = 0.0
    vanish: float = 0.0
    fail: float = 0.15
    crash: float = 0.0
    cancel: float = 0.0
    pause: float = 0.0
    retry: float = 0.0
    hit: float = 0.4

    @classmethod
    def drawn(cls, rng: Random) -> Faults:
        def some(most: float) -> float:
            return rng.choice((0.0, 0.0, most * rng.random()))

        return cls(
            delay=rng.random(), repeat=some(0.5), lose=some(0.4), vanish=some(0.4), fail=rng.choice((0, 0.1, 0.4)),
            crash=some(0.2), cancel=some(0.05), pause=some(0.05), retry=rng.choice((0.0, 0.7)),
        )  # fmt: skip


@dataclass
class Fate:
    """What becomes of one attempt: drawn when it is launched, so that asking again gives the same."""

    events: list[Event]
    stopped: bool = False


@dataclass
class World:
    plan: Plan
    seed: int
    faults: Faults
    arguments: dict[str, Json] = field(default_factory=dict)
    #: What a task produces: (order, rng) -> outputs.
    produce: Callable[[LaunchOrder, Random], Bundle] | None = None
    oracle: bool = True

    def __post_init__(self) -> None:
        self.rng = Random(self.seed)
        self.now = 0.0
        self.mail: list[tuple[float, int, Event]] = []
        self.sent = 0
        self.fates: dict[tuple[str, int], Fate] = {}
        self.launches: Counter[tuple[str, int]] = Counter()
        self.losses: Counter[str] = Counter()
        self.user_retries = 0
        self.log: list[Event] = []
        self.first = engine.new_run(
            self.plan, run_id="r", display_name="a run", arguments=self.arguments, at=0.0, caching=None
        )
        self.state = self.first
        self.mirror = Oracle(self.plan, self.first) if self.oracle else None

    # --- the run -------------------------------------------------------------------------------

    def run(self) -> RunState:
        """Live one history to its end, checking after each step; returns the last state."""
        self.post(RunStarted(at=0.0), 0.0)
        quiet = 0
        for _ in range(MAX_STEPS):
            if self.state.state.final and not self._person_retries():
                self._late_mail()
                self.check_end()
                return self.state
            if not self.mail:
                quiet = quiet + 1
                assert quiet < 100, "nothing happens any more"
                self._resync()
                continue
            quiet = 0
            self._people()
            if self.mail:
                self._deliver()
        raise AssertionError(f"not final after {MAX_STEPS} steps")

    def post(self, event: Event, delay: float) -> None:
        self.sent += 1
        heapq.heappush(self.mail, (self.now + delay, self.sent, event))

    def _deliver(self) -> None:
        at, _, event = heapq.heappop(self.mail)
        due = engine.wake_at(self.state)
        if due is not None and due <= at and not isinstance(event, Tick):
            heapq.heappush(self.mail, (at, 0, event))
            at, event = max(due, self.now), Tick(at=0.0)
        self.now = max(self.now, at)
        self.step(msgspec.structs.replace(event, at=self.now))

    def _resync(self) -> None:
        """Nothing is on its way: the clock, or the truth about what should be happening."""
        due = engine.wake_at(self.state)
        if due is not None:
            self.post(Tick(at=0.0), max(0.0, due - self.now))
        if self.state.paused:
            self.post(ResumeRequested(at=0.0), 1.0)
        if not self.state.executions[""].begun:
            self.post(RunStarted(at=0.0), 0.0)
        for command in engine.outstanding(self.plan, self.state):
            self.perform(command, honest=True)

    def _people(self) -> None:
        if self.rng.random() < self.faults.cancel:
            self.step(CancelRequested(at=self.now))
        if self.rng.random() < self.faults.pause:
            self.step(PauseRequested(at=self.now))
        if self.state.paused and self.rng.random() < 0.3:
            self.step(ResumeRequested(at=self.now))

    def _person_retries(self) -> bool:
        if self.state.state is State.SUCCEEDED or self.user_retries > 2 or self.rng.random() >= self.faults.retry:
            return False
        self.user_retries += 1
        self.step(RetryRequested(at=self.now))
        return True

    def _late_mail(self) -> None:
        """What comes after the end changes nothing."""
        before = self.state
        while self.mail:
            _, _, event = heapq.heappop(self.mail)
            self.step(msgspec.structs.replace(event, at=self.now))
        assert self.state == before, "a late event changed a final run"

    # --- one step ------------------------------------------------------------------------------

    def step(self, event: Any) -> None:
        before = self.state
        wanted_before = set(map(repr, engine.outstanding(self.plan, before)))
        step = engine.advance(self.plan, before, event)
        self.state = step.state
        self.log.append(event)
        self.check_step(before, event, step, wanted_before)
        if self.mirror is not None:
            self.mirror.advance(event)
            mine, other = picture(step.state, step.state.executions), self.mirror.picture()
            different = {
                k: (mine.get(k), other.get(k)) for k in mine.keys() | other.keys() if mine.get(k) != other.get(k)
            }
            assert not different, f"the oracle differs after {event}: {different}"
        if self.rng.random() < self.faults.crash:
            self._crash(step)
        else:
            for command in step.commands:
                self.perform(command)

    def _crash(self, step: Step) -> None:
        """The server dies after recording: some commands were not carried out; it comes back from what is stored."""
        for command in step.commands:
            if self.rng.random() < 0.5:
                self.perform(command)
        stored = engine.encode_header(self.state), msgspec.json.encode(list(self.state.executions.values()))
        back = engine.restore(self.plan, engine.decode_header(stored[0]), _EXECUTIONS.decode(stored[1]))
        assert back == self.state, "the stored state is not the state"
        self.state = back
        # Half of what was on its way to the server that died is lost with it.
        self.mail = [mail for mail in self.mail if self.rng.random() < 0.5]
        heapq.heapify(self.mail)
        for command in engine.outstanding(self.plan, back):
            self.perform(command)

    # --- the executor and the cache ----------------------------------------------------------------

    def perform(self, command: Command, *, honest: bool = False) -> None:
        if isinstance(command, LookUpCache):
            engine.fingerprint(self.plan, self.state, command.path)
            for event in self._cache_answers(command.path):
                self._mail(event, honest)
        elif isinstance(command, Launch):
            fate = self._launch(command.attempt)
            for event in fate.events:
                self._mail(event, honest)
        else:
            self._stop(command.attempt, honest)

    def _mail(self, event: Event, honest: bool) -> None:
        if not honest and self.rng.random() < self.faults.lose:
            return
        copies = 1 + (self.rng.random() < self.faults.repeat)
        for _ in range(copies):
            self.post(event, self.rng.expovariate(1.0) * 10 if self.rng.random() < self.faults.delay else 0.0)

    def _cache_answers(self, path: str) -> Iterator[Event]:
        rng = Random(f"{self.seed}/{path}")
        hit = rng.random() < self.faults.hit
        if rng.random() < 0.3:
            yield CacheWaiting(at=0.0, path=path, reason=Reason(code="SAME", message="waits"), fingerprint="f")
        if hit:
            yield CacheHit(at=0.0, path=path, outputs=Bundle(parameters={"Output": "heads"}), cached_from="x")
        else:
            yield CacheMissed(at=0.0, path=path, fingerprint="f")

    def _launch(self, attempt: AttemptId) -> Fate:
        key = (attempt.path, attempt.number)
        if key not in self.fates:
            self.launches[key] += 1
            self.fates[key] = Fate(self._drawn(attempt))
        return self.fates[key]

    def _drawn(self, attempt: AttemptId) -> list[Event]:
        order = engine.launch_order(self.plan, self.state, attempt)
        rng = Random(f"{self.seed}/{attempt.path}/{attempt.number}")
        events: list[Event] = []
        if rng.random() < 0.3:
            events.append(AttemptWaiting(at=0.0, attempt=attempt, reason=Reason(code="SLOT", message="waits")))
        if rng.random() < 0.9:
            events.append(AttemptStarted(at=0.0, attempt=attempt))
        if rng.random() < self.faults.vanish:
            events.append(AttemptLost(at=0.0, attempt=attempt, error=Reason(code="GONE", message="gone")))
        elif rng.random() < self.faults.fail:
            reason = Reason(code="TASK_FAILED", message="it broke")
            events.append(AttemptFailed(at=0.0, attempt=attempt, error=reason, retryable=rng.random() < 0.8))
        else:
            outputs = self.produce(order, rng) if self.produce else produced(order, rng)
            events.append(AttemptSucceeded(at=0.0, attempt=attempt, outputs=outputs))
        return events

    def _stop(self, attempt: AttemptId, honest: bool) -> None:
        fate = self.fates.setdefault((attempt.path, attempt.number), Fate([]))
        if not fate.stopped and (not fate.events or self.rng.random() < 0.8):
            fate.events = [AttemptStopped(at=0.0, attempt=attempt)]
        fate.stopped = True
        self._mail(fate.events[-1], honest)

    # --- what must hold --------------------------------------------------------------------------

    def check_step(self, before: RunState, event: Any, step: Step, wanted_before: set[str]) -> None:
        after = step.state
        wanted = set(map(repr, engine.outstanding(self.plan, after)))
        assert set(map(repr, step.commands)) == wanted - wanted_before, "commands are not what became wanted"
        assert len(step.commands) == len(set(map(repr, step.commands))), "a command twice"
        old, new = before.executions, after.executions
        assert set(step.changed) == {p for p in new if new[p] != old.get(p)}, "changed is not what changed"
        assert len(step.changed) == len(set(step.changed))
        index = rebuild(self.plan, after.executions)
        for kept, made in (
            (after.index.families, index.families),
            (after.index.unmet, index.unmet),
            (after.index.due, index.due),
        ):
            wrong = {p: (kept.get(p), made.get(p)) for p in {*kept, *made} if kept.get(p) != made.get(p)}
            assert not wrong, f"the index (kept, made anew) does not follow from the executions after {event}: {wrong}"
        for path in step.changed:
            self._check_change(old.get(path), new[path], event, before, after)
        for command in step.commands:
            if isinstance(command, Launch | LookUpCache):
                path = command.path if isinstance(command, LookUpCache) else command.attempt.path
                self._check_upstream(new, path)
        for execution in new.values():
            self._check_family(new, execution)

    def _check_change(
        self, old: Execution | None, new: Execution, event: Any, before: RunState, after: RunState
    ) -> None:
        if old is not None and old.state.final:
            again = isinstance(event, RetryRequested) or self._ancestor_began_again(new, before, after)
            assert again, f"{new.path} left its final state {old.state} for {new.state}"
        if old is not None and len(new.attempts) > len(old.attempts):
            assert len(new.attempts) == len(old.attempts) + 1
            assert new.attempts[-1].number == len(new.attempts)
            lost = sum(1 for a in new.attempts if a.error is not None and a.error.code in ("GONE", "STOPPED"))
            retry = self.plan.task_at(new.path).task.retry
            own = 1 + (retry.max_count if retry else 0)
            assert len(new.attempts) <= own * self._rounds(new, after) + lost, f"{new.path} has too many attempts"

    def _ancestor_began_again(self, e: Execution, before: RunState, after: RunState) -> bool:
        while e.parent is not None:
            e = after.executions[e.parent]
            old = before.executions.get(e.path)
            if e.kind is Kind.DAG and (old is None or e.retries > old.retries or (e.begun and not old.begun)):
                return True
        return False

    def _rounds(self, e: Execution, state: RunState) -> int:
        rounds = 1 + self.user_retries
        while e.parent:
            e = state.executions[e.parent]
            policy = self.plan.task_at(e.path).task.retry if e.kind is Kind.DAG else None
            rounds *= 1 + (policy.max_count if policy else 0)
        return rounds

    def _check_upstream(self, executions: Any, path: str) -> None:
        execution = executions[path]
        task = self.plan.task_at(path)
        while execution.parent is not None:
            parent = executions[execution.parent]
            assert parent.state in (State.RUNNING, State.CANCELING), f"{path} runs in a DAG that is {parent.state}"
            if execution.iteration is None:
                task = self.plan.task_at(execution.path)
                prefix = execution.path[: len(execution.path) - len(execution.task)]
                for name in task.dependencies:
                    state = executions[prefix + name].state
                    assert state.final, f"{path} runs before {name} is final"
                    assert task.task.runs_after_failure or state is State.SUCCEEDED, f"{path} runs after {state} {name}"
            execution = parent

    def _check_family(self, executions: Any, e: Execution) -> None:
        if e.parent is not None and not e.state.final and e.state is not State.PENDING:
            assert not executions[e.parent].state.final, f"{e.path} goes on in a final parent"
        if e.kind is Kind.LOOP and not e.state.final and e.begun:
            limit = self.plan.task_at(e.path).iterator.parallelism
            iterations = [executions[f"{e.path}[{i}]"] for i in range(e.iteration_count)]
            active = sum(i.begun and not i.state.final for i in iterations)
            assert not limit or active <= limit, f"{e.path} has {active} iterations under way, limit {limit}"

    def check_end(self) -> None:
        assert all(e.state.final for e in self.state.executions.values()), "something is not final in a final run"
        assert engine.outstanding(self.plan, self.state) == ()
        assert engine.wake_at(self.state) is None
        assert all(count == 1 for count in self.launches.values()), "an attempt was started twice"
        if self.state.cancel_requested:
            assert self.state.state is State.CANCELED
        again = self.first
        for event in self.log:
            again = engine.advance(self.plan, again, event).state
        assert again == self.state, "replaying the log gives another state"


def produced(order: LaunchOrder, rng: Random) -> Bundle:
    """Type-correct outputs."""
    made = {"STRING": rng.choice(("heads", "tails")), "NUMBER_INTEGER": 3, "NUMBER_DOUBLE": 0.5, "BOOLEAN": True}
    made |= {"LIST": [1, 2], "STRUCT": {"a": 1}}
    artifacts = {
        name: (Artifact(artifact_id=f"{order.attempt.path}/{name}", name=name, type=kind, uri="file:///x"),)
        for name, kind in order.outputs.artifacts.items()
    }
    return Bundle(
        parameters={name: made.get(kind, {}) for name, kind in order.outputs.parameters.items()}, artifacts=artifacts
    )
