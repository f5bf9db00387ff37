"""`kill -9` of the server at random moments of the demo pipeline: nothing is lost, nothing that succeeded runs again."""

from __future__ import annotations

import os
import random
import sqlite3
import time
from pathlib import Path

import pytest

from harness import EXAMPLES, VARIABLES, Server, attempt_folders, attempts, failure_report, headrace, rows, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
KILLS = int(os.environ.get("HEADRACE_KILLS") or 10)
SEED = int(os.environ.get("HEADRACE_KILL_SEED") or random.SystemRandom().randrange(1 << 32))
DEMO = EXAMPLES / "breast_cancer.yaml"
#: load, split, three of train, choose, evaluate, publish, summarise
TASKS = 9


@pytest.fixture(autouse=True, params=["warm", "cold"])
def starts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How tasks are started; nothing that is seen here may depend on it."""
    monkeypatch.setitem(VARIABLES, "HEADRACE_WARM_STARTS", "on" if request.param == "warm" else "off")


def succeeded(home: Path, run_id: str) -> dict[str, tuple[int, float | None]]:
    """Execution path -> number and start of the attempt that succeeded, as recorded now."""
    return {one.path: (one.number, one.started_at) for one in attempts(home, run_id) if one.state == "SUCCEEDED"}


def claims(home: Path, run_id: str) -> dict[tuple[str, int], bytes]:
    """Who took each attempt's claim: the proof, on disk, of each start of user code."""
    found = {}
    for key, folder in attempt_folders(home, run_id).items():
        try:
            # Who it is; how it ended is added later.
            found[key] = b"".join((folder / "claim").read_bytes().splitlines(keepends=True)[:2])
        except FileNotFoundError:
            continue
    return {key: claim for key, claim in found.items() if claim}


def final(home: Path, run_id: str) -> str | None:
    """The run's state, once it is final."""
    try:
        (row,) = rows(home, "SELECT state FROM runs WHERE run_id = ?", run_id)
    except sqlite3.OperationalError:
        return None
    return row["state"] if row["state"] in ("SUCCEEDED", "FAILED", "CANCELED", "SKIPPED") else None


def test_killed_at_random_moments_every_run_succeeds_and_nothing_that_succeeded_runs_again(home: Path):
    print(f"to repeat: HEADRACE_KILL_SEED={SEED}")
    dice = random.Random(SEED)
    # The first run builds the environment and shows how long the pipeline takes; the killed ones use no cache.
    began = time.monotonic()
    assert headrace("run", DEMO, home=home, timeout_s=600).status == 0
    length_s = time.monotonic() - began
    server = Server(home)
    kills = runs = 0
    try:
        while kills < KILLS:
            kills += one_run(server, dice, length_s, KILLS - kills)
            runs += 1
    finally:
        server.end()
    print(f"{kills} kills in {runs} runs")


def one_run(server: Server, dice: random.Random, length_s: float, most: int) -> int:
    """One run of the demo, the server killed at random moments while it goes on; how often."""
    home = server.home
    server.start()
    begun = headrace("run", DEMO, "--no-wait", "--no-cache", home=home)
    assert begun.status == 0, begun
    run_id = begun.run_id
    ledger: dict[str, tuple[int, float | None]] = {}
    started: dict[tuple[str, int], bytes] = {}
    kills = 0
    while final(home, run_id) is None and kills < most:
        moment = time.monotonic() + dice.uniform(0.0, length_s / 3)
        until(lambda: time.monotonic() >= moment or final(home, run_id), "a random moment has come")
        server.kill()
        kills += 1
        check_ledger(home, run_id, ledger, started)
        # Half of the time not even the start is left in peace.
        if kills < most and dice.random() < 0.5:
            server.start(wait=False)
            early = time.monotonic() + dice.uniform(0.0, 1.5)
            until(lambda: time.monotonic() >= early, "a moment of the start has come")
            server.kill()
            kills += 1
            check_ledger(home, run_id, ledger, started)
        server.start()
    until(
        lambda: final(home, run_id), lambda: f"the run ends (seed {SEED})\n{failure_report(home)}", alive=server.process
    )
    check_ledger(home, run_id, ledger, started)
    assert final(home, run_id) == "SUCCEEDED", f"seed {SEED}\n{failure_report(home)}"
    check_effects(home, run_id)
    server.kill()
    return kills


def check_ledger(home: Path, run_id: str, ledger: dict, started: dict) -> None:
    """What had succeeded is still the same success; no attempt was ever started by two."""
    now = succeeded(home, run_id)
    assert ledger.items() <= now.items(), f"seed {SEED}: a success has changed\n{failure_report(home)}"
    ledger.update(now)
    taken = claims(home, run_id)
    for key, who in started.items():
        assert taken.get(key) == who, f"seed {SEED}: attempt {key} was started twice\n{failure_report(home)}"
    started.update(taken)


def check_effects(home: Path, run_id: str) -> None:
    """Every task has one success, nothing of it came after that, and the disk knows no start that is not recorded."""
    by_path: dict[str, list] = {}
    for one in attempts(home, run_id):
        by_path.setdefault(one.path, []).append(one)
    assert len(by_path) == TASKS, f"seed {SEED}\n{failure_report(home)}"
    for path, made in by_path.items():
        assert [one.state for one in made].count("SUCCEEDED") == 1, f"seed {SEED}: {path}\n{failure_report(home)}"
        assert made[-1].state == "SUCCEEDED", f"seed {SEED}: {path} ran again\n{failure_report(home)}"
    recorded = sum(len(made) for made in by_path.values())
    assert len(claims(home, run_id)) <= recorded, (
        f"seed {SEED}: an attempt that nobody recorded\n{failure_report(home)}"
    )
