"""What must hold in every simulated world: after each transaction, at each thing an executor is asked, and at the end.

It reads what is committed, as a stranger would, and works each run out anew from its recorded events: with the engine,
and with the reference engine of `properties`, which shares nothing with it but the values.
"""

from __future__ import annotations

import functools
import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from headrace import engine
from headrace.engine.model import *
from headrace.engine.plan import Plan
from headrace.executors import port
from headrace.service.documents import plan_stored
from headrace.service.outcomes import to_event
from headrace.store import codec
from headrace.store.documents import decode_document
from properties.invariants import Watch as EngineWatch
from simulation.virtual import EPOCH, Process, current

if TYPE_CHECKING:
    from simulation.simulated_executor import Machines
    from simulation.world import World

#: What people ask, and may be lost on its way to the server that drives the run.
REQUESTS = (CancelRequested, PauseRequested, ResumeRequested, RetryRequested, ExecutionMarked)
#: Longest time in calm in which nothing of a run that is under way is recorded.
PATIENCE_S = 180.0


@functools.lru_cache(64)
def _plan(text: str) -> Plan:
    return plan_stored(decode_document(text))


class Followed:
    """One run, as it follows from what is committed. Also the world that the engine's own invariants look at."""

    def __init__(self, watch: Watch, run_id: str, row: dict[str, Any]) -> None:
        self.run_id = run_id
        self.seed = watch.world.seed
        self.plan = _plan(row["document"])
        self.arguments = msgspec.json.decode(row["parameters"])
        head = engine.decode_header(row["head"])
        self.first = self.state = engine.new_run(
            self.plan, run_id=run_id, display_name=row["display_name"], arguments=self.arguments,
            at=row["created_at"], scheduled_at=row["scheduled_at"], caching=head.caching,
            pipeline_root=head.pipeline_root, namespace=head.namespace, service_account=head.service_account,
            created_by=head.created_by,
        )  # fmt: skip
        self.version = 0
        self.owner: str | None = row["lease_owner"]
        self.events: list[AnyEvent] = []
        #: Requests in the log, as text: none may be there twice.
        self.requests: set[str] = set()
        self.marks = 0
        self.changed_at = watch.world.loop.time()
        self.engine = EngineWatch(self, self.state)  # type: ignore[arg-type]

    def apply(self, event: AnyEvent) -> Step:
        """The next recorded event."""
        self.events.append(event)
        self.marks += isinstance(event, ExecutionMarked)
        step = engine.advance(self.plan, self.state, event)
        self.engine.event(self.state, event, step)
        self.state = step.state
        return step


class Watch:
    """Looks on, and raises AssertionError."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.runs: dict[str, Followed] = {}
        #: Runs that are no more; of these nobody may ever hear again.
        self.deleted: set[str] = set()
        #: Runs that somebody has asked to delete.
        self.unwanted: set[str] = set()
        #: Messages in the inbox: id -> (run, event as text).
        self.inbox: dict[str, tuple[str, str]] = {}
        #: How often the user's code of an attempt was started, and in which domain.
        self.starts: Counter[AttemptId] = Counter()
        self.began_in: dict[AttemptId, str] = {}
        #: What was reached, for the test that all of it is.
        self.reached: Counter[str] = Counter()
        self.violation: BaseException | None = None

    # --- transactions --------------------------------------------------------------------------

    def before_write(self, server: Process) -> None:
        """A transaction is about to be done for this server."""

    def written(self, server: Process) -> None:
        """A transaction was committed for this server."""
        self.guarded(self._written, server)

    def refused(self, server: Process, run_ids: tuple[str, ...]) -> None:
        """A commit of this server was refused: another drives these runs. That cannot be while it has its lease."""
        self.guarded(self._refused, server, run_ids)

    def _refused(self, server: Process, run_ids: tuple[str, ...]) -> None:
        self.reached["a commit was refused"] += 1
        mine = self.world.server_id(server)
        found = [self.runs[run_id] for run_id in run_ids if run_id in self.runs]
        # The end of a run gives it up, also when nobody knows of that commit yet.
        taken = [run.run_id for run in found if run.owner != mine and not (run.owner is None and run.state.state.final)]
        names = ", ".join(map(self.world.name_of, taken))
        assert not taken or mine != self.world.first_id(server), f"{server} has lost {names} without losing its lease"

    def guarded(self, check: Any, *args: Any) -> None:
        """A check that fails ends the world, whoever catches the error on its way."""
        try:
            check(*args)
        except BaseException as error:
            self.violation = self.violation or error
            self.world.stop(error)
            raise

    def _written(self, server: Process) -> None:
        query = self.world.database.query
        found = {row[0]: row for row in query("SELECT run_id, version, lease_owner, state FROM runs")}
        inbox = {row[0]: (row[1], row[2]) for row in query("SELECT inbox_id, run_id, body FROM inbox")}
        for run_id in [run_id for run_id in self.runs if run_id not in found]:
            assert run_id in self.unwanted, f"run {self.world.name_of(run_id)} is gone, and nobody has asked for that"
            self.deleted.add(run_id)
            del self.runs[run_id]
            self.world.trace(f"{server}: {self.world.name_of(run_id)} is deleted")
        delivered: set[str] = set()
        for run_id, version, owner, _ in found.values():
            assert run_id not in self.deleted, "a deleted run is there again"
            run = self.runs.get(run_id)
            if run is None:
                run = self.runs[run_id] = self._appeared(run_id)
                self.world.trace(f"{server}: {self.world.name_of(run_id)} is made")
            elif run.version != version and self.world.faults.shared:
                mine = self.world.server_id(server)
                assert run.owner == mine, f"{server} has changed a run that is {run.owner}'s, not {mine}'s"
            if run.version != version:
                self._changed(server, run, version, delivered)
            if run.owner != owner:
                who = self.world.name_of_server(owner) if owner else "nobody"
                self.world.trace(f"{self.world.name_of(run_id)} is driven by {who}")
                run.owner = owner
        self._check_inbox(inbox, delivered)
        self.inbox = inbox

    def _appeared(self, run_id: str) -> Followed:
        names = ("head", "parameters", "display_name", "created_at", "scheduled_at", "lease_owner")
        columns = ", ".join(f"runs.{name}" for name in names)
        text = f"SELECT {columns}, documents.body FROM runs JOIN documents ON digest = document WHERE run_id = ?"
        row = self.world.database.query(text, run_id)[0]
        return Followed(self, run_id, dict(zip((*names, "document"), row, strict=True)))

    def _changed(self, server: Process, run: Followed, version: int, delivered: set[str]) -> None:
        world, query = self.world, self.world.database.query
        assert version == run.version + 1, f"from version {run.version} to {version} in one transaction"
        before = run.state
        bodies = query(
            "SELECT seq, body FROM run_events WHERE run_id = ? AND seq >= ? ORDER BY seq", run.run_id, len(run.events)
        )
        assert bodies, "a change without an event"
        for seq, body in bodies:
            assert seq == len(run.events), "an event is missing in the log"
            event = codec.decode_event(body)
            self._check_event(server, run, event, body)
            delivered.add(body)
            step = run.apply(event)
            self._told(server, run, event, step)
        self._check_rows(run, version)
        run.version, run.changed_at = version, world.loop.time()
        assert not (before.state.final and run.state == before) or len(bodies) > 0
        assert run.state.error is None or run.state.error.code != "INTERNAL_ERROR", run.state.error

    def _check_rows(self, run: Followed, version: int) -> None:
        """What is stored is the state: the head, and each execution that has changed with this version."""
        query = self.world.database.query
        head, state, count = query("SELECT head, state, event_count FROM runs WHERE run_id = ?", run.run_id)[0]
        assert head == engine.encode_header(run.state).decode(), "the stored head is not the run's"
        assert (state, count) == (run.state.state.value, len(run.events))
        stored = query("SELECT path, state, body FROM executions WHERE run_id = ? AND version = ?", run.run_id, version)
        for path, word, body in stored:
            mine = run.state.executions[path]
            assert body == codec.encode(mine), f"{path} is stored otherwise than it is"
            assert word == mine.state.value
        total = query("SELECT count(*) FROM executions WHERE run_id = ?", run.run_id)[0][0]
        assert total == len(run.state.executions), "there are not as many rows as executions"

    def _check_event(self, server: Process, run: Followed, event: AnyEvent, body: str) -> None:
        """What is recorded of an attempt is what it came to, and no request is recorded twice."""
        self.reached[type(event).__name__] += 1
        if isinstance(event, REQUESTS):
            assert body not in run.requests, f"{type(event).__name__} is recorded a second time"
            run.requests.add(body)
        attempt: AttemptId | None = getattr(event, "attempt", None)
        if attempt is None or isinstance(event, AttemptWaiting):
            return
        execution = run.state.executions.get(attempt.path)
        if execution is None or execution.kind is Kind.IMPORTER:
            return
        job = self.world.job(attempt)
        if isinstance(event, AttemptLost) and event.error.code == "SERVER_LOST":
            self.reached["SERVER_LOST"] += 1
            mine = self.world.domain_of(server)
            began = self.began_in.get(attempt)
            assert began != mine, f"{attempt.path}#{attempt.number} is given up, though it can be reached"
        elif isinstance(event, AttemptFailed) and event.error.code == "LAUNCH_FAILED":
            raise AssertionError(f"an attempt could not be launched: {event.error}")
        elif isinstance(event, AttemptStarted):
            assert job is not None and job.began is not None, f"{attempt.path}#{attempt.number} has not started"
        elif isinstance(event, AttemptStopped):
            assert job is None or isinstance(job.end, port.Stopped), f"{attempt.path}#{attempt.number} was not stopped"
        else:
            assert job is not None and job.end is not None, f"{attempt.path}#{attempt.number} has not ended"
            assert codec.encode(to_event(job.end)) == body, (
                f"{attempt.path}#{attempt.number} ended otherwise: {job.end}"
            )

    def _check_inbox(self, inbox: dict[str, tuple[str, str]], delivered: set[str]) -> None:
        """A message leaves the inbox with the commit that records it, or when its run has ended or is gone."""
        for ident in [ident for ident in self.inbox if ident not in inbox]:
            run_id, body = self.inbox[ident]
            run = self.runs.get(run_id)
            over = run is None or run.state.state.final
            assert body in delivered or over, f"a message is gone, and was not recorded: {body}"
            self.reached["message delivered" if body in delivered else "message too late"] += 1
        for ident, (run_id, body) in inbox.items():
            if body in delivered and ident in self.inbox:
                raise AssertionError(f"a message was recorded and is still there: {body}")
            if ident not in self.inbox:
                self.world.trace(f"message for {self.world.name_of(run_id)}: {_request(body)}")

    def _told(self, server: Process, run: Followed, event: AnyEvent, step: Step) -> None:
        moved = [
            f"{path or 'root'} {step.state.executions[path].state.value}" for path in step.changed
        ]  # fmt: skip
        attempt = getattr(event, "attempt", None)
        where = f"{attempt.path}#{attempt.number}" if attempt else getattr(event, "path", "")
        asked = [
            f"{type(c).__name__} {c.path if isinstance(c, LookUpCache) else c.attempt.path}" for c in step.commands
        ]
        said = f"{type(event).__name__} {where}".strip()
        name = self.world.name_of(run.run_id)
        self.world.trace(f"{server}: {name} {said} | {', '.join(moved)} | {', '.join(asked)}")

    # --- executors -----------------------------------------------------------------------------

    def wanted(self, attempt: AttemptId) -> bool:
        """Whether the run, as it is recorded, wants this attempt to run."""
        run = self.runs.get(attempt.run_id)
        execution = run.state.executions.get(attempt.path) if run is not None else None
        if execution is None or not execution.attempts or execution.state.final or execution.state is State.CANCELING:
            return False
        latest = execution.attempts[-1]
        return latest.number == attempt.number and not latest.state.final

    def launched(self, attempt: AttemptId) -> None:
        """A server asks for an attempt, now."""
        self.guarded(self._launched, attempt)

    def _launched(self, attempt: AttemptId) -> None:
        server = current()
        assert server is not None
        self._check_lease(server, f"asks for {attempt.path}#{attempt.number}")
        run = self.runs.get(attempt.run_id)
        if run is not None:
            numbers = [one.number for one in run.state.executions[attempt.path].attempts]
            assert attempt.number in numbers, f"{attempt.path}#{attempt.number} is launched before it is recorded"
            # Between the commit of a run's end and its news in the server's memory, the run has no owner any more.
            ending = run.owner is None and run.state.state.final
            if self.world.faults.shared and not ending:
                assert run.owner == self.world.server_id(server), f"{server} launches for a run that is not its own"
        self.world.trace(f"{server}: launches {attempt.path}#{attempt.number}")

    def begins(self, machines: Machines, attempt: AttemptId) -> None:
        """The user's code begins."""
        self.guarded(self._begins, machines, attempt)

    def _begins(self, machines: Machines, attempt: AttemptId) -> None:
        server = current()
        assert server is not None
        self._check_lease(server, f"begins {attempt.path}#{attempt.number}")
        self.starts[attempt] += 1
        assert self.starts[attempt] == 1, f"{attempt.path}#{attempt.number} was started twice"
        self.began_in[attempt] = machines.name
        self.world.trace(f"{machines.name}: {attempt.path}#{attempt.number} begins")

    def _check_lease(self, server: Process, what: str) -> None:
        if not self.world.faults.shared:
            return
        mine = self.world.server_id(server)
        rows = self.world.database.query("SELECT lease_until FROM servers WHERE server_id = ?", mine)
        now = EPOCH + self.world.loop.time() + self.world.database.process.skew_s
        assert rows and rows[0][0] > now, f"{server} {what} without a live lease"

    def stopped(self, attempt: AttemptId) -> None:
        """A server stops an attempt."""
        self.guarded(self._ended, attempt, "stopped")

    def discarded(self, attempt: AttemptId) -> None:
        """A server ends an attempt as nobody's."""
        self.guarded(self._ended, attempt, "thrown away as nobody's")

    def _ended(self, attempt: AttemptId, how: str) -> None:
        server = current()
        self.world.trace(f"{server}: {attempt.path}#{attempt.number} is {how}")
        self.reached[how] += 1
        assert not self.wanted(attempt), f"{attempt.path}#{attempt.number} is {how} by {server}, though it is wanted"

    def forgotten(self, machines: Machines, run_id: str) -> None:
        """All that is kept of a run's attempts is removed."""
        self.guarded(self._forgotten, machines, run_id)

    def _forgotten(self, machines: Machines, run_id: str) -> None:
        running = [attempt for attempt in machines.running() if attempt.run_id == run_id]
        assert not running, f"the files of {running[0].path}#{running[0].number} are removed while it runs"

    # --- people --------------------------------------------------------------------------------

    def requests_of(self, run_id: str, kind: type) -> list[AnyEvent]:
        """Requests of this kind for a run, recorded or on their way, as often as they are there."""
        run = self.runs.get(run_id)
        waiting = [codec.decode_event(body) for its_run, body in self.inbox.values() if its_run == run_id]
        return [event for event in (*(run.events if run else ()), *waiting) if type(event) is kind]

    def acknowledged(self, run_id: str, kind: type, before: Sequence[AnyEvent], had_ended: bool) -> None:
        """Somebody was told that this was done: it is recorded, or on its way, or the run ended in the meantime.

        `before`: what `requests_of` said when it was asked for.
        """
        self.guarded(self._acknowledged, run_id, kind, before, had_ended)

    def _acknowledged(self, run_id: str, kind: type, before: Sequence[AnyEvent], had_ended: bool) -> None:
        run = self.runs.get(run_id)
        if run is None:
            assert run_id in self.unwanted, "a run that was acknowledged is not there"
            return
        name = kind.__name__
        left = list(before)
        found = [event for event in self.requests_of(run_id, kind) if not _taken_from(left, event)]
        if not found and run.state.state.final and not had_ended:
            self.reached[f"{name} too late"] += 1
            return
        assert found, f"{name} of {self.world.name_of(run_id)} was acknowledged, and is neither recorded nor under way"
        self.reached[f"{name} acknowledged"] += 1

    # --- in calm times -------------------------------------------------------------------------

    def waiting(self) -> None:
        """In calm, every run that is under way comes on."""
        now, calm_at = self.world.loop.time(), self.world.faults.calm_at
        for run in self.runs.values():
            if run.state.state.final:
                continue
            since = max(run.changed_at, calm_at)
            due = engine.wake_at(run.state)
            if due is not None:
                since = max(since, due - EPOCH + 2 * self.world.faults.skew_s)
            name = self.world.name_of(run.run_id)
            assert now <= since + PATIENCE_S, f"nothing has happened to {name} for {PATIENCE_S:g} s of calm"

    # --- the end -------------------------------------------------------------------------------

    def end(self) -> None:
        """Every run has ended, and a while has passed."""
        for domain in self.world.domains.values():
            running = domain.running()
            assert not running, f"{running[0].path}#{running[0].number} still runs when all is over"
        assert not self.inbox, f"messages are left when all is over: {list(self.inbox.values())}"
        for run in self.runs.values():
            self._check_run(run)
        recorded = {
            AttemptId(run_id=run.run_id, path=path, number=one.number)
            for run in self.runs.values()
            for path, execution in run.state.executions.items()
            for one in execution.attempts
        }
        begun = {attempt for attempt in self.starts if attempt.run_id not in self.deleted}
        assert begun <= recorded, "something was started that nobody has recorded"

    def _check_run(self, run: Followed) -> None:
        state = run.state
        assert state.state.final
        assert all(execution.state.final for execution in state.executions.values())
        assert engine.outstanding(run.plan, state) == ()
        for execution in state.executions.values():
            if execution.parent is not None and execution.iteration is None:
                run.engine._check_exit_task(state.executions, execution)
        again = run.first
        for event in run.events:
            again = engine.advance(run.plan, again, event).state
        assert again == state, "replaying the log gives another state"

    def closed(self) -> None:
        """Every server was closed in an orderly way."""
        query = self.world.database.query
        assert not query("SELECT server_id FROM servers"), "a server that was closed is still enrolled"
        owners = {row[0] for row in query("SELECT lease_owner FROM runs WHERE lease_owner IS NOT NULL")}
        closed = {server.lease.server_id for server in self.world.servers if server.lease is not None}
        assert not owners & closed, "a server that was closed has kept runs"


def _request(body: str) -> str:
    return type(codec.decode_event(body)).__name__


def digest(lines: list[str]) -> str:
    """By which two histories are the same."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _taken_from(events: list[AnyEvent], event: AnyEvent) -> bool:
    """Whether the event was among these; it is then removed from them."""
    if event in events:
        events.remove(event)
        return True
    return False
