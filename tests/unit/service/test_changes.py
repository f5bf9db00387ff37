"""What watchers are told, and when: gathered while a run goes on, at once when it has ended."""

from __future__ import annotations

import asyncio

import pytest

from headrace.service import changes
from headrace.service.changes import Changes, Watch

pytestmark = pytest.mark.anyio
#: A rate at which nothing would ever be handed on a second time.
_NEVER = 1e6


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "INTERVAL_S", _NEVER)


async def looking(watch: Watch) -> asyncio.Task[frozenset[str]]:
    """A look that has gone as far as it can."""
    task = asyncio.ensure_future(watch.next())
    for _ in range(10):
        await asyncio.sleep(0)
    return task


async def test_the_first_change_comes_at_once_and_what_follows_is_gathered(slow: None):
    told = Changes()
    with told.watch() as watch:
        told.notify(["a"])
        assert await watch.next() == {"a"}
        told.notify(["a"])
        told.notify(["b"])
        look = await looking(watch)
        assert not look.done()
        told.close()
        assert await look == {"a", "b"}


async def test_the_end_of_a_run_is_not_kept_back_from_who_watches_it(slow: None):
    told = Changes()
    with told.watch("a") as watch:
        told.notify(["a"])
        assert await watch.next() == {"a"}
        look = await looking(watch)
        told.notify(["a"])
        told.notify(["b"], ended=["b"])
        await asyncio.sleep(0)
        assert not look.done()
        told.notify(["a"], ended=["a"])
        async with asyncio.timeout(10):
            assert await look == {"a"}


async def test_after_an_end_changes_are_gathered_again(slow: None):
    told = Changes()
    with told.watch("a") as watch:
        told.notify(["a"], ended=["a"])
        assert await watch.next() == {"a"}
        told.notify(["a"])
        look = await looking(watch)
        assert not look.done()
        look.cancel()


async def test_nobody_is_left_waiting_when_the_service_closes(slow: None):
    told = Changes()
    with told.watch("a") as watch:
        look = await looking(watch)
        told.close()
        async with asyncio.timeout(10):
            assert await look == frozenset()
