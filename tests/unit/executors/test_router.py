"""Several executors behind one port."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
import pytest

from fake_executor import FakeExecutor, World, hang
from headrace.attempt.codes import Code
from headrace.attempt.order import LaunchOrder
from headrace.engine.model import AttemptId
from headrace.executors.log_store import follow_log
from headrace.executors.port import AnyReport, Failed, Started, Stopped, Succeeded
from headrace.executors.router import ExecutorRouter
from orders import shell_order

pytestmark = pytest.mark.anyio


def order_of(executor: str, number: int = 1) -> LaunchOrder:
    asked = shell_order("true", image="x")
    attempt = AttemptId(run_id=asked.attempt.run_id, path=f"task-{executor or 'default'}", number=number)
    return msgspec.structs.replace(asked, attempt=attempt, executor=executor)


class Two:
    """A router over two executors, and all that it reports."""

    def __init__(self, here: World, there: World) -> None:
        self.here, self.there = FakeExecutor(here), FakeExecutor(there)
        self.here.domain, self.there.domain = "dir", "cluster"
        self.router = ExecutorRouter({"local": self.here, "cluster": self.there}, default="local")
        self.seen: list[AnyReport] = []
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for report in self.router.reports():
            self.seen.append(report)

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not true():
                await asyncio.sleep(0)

    async def close(self) -> None:
        await self.router.close()
        await self._reader


@pytest.fixture
async def two():
    made = Two(World(), World())
    yield made
    await made.close()


async def test_each_attempt_goes_to_the_executor_that_its_order_names(two):
    near, far = order_of(""), order_of("cluster")
    for asked in (near, far):
        await two.router.launch(asked)
    await two.until(lambda: sum(isinstance(one, Succeeded) for one in two.seen) == 2)
    assert (set(two.here.world.orders), set(two.there.world.orders)) == ({near.attempt}, {far.attempt})
    assert (two.router.domain_of(near), two.router.domain_of(far)) == ("dir", "cluster")
    assert two.router.domains == {"dir", "cluster"}


async def test_an_executor_that_is_not_here_fails_the_attempt(two):
    asked = order_of("abacus")
    await two.router.launch(asked)
    await two.until(lambda: bool(two.seen))
    [end] = two.seen
    assert isinstance(end, Failed), end
    assert (end.error.code, end.retryable, end.attempt) == (Code.EXECUTOR_MISSING, False, asked.attempt)
    assert (two.router.domain_of(asked), two.here.world.orders, two.there.world.orders) == ("", {}, {})


async def test_stop_and_settle_reach_the_executor_of_the_attempt(two):
    two.here.world.behaviour = two.there.world.behaviour = hang
    near, far = order_of(""), order_of("cluster")
    for asked in (near, far):
        await two.router.launch(asked)
    await two.router.stop(far.attempt)
    await two.until(lambda: any(isinstance(one, Stopped) for one in two.seen))
    await two.router.settle(far.attempt)
    assert (two.here.world.settled, two.there.world.settled) == (set(), {far.attempt})
    assert (set(two.here.world.ends), set(two.there.world.ends)) == (set(), {far.attempt})
    assert await two.router.live() == {near.attempt}


async def test_an_attempt_of_an_earlier_server_is_stopped_where_it_is():
    there = World(behaviour=hang)
    far = order_of("cluster")
    await FakeExecutor(there).launch(far)
    later = Two(World(), there)
    await later.router.stop(far.attempt)
    assert (set(later.there.world.ends), set(later.here.world.ends)) == ({far.attempt}, set())
    await later.close()


async def test_what_is_unwanted_ends_in_every_executor_and_a_deleted_run_goes_from_all(two):
    two.here.world.behaviour = two.there.world.behaviour = hang
    near, far = order_of(""), order_of("cluster")
    for asked in (near, far):
        await two.router.launch(asked)
    await two.router.keep_only({near.attempt})
    assert (two.here.world.discarded, two.there.world.discarded) == (set(), {far.attempt})
    await two.router.keep_only(frozenset(), within={"another run"})
    assert two.here.world.discarded == set()
    await two.router.delete_run(near.attempt.run_id)
    assert two.here.world.forgotten == two.there.world.forgotten == {near.attempt.run_id}
    await two.router.hand_over(near.attempt.run_id)
    assert two.here.world.let_go == two.there.world.let_go == {near.attempt.run_id}


async def test_reports_of_both_come_through(two):
    await two.router.launch(order_of("cluster"))
    await two.until(lambda: any(isinstance(one, Started) for one in two.seen))
    assert {type(one) for one in two.seen} <= {Started, Succeeded}


async def test_a_log_is_read_from_where_it_is_also_when_its_attempt_is_settled(two):
    far = order_of("cluster")
    await two.router.launch(far)
    for _ in range(2):
        text = b"".join([chunk async for chunk in follow_log(two.router.logs, far.attempt, offset=6, follow=True)])
        assert text == f"from {far.attempt.path}\n".encode()
        assert await two.router.logs.size(far.attempt) == len(text) + 6
        await two.router.settle(far.attempt)


def test_a_default_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="no executor 'local'"):
        ExecutorRouter({}, default="local")
