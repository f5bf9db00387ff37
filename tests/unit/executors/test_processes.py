"""Who belongs to an attempt, and above all who does not: what is found here is killed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from headrace.executors.local import processes
from headrace.executors.local.attempt_dir import AttemptDir
from headrace.executors.local.processes import (
    PARTIAL,
    REVOKED,
    TAG,
    ProcessIdentity,
    ProcessSet,
    read_claim,
    settled_claim,
    stat_of,
)
from headrace.executors.local.supervisor import take_claim
from waiting import until

pytestmark = pytest.mark.anyio

STAT = Path("/proc/self/stat").read_text().strip()
BOOT = processes.boot_id()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts processes of this test's own, in sessions of their own, and ends them by their handles."""
    started: list[subprocess.Popen[bytes]] = []

    def one(*argv: str, **options: object) -> subprocess.Popen[bytes]:
        options = {"start_new_session": True, "stdout": subprocess.PIPE, "env": {}, **options}
        process = subprocess.Popen(argv, **options)  # type: ignore[call-overload]
        started.append(process)
        return process

    yield one
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()  # type: ignore[union-attr]


def claim_of(pid: int) -> ProcessIdentity:
    stat = stat_of(pid)
    assert stat is not None
    return ProcessIdentity(pid=pid, started=stat.started, boot=BOOT)


UNTRUE = {
    "empty": "",
    "garbage": "\x00\xff no claim\nat all\n",
    "cut off in the first line": STAT[:20],
    "first line alone": STAT + "\n",
    "cut off in the second line": f"{STAT}\n{BOOT[:9]}",
    "more lines": f"{STAT}\n{BOOT}\nx\n",
    "everybody": f"0 (sh) S {STAT.partition(') S ')[2]}\n{BOOT}\n",
    "everybody else": f"-1 (sh) S {STAT.partition(') R ')[2]}\n{BOOT}\n",
    "the first process": f"{Path('/proc/1/stat').read_text().strip()}\n{BOOT}\n",
    "ourselves": f"{STAT}\n{BOOT}\n",
    "our session": f"{Path(f'/proc/{os.getsid(0) or 1}/stat').read_text().strip()}\n{BOOT}\n",
    "another start of the machine": f"{STAT}\n00000000-0000-0000-0000-000000000000\n",
    "revoked": "revoked\n",
}


@pytest.mark.parametrize("text", UNTRUE.values(), ids=UNTRUE)
@pytest.mark.parametrize("tagged", [False, True])
def test_claims_that_name_no_attempt_select_nobody(text, tagged, tmp_path):
    (tmp_path / "claim").write_text(text)
    claim = read_claim(tmp_path / "claim")
    assert claim is not None
    assert ProcessSet(claim, str(tmp_path) if tagged else "", seen_alive=True).members() == {}


def test_signals_go_to_nobody_that_was_not_named(monkeypatch):
    sent = []
    monkeypatch.setattr(processes.os, "kill", lambda *told: sent.append(told))
    monkeypatch.setattr(processes.signal, "pidfd_send_signal", lambda *told: sent.append(told))
    first = stat_of(1)
    assert first is not None
    everybody = {0: 0, -1: 0, 1: first.started, os.getpid(): claim_of(os.getpid()).started, os.getppid(): 1}
    processes.send(everybody, signal.SIGKILL)
    assert sent == []


def test_a_number_given_to_somebody_else_is_not_signalled(start):
    stranger = start("sleep", "600")
    began = claim_of(stranger.pid).started
    processes.send({stranger.pid: began - 1}, signal.SIGKILL)
    assert stranger.poll() is None
    processes.send({stranger.pid: began}, signal.SIGKILL)
    assert stranger.wait() == -signal.SIGKILL


def test_a_session_given_to_somebody_else_is_not_ours(start):
    stranger = start("sleep", "600")
    claim = claim_of(stranger.pid)
    earlier = ProcessIdentity(pid=claim.pid, started=claim.started - 1, boot=BOOT)
    assert ProcessSet(earlier, "", seen_alive=True).members() == {}
    assert ProcessSet(claim, "").members() == {stranger.pid: claim.started}


def test_what_is_left_of_a_session_counts_only_if_we_saw_it_alive(start):
    leader = start("sh", "-c", "sleep 600 & echo $!; read wait", stdin=subprocess.PIPE)
    left = int(leader.stdout.readline())
    claim = claim_of(leader.pid)
    leader.kill()
    leader.wait()
    leader.stdin.close()
    try:
        assert set(ProcessSet(claim, "", seen_alive=True).members()) == {left}
        assert ProcessSet(claim, "").members() == {}
    finally:
        processes.send({left: claim_of(left).started}, signal.SIGKILL)


def test_the_tag_is_compared_whole(start, tmp_path):
    leader = start("sleep", "600")
    tag = f"{tmp_path}/1"
    near = [start("sleep", "600", env={name: value}) for name, value in ((TAG, f"{tag}0"), (f"X{TAG}", tag))]
    own = start("sleep", "600", env={TAG: tag})
    found = ProcessSet(claim_of(leader.pid), tag).members()
    assert set(found) == {leader.pid, own.pid}
    assert not set(found) & {one.pid for one in near}


def test_who_looks_around_in_the_directory_is_left_alone(start, tmp_path):
    leader = start("sleep", "600")
    attempt_dir = tmp_path / "1"
    (attempt_dir / "work").mkdir(parents=True)
    visitor = start("sleep", "600", cwd=attempt_dir / "work")
    assert visitor.pid not in ProcessSet(claim_of(leader.pid), str(attempt_dir)).members()


DAEMON = """
import os, sys, time
if os.fork():
    sys.stdin.readline()
    os._exit(0)
os.setsid()
os.chdir(sys.argv[1])
print(os.getpid(), flush=True)
os.execve('/bin/sleep', ['sleep', '600'], {})
"""


@pytest.mark.parametrize("where", ["work", "/"])
async def test_a_child_once_found_stays_found(where, start, tmp_path):
    """It has dropped session, variables and directory; then its parent ends."""
    (tmp_path / "work").mkdir()
    leader = start(sys.executable, "-c", DAEMON, where, stdin=subprocess.PIPE, cwd=tmp_path)
    family = ProcessSet(claim_of(leader.pid), str(tmp_path))
    daemon = int(leader.stdout.readline())
    began = claim_of(daemon).started
    try:
        assert set(family.members()) == {leader.pid, daemon}
        leader.stdin.close()
        leader.wait()
        assert set(family.members()) == {daemon}
    finally:
        processes.send({daemon: began}, signal.SIGKILL)
    await until(lambda: not family.members())


async def test_an_orphan_in_the_directory_is_its_own(start, tmp_path):
    """It has dropped session and variables, and its parent has ended before anybody looked."""
    (tmp_path / "work").mkdir()
    leader = start(sys.executable, "-c", DAEMON, "work", stdin=subprocess.PIPE, cwd=tmp_path)
    claim = claim_of(leader.pid)
    daemon = int(leader.stdout.readline())
    began = claim_of(daemon).started
    leader.stdin.close()
    leader.wait()
    try:
        stat = stat_of(daemon)
        assert stat is not None
        # Elsewhere orphans may go to a process that we do not know for one that takes orphans: then it is left alone.
        expected = {daemon: began} if stat.parent == 1 else {}
        assert ProcessSet(claim, str(tmp_path)).members() == expected
    finally:
        processes.send({daemon: began}, signal.SIGKILL)


async def test_a_claim_being_written_is_waited_for(start, tmp_path):
    path = tmp_path / "claim"
    path.touch()
    supervisor = start("sleep", "600", env={TAG: str(tmp_path)})
    await until(lambda: Path(f"/proc/{supervisor.pid}/cmdline").read_bytes().startswith(b"sleep"))
    waiting = asyncio.create_task(settled_claim(path, str(tmp_path)))
    done, _ = await asyncio.wait({waiting}, timeout=0.1)
    assert not done
    path.write_text(f"{Path(f'/proc/{supervisor.pid}/stat').read_text()}{BOOT}\n")
    assert await waiting == claim_of(supervisor.pid)


async def test_a_claim_nobody_is_writing_is_not_waited_for(tmp_path):
    assert await settled_claim(tmp_path / "claim", str(tmp_path)) is None
    (tmp_path / "claim").touch()
    assert await settled_claim(tmp_path / "claim", str(tmp_path)) == PARTIAL


def test_taking_a_claim(tmp_path):
    attempt_dir = AttemptDir(tmp_path / "1")
    assert take_claim(attempt_dir)
    assert not attempt_dir.root.exists()
    attempt_dir.root.mkdir()
    assert take_claim(attempt_dir)
    assert not take_claim(attempt_dir)
    assert read_claim(attempt_dir.claim) == REVOKED
    assert not processes.alive(REVOKED)


def test_when_a_process_began_is_known_of_this_start_of_the_machine_only(tmp_path: Path):
    claim = tmp_path / "claim"
    mine = processes.identity_of(os.getpid())
    began = processes.started_at(claim, mine)
    assert began is not None
    assert 0 <= time.time() - began < 86_400
    assert processes.started_at(claim, msgspec.structs.replace(mine, boot="another")) is None
    assert processes.started_at(claim, REVOKED) is None


def test_a_process_never_began_later_than_its_claim_was_written(tmp_path: Path):
    claim = tmp_path / "claim"
    claim.touch()
    os.utime(claim, (1000.0, 1000.0))
    assert processes.started_at(claim, processes.identity_of(os.getpid())) == 1000.0 == processes.ended_at(claim)
