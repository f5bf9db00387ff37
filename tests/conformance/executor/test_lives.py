"""Launching, stopping, waiting, limits, and what survives the server."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness import processes_of
from headrace.engine.model import AttemptId
from headrace.executors.local import processes, supervisor
from headrace.executors.log_store import follow_log
from headrace.executors.port import Failed, Lost, Started, Stopped, Succeeded, Waiting
from orders import RUN_ID

pytestmark = pytest.mark.anyio

SLEEPS = "def f():\n    import time\n    time.sleep(600)"
#: Waits for a file to appear in the attempt's outputs, then returns; the test decides when.
WAITS = """
def f(signal_file: OutputPath(str)) -> str:
    import os, time
    print('begun', flush=True)
    while not os.path.exists(os.path.dirname(signal_file) + '/go'):
        time.sleep(0.01)
    open(signal_file, 'w').write('seen')
    return 'done'
"""
GIVES = {"signal_file": "STRING", "Output": "STRING"}


def outputs_of(home: Path, attempt: AttemptId) -> Path:
    return home / "attempts" / attempt.run_id / attempt.execution_id / str(attempt.number) / "outputs"


def let_go(home: Path, attempt: AttemptId) -> None:
    folder = outputs_of(home, attempt) / "parameters"
    folder.mkdir(exist_ok=True)
    (folder / "go").touch()


async def log_of(executor, attempt, **options) -> bytes:
    return b"".join([chunk async for chunk in follow_log(executor.logs, attempt, **options)])


async def log_says(executor, attempt, word: bytes) -> None:
    said = b""
    async for chunk in follow_log(executor.logs, attempt, follow=True):
        said += chunk
        if word in said:
            return
    raise AssertionError(said)


# --- artifacts --------------------------------------------------------------------------------


async def test_artifacts_are_stored_and_handed_on(home, open_watch, order):
    watch = open_watch(home)
    makes = order(
        """
        def f(d: Output[Dataset], m: Output[Metrics], model: Output[Model]):
            import os
            open(d.path, 'w').write('rows')
            m.log_metric('acc', 0.75)
            os.makedirs(model.path + '/weights')
            open(model.path + '/weights/a.bin', 'wb').write(b'\\x00\\xff')
            model.metadata['framework'] = 'none'
        """,
        makes={"d": "system.Dataset", "m": "system.Metrics", "model": "system.Model"},
    )
    await watch.executor.launch(makes)
    made = await watch.end_of(makes.attempt)
    assert isinstance(made, Succeeded), made
    (dataset,), (metrics,), (model,) = (made.artifacts[name] for name in ("d", "m", "model"))
    assert (dataset.size_bytes, dataset.is_directory, dataset.type.schema_title) == (4, False, "system.Dataset")
    assert metrics.metadata == {"acc": 0.75}
    assert (model.size_bytes, model.is_directory, model.metadata) == (2, True, {"framework": "none"})

    from factories import an_artifact

    handed = {
        "given": (an_artifact(name="d", uri=dataset.uri, type=dataset.type),),
        "many": tuple(an_artifact(name="m", uri=one.uri, type=one.type) for one in (dataset, model)),
    }
    takes = order(
        """
        def g(given: Input[Artifact], many: Input[List[Artifact]]) -> list:
            import os
            return [type(given).__name__, open(given.path).read(), [type(one).__name__ for one in many],
                    os.listdir(many[1].path)]
        """,
        path="takes",
        artifacts=handed,
        gives={"Output": "LIST"},
    )
    await watch.executor.launch(takes)
    taken = await watch.end_of(takes.attempt)
    assert isinstance(taken, Succeeded), taken
    assert taken.parameters == {"Output": ["Dataset", "rows", ["Dataset", "Model"], ["weights"]]}


async def test_artifact_elsewhere_stays_there(home, open_watch, order):
    watch = open_watch(home)
    asked = order("def f(a: Output[Model]):\n    a.uri = 's3://bucket/model'", makes={"a": "system.Model"})
    await watch.executor.launch(asked)
    end = await watch.end_of(asked.attempt)
    assert isinstance(end, Succeeded)
    assert (end.artifacts["a"][0].uri, end.artifacts["a"][0].digest) == ("s3://bucket/model", "")


async def test_artifact_never_written_is_empty(home, open_watch, order):
    watch = open_watch(home)
    asked = order("def f(a: Output[Dataset]):\n    a.metadata['rows'] = 0", makes={"a": "system.Dataset"})
    await watch.executor.launch(asked)
    end = await watch.end_of(asked.attempt)
    assert isinstance(end, Succeeded)
    assert (end.artifacts["a"][0].size_bytes, end.artifacts["a"][0].metadata) == (0, {"rows": 0})


# --- stopping ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        SLEEPS,
        "def f():\n    import signal, time\n    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n    time.sleep(600)",
        "def f():\n    import os, time\n    for _ in range(3): os.fork()\n    time.sleep(600)",
        "def f():\n    import subprocess, time\n    subprocess.Popen(['sleep', '600'], start_new_session=True)\n    time.sleep(600)",
        """
        def f():
            import os, time
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    time.sleep(600)
                os._exit(0)
            time.sleep(600)
        """,
    ],
    ids=["sleeps", "ignores SIGTERM", "forks", "child in its own session", "double fork"],
)
async def test_stop_leaves_nothing(source, home, open_watch, order):
    watch = open_watch(home)
    asked = order(source.replace("time.sleep(600)", "print('ready', flush=True); time.sleep(600)"))
    await watch.executor.launch(asked)
    await log_says(watch.executor, asked.attempt, b"ready")
    await watch.executor.stop(asked.attempt)
    assert isinstance(await watch.end_of(asked.attempt), Stopped)
    assert processes_of(home) == []


async def test_what_is_left_behind_is_ended(home, open_watch, order):
    watch = open_watch(home)
    asked = order(
        """
        def f() -> str:
            import subprocess
            for detached in (False, True):
                subprocess.Popen(['sleep', '600'], start_new_session=detached)
            return 'done'
        """,
        gives={"Output": "STRING"},
    )
    await watch.executor.launch(asked)
    end = await watch.end_of(asked.attempt)
    assert isinstance(end, Succeeded), end
    assert processes_of(home) == []


async def test_term_gives_time_to_clean_up(home, open_watch, order):
    watch = open_watch(home, stop_grace_s=30)
    asked = order(
        """
        def f():
            import signal, sys, time
            def bye(*_):
                print('cleaned up', flush=True)
                sys.exit(1)
            signal.signal(signal.SIGTERM, bye)
            print('ready', flush=True)
            time.sleep(600)
        """
    )
    await watch.executor.launch(asked)
    await log_says(watch.executor, asked.attempt, b"ready")
    began = time.monotonic()
    await watch.executor.stop(asked.attempt)
    assert isinstance(await watch.end_of(asked.attempt), Stopped)
    assert time.monotonic() - began < 20
    assert b"cleaned up" in await log_of(watch.executor, asked.attempt)


async def test_stop_of_what_waits(home, open_watch, order):
    watch = open_watch(home, max_parallel=1)
    first, second, third = (order(SLEEPS, path=path) for path in ("one", "two", "three"))
    for asked in (first, second, third):
        await watch.executor.launch(asked)
    await watch.start_of(first.attempt)
    waits = await watch.until(third.attempt, Waiting)
    while waits.reason.code != "WAITING_FOR_SLOT":
        waits = await watch.until(third.attempt, Waiting, after=watch.seen.index(waits) + 1)
    await watch.executor.stop(second.attempt)
    assert isinstance(await watch.end_of(second.attempt), Stopped)
    assert not [report for report in watch.of(second.attempt) if isinstance(report, Started)]
    await watch.executor.stop(first.attempt)
    await watch.start_of(third.attempt)
    assert not [report for report in watch.of(second.attempt) if isinstance(report, Started)]


@pytest.mark.parametrize("before", ["", "set -C; : > $1/claim; "], ids=["no claim", "a claim half written"])
async def test_stop_of_what_has_hardly_begun(before, home, open_watch, order, monkeypatch):
    monkeypatch.setattr(supervisor, "_SCRIPT", f"{before}sleep 600")
    watch = open_watch(home)
    asked = order(SLEEPS)
    await watch.executor.launch(asked)
    await watch.start_of(asked.attempt)
    await watch.executor.stop(asked.attempt)
    assert isinstance(await watch.end_of(asked.attempt), Stopped)
    assert processes_of(home) == []


async def test_stop_of_the_unknown(home, open_watch):
    watch = open_watch(home)
    unknown = AttemptId(run_id=RUN_ID, path="never", number=1)
    await watch.executor.stop(unknown)
    assert isinstance(await watch.end_of(unknown), Stopped)


# --- slots ------------------------------------------------------------------------------------


async def test_first_come_first_served(home, open_watch, order):
    watch = open_watch(home, max_parallel=1)
    orders = [order("def f():\n    pass", path=f"t{number}") for number in range(4)]
    for asked in orders:
        await watch.executor.launch(asked)
    for asked in orders:
        await watch.end_of(asked.attempt)
    started = [report.attempt.path for report in watch.seen if isinstance(report, Started)]
    assert started == ["t0", "t1", "t2", "t3"]
    running = 0
    for report in watch.seen:
        running += isinstance(report, Started)
        running -= isinstance(report, Succeeded)
        # The slot is free once the process has ended, a moment before its outputs are read and reported.
        assert running <= 2


# --- launching again, settling ------------------------------------------------------------------


async def test_launching_again_tells_again(home, open_watch, order):
    watch = open_watch(home)
    asked = order(WAITS, gives=GIVES)
    await watch.executor.launch(asked)
    await watch.start_of(asked.attempt)
    await watch.executor.launch(asked)
    await watch.until(asked.attempt, Started, after=len(watch.seen))
    let_go(home, asked.attempt)
    first = await watch.end_of(asked.attempt)
    before = len(watch.seen)
    await watch.executor.launch(asked)
    assert await watch.end_of(asked.attempt, after=before) == first
    assert (await log_of(watch.executor, asked.attempt)).count(b"begun") == 1


async def test_settled_attempts_keep_their_log_alone(home, open_watch, order):
    watch = open_watch(home)
    asked = order("def f():\n    print('hello')")
    await watch.executor.launch(asked)
    await watch.end_of(asked.attempt)
    await watch.executor.settle(asked.attempt)
    await watch.executor.settle(asked.attempt)
    assert await log_of(watch.executor, asked.attempt) == b"hello\n"
    assert not outputs_of(home, asked.attempt).exists()
    await watch.executor.delete_run(RUN_ID)
    assert await log_of(watch.executor, asked.attempt) == b""


# --- logs -------------------------------------------------------------------------------------


async def test_log_from_an_offset_and_live(home, open_watch, order):
    watch = open_watch(home)
    asked = order(WAITS, gives=GIVES)
    await watch.executor.launch(asked)
    await log_says(watch.executor, asked.attempt, b"begun")
    following = asyncio.create_task(log_of(watch.executor, asked.attempt, offset=2, follow=True))
    let_go(home, asked.attempt)
    await watch.end_of(asked.attempt)
    assert await following == b"gun\n"
    assert await watch.executor.logs.size(asked.attempt) == 6


async def test_log_keeps_bytes_as_they_are(home, open_watch, order):
    watch = open_watch(home)
    asked = order("def f():\n    import os\n    os.write(1, b'caf\\xe9 \\xff\\x00\\n'); os.write(2, b'err')")
    await watch.executor.launch(asked)
    await watch.end_of(asked.attempt)
    assert await log_of(watch.executor, asked.attempt) == b"caf\xe9 \xff\x00\nerr"


@pytest.mark.slow
async def test_200_megabytes_of_log(home, open_watch, order):
    watch = open_watch(home)
    asked = order("def f():\n    import os\n    for _ in range(200): os.write(1, b'x' * 999_999 + b'\\n')")
    await watch.executor.launch(asked)
    assert isinstance(await watch.end_of(asked.attempt), Succeeded)
    assert await watch.executor.logs.size(asked.attempt) == 200_000_000
    total = 0
    async for chunk in follow_log(watch.executor.logs, asked.attempt):
        assert len(chunk) <= 1 << 20
        total += len(chunk)
    assert total == 200_000_000


async def test_log_beyond_its_limit(home, open_watch, order):
    watch = open_watch(home, max_log_bytes=100_000)
    asked = order("def f():\n    while True: print('x' * 1000)")
    await watch.executor.launch(asked)
    end = await watch.end_of(asked.attempt)
    assert isinstance(end, Failed)
    assert (end.error.code, end.error.details) == ("LOG_LIMIT", {"limit": 100_000})
    assert processes_of(home) == []


# --- a later server -----------------------------------------------------------------------------


async def test_running_attempts_are_adopted(home, open_watch, order):
    first = open_watch(home)
    running, done = (
        order(WAITS, gives=GIVES),
        order("def f() -> int:\n    return 5", path="b", gives={"Output": "NUMBER_INTEGER"}),
    )
    await first.executor.launch(running)
    await first.executor.launch(done)
    await log_says(first.executor, running.attempt, b"begun")
    ended = await first.end_of(done.attempt)
    await first.close()

    second = open_watch(home)
    started = await second.start_of(running.attempt)
    assert abs(started.at - time.time()) < 60
    assert await second.end_of(done.attempt) == ended
    await second.executor.launch(running)
    let_go(home, running.attempt)
    end = await second.end_of(running.attempt)
    assert isinstance(end, Succeeded)
    assert end.parameters == {"signal_file": "seen", "Output": "done"}
    assert (await log_of(second.executor, running.attempt)).count(b"begun") == 1


async def test_attempts_that_ended_meanwhile_are_told(home, open_watch, order):
    first = open_watch(home)
    asked = order(WAITS, gives=GIVES)
    failing = order(
        "def f(p: OutputPath(str)):\n"
        + WAITS.partition("str:\n")[2].replace("signal_file", "p").replace("return 'done'", "raise KeyError('late')"),
        path="failing",
        gives={"p": "STRING"},
    )
    for one in (asked, failing):
        await first.executor.launch(one)
        await log_says(first.executor, one.attempt, b"begun")
    await first.close()
    for one in (asked, failing):
        let_go(home, one.attempt)
    await until(lambda: not processes_of(home))

    second = open_watch(home)
    for one in (asked, failing):
        await second.executor.launch(one)
    assert isinstance(await second.end_of(asked.attempt), Succeeded)
    began = [one.at for one in first.seen + second.seen if one.attempt == asked.attempt and isinstance(one, Started)]
    assert began == [pytest.approx(began[0], abs=0.05)] * 2, "it had started, and when, is read from its claim"
    end = await second.end_of(failing.attempt)
    assert isinstance(end, Failed)
    assert end.error.details["exception_type"] == "KeyError"


async def test_an_attempt_that_is_over_before_anybody_looks_has_started(home, open_watch, order, monkeypatch):
    really_alive = processes.alive

    def looked_at_late(first: processes.ProcessIdentity) -> bool:
        while (stat := processes.stat_of(first.pid)) is not None and not stat.gone:
            time.sleep(0.001)
        return really_alive(first)

    monkeypatch.setattr(processes, "alive", looked_at_late)
    watch = open_watch(home)
    asked = order("def f() -> str:\n    return 'x'", gives={"Output": "STRING"})
    await watch.executor.launch(asked)
    end = await watch.end_of(asked.attempt)
    assert isinstance(end, Succeeded)
    [start] = [one for one in watch.of(asked.attempt) if isinstance(one, Started)]
    assert start.at <= end.at + 0.02  # seconds; the kernel counts in hundredths


async def test_artifacts_taken_just_before_the_server_died(home, open_watch, order):
    """They have left the attempt's directory, but nobody has recorded them."""
    first = open_watch(home)
    asked = order(
        "def f(a: Output[Dataset], never: Output[Dataset]):\n    open(a.path, 'w').write('rows')",
        makes={"a": "system.Dataset", "never": "system.Dataset"},
    )
    await first.executor.launch(asked)
    told = await first.end_of(asked.attempt)
    await first.close()
    second = open_watch(home)
    await second.executor.launch(asked)
    again = await second.end_of(asked.attempt)
    assert isinstance(again, Succeeded)
    assert again == told
    assert again.artifacts["a"][0].size_bytes == 4


async def test_stop_of_an_adopted_attempt(home, open_watch, order):
    first = open_watch(home)
    asked = order(SLEEPS)
    await first.executor.launch(asked)
    await first.start_of(asked.attempt)
    await first.close()
    second = open_watch(home)
    await second.executor.stop(asked.attempt)
    assert isinstance(await second.end_of(asked.attempt), Stopped)
    # The first one's supervisor may only now find that its claim is taken.
    await until(lambda: not processes_of(home))


async def test_timeout_goes_on_counting(home, open_watch, order):
    first = open_watch(home)
    asked = order(SLEEPS, timeout_s=1.0)
    await first.executor.launch(asked)
    await first.start_of(asked.attempt)
    await first.close()
    second = open_watch(home)
    await second.executor.launch(asked)  # as the service does: it may have been closed before its claim was taken
    end = await second.end_of(asked.attempt)
    assert isinstance(end, Failed)
    assert end.error.code == "TIMEOUT"


async def test_vanished_attempts_are_lost(home, open_watch, order, kind):
    first = open_watch(home)
    asked = order(SLEEPS)
    await first.executor.launch(asked)
    await first.start_of(asked.attempt)
    await until(lambda: (outputs_of(home, asked.attempt).parent / "claim").exists())
    await first.close()
    for pid in processes_of(home):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    await until(lambda: not processes_of(home))
    second = open_watch(home)
    await second.executor.launch(asked)
    end = await second.end_of(asked.attempt)
    if kind == "warm":  # its parent is not one of its processes, and has seen it
        assert isinstance(end, Failed), end
        assert (end.error.code, end.error.details["signal"]) == ("KILLED_BY_SIGNAL", "SIGKILL")
    else:
        assert isinstance(end, Lost), end
        assert end.error.code == "ATTEMPT_LOST"


async def test_keep_only_clears_the_rest(home, open_watch, order):
    first = open_watch(home)
    kept, orphan = order(SLEEPS, path="kept"), order(SLEEPS, path="orphan")
    for asked in (kept, orphan):
        await first.executor.launch(asked)
        await first.start_of(asked.attempt)
    await first.close()
    second = open_watch(home)
    await second.executor.keep_only({kept.attempt})
    await second.executor.launch(kept)
    await second.start_of(kept.attempt)
    assert second.of(orphan.attempt) == []
    tags = {tag_of(pid) for pid in processes_of(home)}
    assert not any(orphan.attempt.execution_id in tag for tag in tags)
    assert any(kept.attempt.execution_id in tag for tag in tags)


async def test_kill_9_of_the_server(home, open_watch, order, tmp_path, kind):
    """1. A server launches three attempts, of which two run, and is killed. 2. The next one finds them as they are."""
    home.mkdir()
    orders = [order(WAITS, path=f"t{number}", gives=GIVES) for number in range(3)]
    import msgspec

    (tmp_path / "orders.json").write_bytes(msgspec.json.encode(orders))
    server = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("a_server.py")), str(home), str(tmp_path / "orders.json"), kind],
        stdout=subprocess.PIPE,
    )
    try:
        assert server.stdout is not None
        for _ in range(2):
            assert (await asyncio.to_thread(server.stdout.readline)).startswith(b"Started")
    finally:
        server.kill()
        server.wait()
        server.stdout.close()
    second = open_watch(home, max_parallel=2)
    for asked in orders:
        await second.executor.launch(asked)
    for asked in orders:
        await second.start_of(asked.attempt)
        let_go(home, asked.attempt)
        assert isinstance(await second.end_of(asked.attempt), Succeeded)
        assert (await log_of(second.executor, asked.attempt)).count(b"begun") == 1


def tag_of(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/environ").read_text(errors="replace") + Path(f"/proc/{pid}/cmdline").read_text()
    return ""


async def until(fact) -> None:
    """For facts that nothing announces: processes that are nobody's children."""
    end = time.monotonic() + 60
    while not fact():
        assert time.monotonic() < end
        await asyncio.sleep(0.01)
