"""Work on threads of its own: answered, raised, left behind, and never too much of it at once."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest

from headrace.threads import in_background

pytestmark = pytest.mark.anyio


async def test_it_answers_and_raises():
    assert await in_background(lambda: threading.current_thread().daemon) is True
    with pytest.raises(ZeroDivisionError):
        await in_background(lambda: 1 / 0)


async def test_who_does_not_wait_any_more_is_not_told():
    begun, go_on, done = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go_on.wait(30)
        done.set()

    task = asyncio.create_task(in_background(work))
    await asyncio.to_thread(begun.wait, 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    assert await asyncio.to_thread(done.wait, 30)


async def test_asyncio_s_own_threads_stay_free():
    """However much waits here."""
    held = threading.Event()
    waiting = [asyncio.create_task(in_background(lambda: held.wait(30))) for _ in range(100)]
    assert await asyncio.wait_for(asyncio.to_thread(lambda: "free"), 10) == "free"
    assert sum(thread.name == "headrace-background" for thread in threading.enumerate()) <= 32
    held.set()
    assert all(await asyncio.gather(*waiting))


def test_the_end_of_the_process_does_not_wait():
    program = (
        "import asyncio, threading\nfrom headrace.threads import in_background\n"
        "async def main():\n    task = asyncio.create_task(in_background(threading.Event().wait))\n"
        "    await asyncio.sleep(0)\n    task.cancel()\nasyncio.run(main())\n"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=30, check=False).returncode == 0
