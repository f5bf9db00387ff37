"""The server dies (SIGKILL) at every named place around a side effect, in five shapes of pipelines, and at random.

Each time it is started again, and then nothing is lost, nothing was done twice, no artifact is partial.
"""

from __future__ import annotations

import ast
import os
import random
import time
from functools import cache
from pathlib import Path

import pytest

from e2e.recorded_starts import (
    SHAPES,
    check_canceled,
    check_run,
    document,
    recorded_runs,
    running,
    state_of,
    submit,
)
from harness import FINAL, ROOT, Server, failure_report, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
#: Passed once in a run, or in a cancel.
_ONCE = ("create.", "acknowledge.", "stop.")
#: Only object stores pass these; they have a test of their own.
_REMOTE = ("upload.", "fetch.")
RANDOM_KILLS = int(os.environ.get("HEADRACE_KILLS") or 100)
SEED = int(os.environ.get("HEADRACE_KILL_SEED") or random.SystemRandom().randrange(1 << 32))


@cache
def failpoints() -> list[str]:
    """Every failpoint that the source names."""
    found = set()
    for path in (ROOT / "src" / "headrace").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "failpoint":
                (name,) = node.args
                assert isinstance(name, ast.Constant), f"{path}: the name of a failpoint is a literal text"
                found.add(str(name.value))
    return sorted(found)


LOCAL = [name for name in failpoints() if not name.startswith(_REMOTE)]


def test_there_are_failpoints_around_every_kind_of_side_effect():
    kinds = {name.partition(".")[0] for name in failpoints()}
    assert kinds >= {"create", "acknowledge", "commit", "launch", "spawn", "artifact", "result", "settle", "stop"}


@pytest.fixture(scope="session")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What tasks are run with: the same for all."""
    return tmp_path_factory.mktemp("envs")


@pytest.fixture
def doomed(home: Path, environments: Path) -> Server:
    """A server that is started by its test, and killed."""
    home.mkdir()
    (home / "envs").symlink_to(environments)
    server = Server(home)
    yield server
    server.end()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("point", LOCAL)
def test_killed_at_a_failpoint_the_run_is_as_if_nothing_had_happened(
    doomed: Server, tmp_path: Path, point: str, shape: str
):
    # 1. It dies at the point, the first to third time it comes by.
    home, ledger, hold = doomed.home, tmp_path / "ledger", tmp_path / "hold"
    nth = 1 if point.startswith(_ONCE) else 1 + list(SHAPES).index(shape) % 3
    cancels = point.startswith("stop.")
    values = {"ledger": str(ledger), "hold": str(hold) if cancels else ""}
    text = document(shape, tmp_path)
    doomed.start(env={"HEADRACE_FAILPOINT": f"{point}:{nth}"})
    run_id = submit(doomed, text, **values)
    if cancels:
        assert run_id is not None
        until(lambda: running(home, run_id), "a task runs", alive=doomed.process)
        cancel(doomed, run_id)
    process = doomed.process
    assert process is not None
    until(lambda: process.poll() is not None, lambda: f"the server passes {point}\n{failure_report(home)}")
    assert process.returncode == -9, doomed.output
    # 2. What it had acknowledged is there; what it had not may be, once.
    known = recorded_runs(home)
    assert len(known) <= 1 and (run_id is None or known == [run_id])
    # 3. Started again, it goes on.
    doomed.start()
    run_id = known[0] if known else submit(doomed, text, **values)
    assert run_id is not None
    if cancels and state_of(home, run_id) not in FINAL:
        cancel(doomed, run_id)
    until(
        lambda: state_of(home, run_id) in FINAL, lambda: f"the run ends\n{failure_report(home)}", alive=doomed.process
    )
    if cancels:
        check_canceled(home, run_id, ledger)
    else:
        check_run(home, run_id, ledger, shape)


def cancel(server: Server, run_id: str) -> None:
    """Ask for the run's end; the answer may never come."""
    try:
        server.post(f"/api/runs/{run_id}/terminate")
    except OSError:
        return


@pytest.mark.parametrize("shape", SHAPES)
def test_killed_at_random_nothing_is_lost_and_nothing_doubled(doomed: Server, tmp_path: Path, shape: str):
    dice = random.Random(f"{SEED}/{shape}")
    home, text = doomed.home, document(shape, tmp_path)
    ledgers: dict[str, Path] = {}
    for kill in range(RANDOM_KILLS // len(SHAPES)):
        doomed.start()
        ledger = tmp_path / f"ledger-{kill}"
        run_id = submit(doomed, text, ledger=str(ledger), hold="")
        assert run_id is not None
        ledgers[run_id] = ledger
        moment = time.monotonic() + dice.uniform(0.0, 0.8)
        until(lambda: time.monotonic() >= moment, "a random moment has come")  # noqa: B023
        doomed.kill()
    doomed.start()
    assert set(recorded_runs(home)) == set(ledgers), f"seed {SEED}"
    for run_id, ledger in ledgers.items():
        until(
            lambda: state_of(home, run_id) in FINAL,  # noqa: B023
            lambda: f"the run ends (HEADRACE_KILL_SEED={SEED})\n{failure_report(home)}",
            alive=doomed.process,
        )
        check_run(home, run_id, ledger, shape)
