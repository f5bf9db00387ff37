"""What only warm starts have: parents. That attempts themselves cannot tell is shown by the rest of the suite."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from conformance.executor.test_lives import GIVES, WAITS, let_go, log_says, outputs_of
from harness import processes_of
from headrace.executors.port import Failed, Succeeded

pytestmark = pytest.mark.anyio

PARENT = "def f() -> int:\n    import os\n    return os.getppid()"
#: All that an attempt can see of how it was started.
PORTRAIT = """
def f() -> dict:
    import os, signal, sys, threading
    def home(text):
        return text.replace(os.environ['HEADRACE_ATTEMPT'], 'PLACE')
    umask = os.umask(0o22)
    os.umask(umask)
    return {
        'leads its session': os.getsid(0) in (os.getpid(), os.getppid()),
        'work': home(os.getcwd()),
        'variables': {name: home(value) for name, value in os.environ.items()},
        'tag': 'HEADRACE_ATTEMPT=' + os.environ['HEADRACE_ATTEMPT'] in open('/proc/self/environ').read().split('\\0'),
        'files': sorted(fd for fd in os.listdir('/proc/self/fd') if os.path.exists(f'/proc/self/fd/{fd}')),
        'streams': [os.path.basename(os.readlink(f'/proc/self/fd/{fd}')) for fd in (0, 1, 2)],
        'signals': {str(n): str(signal.getsignal(n)) for n in signal.valid_signals()},
        'blocked': sorted(map(str, signal.pthread_sigmask(signal.SIG_BLOCK, []))),
        'umask': umask,
        'arguments': [sys.argv, sys.orig_argv[-1], sys.flags.isolated, sys.flags.utf8_mode],
        'path': [home(place) for place in sys.path],
        'main': sys.modules['__main__'].__file__,
        'threads': threading.active_count(),
        'unbuffered': [sys.stdout.write_through, sys.stderr.write_through],
        'priority': os.nice(0),
        'limits': __import__('resource').getrlimit(__import__('resource').RLIMIT_NOFILE),
    }
"""


@pytest.fixture
def kind() -> str:
    return "warm"


async def value_of(watch: Any, asked: Any) -> Any:
    await watch.executor.launch(asked)
    end = await watch.end_of(asked.attempt)
    assert isinstance(end, Succeeded), end
    return end.parameters["Output"]


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


async def until(fact: Any) -> None:
    end = time.monotonic() + 60
    while not fact():
        assert time.monotonic() < end
        await asyncio.sleep(0.01)


async def test_one_parent_for_all_attempts_and_a_process_for_each(home, open_watch, order):
    watch = open_watch(home)
    asked = [order(PARENT, path=f"t{n}", gives={"Output": "NUMBER_INTEGER"}) for n in range(3)]
    parents = {await value_of(watch, one) for one in asked}
    assert len(parents) == 1
    (parent,) = parents
    assert "--parent" in command_of(parent)
    await watch.close()
    await until(lambda: not command_of(parent))


async def test_an_attempt_cannot_tell(home, open_watch, order):
    seen = []
    for number, warm in enumerate((True, False)):
        watch = open_watch(home, warm_starts=warm)
        asked = order(PORTRAIT, path=f"t{number}", gives={"Output": "STRUCT"}, env={"MINE": "1"})
        seen.append(await value_of(watch, asked))
    warm, cold = seen
    assert warm == cold
    assert warm["leads its session"]


async def test_random_numbers_begin_anew(home, open_watch, order):
    watch = open_watch(home)
    source = "def f() -> float:\n    import random\n    return random.random()"
    asked = [order(source, path=f"t{n}", gives={"Output": "NUMBER_DOUBLE"}) for n in range(6)]
    assert len({await value_of(watch, one) for one in asked}) == 6


@pytest.mark.cold_too
async def test_what_attempts_import_is_imported_ahead(home, tmp_path, open_watch, order, monkeypatch):
    watch = open_watch(home)
    (home / "envs").unlink()  # what is learned here must be new
    source = """
    def f() -> bool:
        import sys
        ahead = 'decimal' in getattr(sys, 'modules')
        import decimal
        return ahead
    """
    asked = (order(source, path=f"t{n}", gives={"Output": "BOOLEAN"}) for n in range(100))
    assert await value_of(watch, next(asked)) is False
    while not await value_of(watch, next(asked)):
        pass
    (note,) = (home / "envs").glob("*/imports.json")
    assert "decimal" in note.read_text()


@pytest.mark.parametrize("changes", [{"env": {"HEADRACE_WARM_STARTS": "off"}}, {}], ids=["by the task", "by setting"])
async def test_switched_off(changes, home, open_watch, order):
    watch = open_watch(home, warm_starts=bool(changes))
    parent = await value_of(watch, order(PARENT, gives={"Output": "NUMBER_INTEGER"}, **changes))
    assert "--parent" not in command_of(parent)


async def test_attempts_with_other_variables_have_another_parent(home, open_watch, order):
    """Modules read variables when they are loaded."""
    watch = open_watch(home)
    gives = {"Output": "NUMBER_INTEGER"}
    parents = [
        await value_of(watch, order(PARENT, path=f"t{n}", gives=gives, env={"PYTHONHASHSEED": seed}))
        for n, seed in enumerate("001")
    ]
    assert parents[0] == parents[1] != parents[2]


@pytest.mark.cold_too
async def test_a_package_that_starts_threads_is_never_imported_ahead(home, tmp_path, open_watch, order):
    folder = tmp_path / "wheels"
    folder.mkdir()
    info = "threaded_thing-1.0.dist-info"
    with zipfile.ZipFile(folder / "threaded_thing-1.0-py3-none-any.whl", "w") as wheel:
        module = "import threading, time\nthreading.Thread(target=time.sleep, args=(999,), daemon=True).start()\n"
        wheel.writestr("threaded_thing.py", module)
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: threaded-thing\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    source = """
    def f() -> bool:
        import sys
        ahead = 'threaded_thing' in getattr(sys, 'modules')
        import threaded_thing
        return ahead
    """
    watch = open_watch(home)
    packages = ("threaded-thing", "--no-index", f"--find-links={folder}")
    asked = (order(source, path=f"t{n}", packages=packages, gives={"Output": "BOOLEAN"}) for n in range(100))
    notes = ""
    while '"never":["threaded_thing"]' not in notes:
        assert await value_of(watch, next(asked)) is False
        notes = "".join(note.read_text() for note in (home / "envs").glob("*/imports.json"))
    assert await value_of(watch, next(asked)) is False


@pytest.mark.cold_too
async def test_a_parent_that_is_killed_takes_nothing_with_it(home, open_watch, order):
    watch = open_watch(home)
    parent = await value_of(watch, order(PARENT, path="before", gives={"Output": "NUMBER_INTEGER"}))
    running = order(WAITS, gives=GIVES)
    await watch.executor.launch(running)
    await log_says(watch.executor, running.attempt, b"begun")
    os.kill(parent, signal.SIGKILL)
    let_go(home, running.attempt)
    end = await watch.end_of(running.attempt)
    assert isinstance(end, Succeeded), end
    assert end.parameters == {"signal_file": "seen", "Output": "done"}
    after = await value_of(watch, order(PARENT, path="after", gives={"Output": "NUMBER_INTEGER"}))
    assert after != parent


async def test_how_an_attempt_crashes_is_known_though_the_server_is_gone(home, open_watch, order):
    first = open_watch(home)
    source = WAITS.replace("return 'done'", "import ctypes; ctypes.string_at(0)")
    asked = order(source, gives=GIVES)
    await first.executor.launch(asked)
    await log_says(first.executor, asked.attempt, b"begun")
    (leader,) = processes_of(home)
    parent = int(Path(f"/proc/{leader}/stat").read_text().rpartition(")")[2].split()[1])
    assert "--parent" in command_of(parent)
    await first.close()
    let_go(home, asked.attempt)
    await until(lambda: not command_of(parent))
    second = open_watch(home)
    await second.executor.launch(asked)
    end = await second.end_of(asked.attempt)
    assert isinstance(end, Failed)
    assert (end.error.code, end.error.details["signal"]) == ("KILLED_BY_SIGNAL", "SIGSEGV")


async def test_a_killed_attempt_of_a_killed_parent_is_lost(home, open_watch, order):
    watch = open_watch(home)
    asked = order(WAITS, gives=GIVES)
    await watch.executor.launch(asked)
    await log_says(watch.executor, asked.attempt, b"begun")
    (leader,) = processes_of(home)
    parent = int(Path(f"/proc/{leader}/stat").read_text().rpartition(")")[2].split()[1])
    for pid in (parent, leader):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    end = await watch.end_of(asked.attempt)
    assert type(end).__name__ == "Lost", end
    assert outputs_of(home, asked.attempt).exists()


@pytest.mark.cold_too
async def test_a_parent_that_does_not_come_to_an_end_keeps_nobody_waiting(home, tmp_path, open_watch, order):
    watch = open_watch(home, warm_patience_s=0.01)
    (home / "envs").unlink()
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "endless.py").write_text("import time\ntime.sleep(600)\n")
    gives, env = {"Output": "NUMBER_INTEGER"}, {"PYTHONPATH": str(folder)}
    await value_of(watch, order(PARENT, path="builds", gives=gives, env={"HEADRACE_WARM_STARTS": "off"}))
    (ready,) = (home / "envs").glob("*/ready")
    ready.with_name("imports.json").write_text('{"modules":["endless"],"never":[]}')
    for number in range(3):
        parent = await value_of(watch, order(PARENT, path=f"t{number}", gives=gives, env=env))
        assert "--parent" not in command_of(parent)
    importing = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if str(home) in command_of(pid)]
    assert len(importing) == 1
    await watch.close()
    await until(lambda: not command_of(importing[0]))
