"""The inbox: order, batches, news that may lie, who is answered; and alarms."""

from __future__ import annotations

import asyncio

import pytest

from headrace.engine.model import AttemptId, AttemptStarted, AttemptSucceeded, Bundle, Tick
from headrace.service import inbox as rooms
from headrace.service.alarms import Alarms
from headrace.service.inbox import BATCH, Inbox, QueuedEvent, answer

pytestmark = pytest.mark.anyio


def news(number: int) -> QueuedEvent:
    return QueuedEvent(run_id="r", event=AttemptStarted(at=float(number), attempt=_attempt(number)))


def end(number: int) -> QueuedEvent:
    return QueuedEvent(run_id="r", event=AttemptSucceeded(at=float(number), attempt=_attempt(number), outputs=Bundle()))


def _attempt(number: int) -> AttemptId:
    return AttemptId(run_id="r", path=f"t{number}", number=1)


def request() -> QueuedEvent:
    recorded: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    return QueuedEvent(run_id="r", event=Tick(at=0.0), recorded=recorded)


async def test_events_come_out_in_order_in_batches_of_bounded_size():
    inbox = Inbox()
    queued = [end(number) for number in range(BATCH + 3)]
    for one in queued:
        inbox.put(one)
    first, second = await inbox.take(), await inbox.take()
    assert (len(first), len(second)) == (BATCH, 3)
    assert first + second == queued


async def test_idle_news_lies_until_something_else_comes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rooms, "_IDLE_NEWS_S", 1e6)
    inbox = Inbox()
    inbox.put(news(1))
    taking = asyncio.create_task(inbox.take())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not taking.done()
    inbox.put(end(1))
    assert [type(one.event).__name__ for one in await taking] == ["AttemptStarted", "AttemptSucceeded"]
    inbox.close()


async def test_idle_news_is_taken_after_a_moment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rooms, "_IDLE_NEWS_S", 0.001)
    inbox = Inbox()
    inbox.put(news(1))
    assert len(await asyncio.wait_for(inbox.take(), 10)) == 1


async def test_a_reader_of_reports_waits_while_the_inbox_is_full():
    inbox = Inbox()
    for number in range(5 * BATCH):
        inbox.put(end(number))
    reading = asyncio.create_task(inbox.room())
    await asyncio.sleep(0)
    assert not reading.done()
    await inbox.take()
    await asyncio.wait_for(reading, 10)


async def test_while_nothing_can_be_recorded_no_request_waits_and_its_event_stays():
    inbox = Inbox()
    taken, queued = request(), request()
    inbox.put(taken)
    batch = await inbox.take()
    inbox.put(queued)
    inbox.fail_all(RuntimeError("the disk is full"))
    for one in (taken, queued):
        assert one.recorded is not None and one.recorded.done()
        assert "full" in str(one.recorded.exception())
        assert not one.is_awaited
    answer(batch)
    assert await inbox.take() == [queued], "it is recorded as soon as that is possible"


async def test_closing_cancels_the_requests_that_wait():
    inbox = Inbox()
    waiting = request()
    inbox.put(waiting)
    inbox.close()
    assert waiting.recorded is not None and waiting.recorded.cancelled()


async def test_an_alarm_looks_again_at_the_clock():
    """The wall clock was set back while a run waited, and then set right: the alarm comes when the run is due."""
    clock = [1000.0]
    rung: list[str] = []
    alarms = Alarms(lambda: clock[0], lambda run_id, at: rung.append(run_id))
    clock[0] -= 3600
    alarms._wait("run", 1000.5)
    timer = alarms._timers["run"]
    assert timer.when() - asyncio.get_running_loop().time() <= 30.0
    timer.cancel()
    alarms._due("run", 1000.5)
    assert rung == [], "not before it is due"
    clock[0] = 1000.5
    alarms._due("run", 1000.5)
    assert rung == ["run"]
    alarms.close()
