"""Three real servers on one PostgreSQL, one killed or stopped every few seconds; PostgreSQL that crashes and hangs up.

What the tasks themselves have appended to a file is held against what the database says (`effects`).
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.start_checks import LOST, Recorded, violations
from harness import end_attempts, environment, until
from postgres import Postgres, binaries
from proxy import Proxy

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
SEED = int(os.environ.get("HEADRACE_CHAOS_SEED") or random.SystemRandom().randrange(1 << 32))
LEASE_S = 2.0
HERE = Path(__file__).parent
TASKS = 3


def document(ledger: Path) -> dict[str, Any]:
    """A chain of three commands, each of which writes down that it was begun."""
    source = (
        "def step(name: str, run: str, ledger: str, seconds: float, after: str = '') -> str:\n"
        "    import os, time\n"
        "    with open(ledger, 'ab', buffering=0) as file:\n"
        "        file.write(f'{run} {name}\\n'.encode())\n"
        "    time.sleep(seconds)\n"
        "    return name\n"
    )
    folder = ledger.parent / "pipeline"
    folder.mkdir(exist_ok=True)
    (folder / "chain.py").write_text(
        f"from headrace import dsl\n\n\n@dsl.component\n{source}\n\n@dsl.pipeline\n"
        "def chain(ledger: str, seconds: float = 0.2):\n"
        "    last = None\n"
        "    for name in ('one', 'two', 'three'):\n"
        "        task = step(name=name, run=dsl.PIPELINE_JOB_ID_PLACEHOLDER, ledger=ledger, seconds=seconds)\n"
        "        task.set_caching_options(False).set_display_name(name)\n"
        "        if last is not None:\n"
        "            task.after(last)\n"
        "        last = task\n"
    )
    words = [
        sys.executable,
        "-m",
        "headrace.cli.main",
        "compile",
        str(folder / "chain.py"),
        "-o",
        str(folder / "c.yaml"),
    ]
    subprocess.run(words, check=True, env=environment(folder), capture_output=True)
    import yaml

    return yaml.safe_load((folder / "c.yaml").read_text())


class Replica:
    """A server in a process of its own."""

    def __init__(self, number: int, home: Path, url: str, where: Path) -> None:
        self.number, self.home, self._url = number, home, url
        self._told = where / f"replica-{number}.url"
        self.log = where / f"replica-{number}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, wait: bool = True) -> None:
        self._told.unlink(missing_ok=True)
        words = [sys.executable, str(HERE / "a_replica.py"), self.home, self._url, LEASE_S, self._told]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                list(map(str, words)), stdout=log, stderr=log, env=environment(self.home), start_new_session=True
            )
        if wait:
            until(
                self._told.exists, lambda: f"server {self.number} answers: {self.log.read_text()}", alive=self.process
            )

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def call(self, method: str, path: str, body: Any = None, *, timeout_s: float = 10) -> Any:
        """One request. Raises OSError while it cannot answer."""
        request = urllib.request.Request(
            self._told.read_text() + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {(self.home / 'token').read_text().strip()}",
                "Content-Type": "application/json",
            },
        )
        with urllib.request.urlopen(request, timeout=timeout_s) as reply:
            return json.loads(reply.read() or b"null")


class Cluster:
    """Servers, the runs they have acknowledged, and what the tasks say they did."""

    def __init__(self, tmp_path: Path, url: str, homes: list[Path]) -> None:
        self.ledger = tmp_path / "ledger"
        self.replicas = [Replica(n, home, url, tmp_path) for n, home in enumerate(homes)]
        self.homes = homes
        self.accepted: list[str] = []
        self._document = document(self.ledger)

    def submit(self, replica: Replica, **parameters: Any) -> bool:
        """False when it was not acknowledged, whatever became of it."""
        body = {
            "display_name": "chaos",
            "pipeline_spec": self._document,
            "runtime_config": {"parameters": {"ledger": str(self.ledger), **parameters}},
        }
        try:
            self.accepted.append(replica.call("POST", "/apis/v2beta1/runs", body)["run_id"])
        except (OSError, urllib.error.URLError):
            return False
        return True

    def check(self, postgres: Postgres, database: str) -> list[str]:
        states = {
            row["run_id"]: row["state"] for row in postgres.sql("SELECT run_id, state FROM runs", database=database)
        }
        attempts = []
        for row in postgres.sql("SELECT run_id, path, body FROM executions", database=database):
            for one in json.loads(row["body"]).get("attempts", []):
                code = (one.get("error") or {}).get("code", "")
                attempts.append(Recorded(row["run_id"], row["path"], one["number"], one["state"], code))
        names = {"step": "one", "step-2": "two", "step-3": "three"}
        lines = [line.split() for line in self.ledger.read_text().splitlines()]
        recorded = [one._replace(path=names[one.path]) for one in attempts]
        found = violations(self.accepted, states, recorded, [(line[0], line[1]) for line in lines], tasks=TASKS)
        print(f"{len(states)} runs, {len(lines)} starts, {sum(one.code in LOST for one in recorded)} losses")
        return found

    def all_final(self, postgres: Postgres, database: str) -> bool:
        query = "SELECT count(*) FROM runs WHERE state NOT IN ('SUCCEEDED', 'FAILED', 'CANCELED', 'SKIPPED')"
        return postgres.sql(query, database=database)[0][0] == 0

    def end(self) -> None:
        for replica in self.replicas:
            replica.kill()
        for home in set(self.homes):
            end_attempts(home)


@pytest.fixture
def clusters(tmp_path: Path) -> Iterator[Any]:
    made: list[Cluster] = []

    def make(url: str, homes: list[Path]) -> Cluster:
        made.append(Cluster(tmp_path, url, homes))
        return made[-1]

    yield make
    for cluster in made:
        cluster.end()


def database_of(url: str) -> str:
    return url.rpartition("/")[2]


def test_three_servers_of_which_one_is_killed_or_stopped_every_few_seconds(
    tmp_path: Path, postgres: Postgres, database_url: str, clusters: Any
):
    print(f"to repeat: HEADRACE_CHAOS_SEED={SEED}")
    dice = random.Random(SEED)
    cluster: Cluster = clusters(database_url, [tmp_path / "home"] * 3)
    for replica in cluster.replicas:
        replica.start()
    stopped: list[tuple[float, Replica]] = []
    until_s = time.monotonic() + 30
    while time.monotonic() < until_s:
        for replica in cluster.replicas:
            if not any(replica is one for _, one in stopped):
                cluster.submit(replica)
        victim = dice.choice([one for one in cluster.replicas if not any(one is other for _, other in stopped)])
        if dice.random() < 0.5:
            victim.kill()
            victim.start(wait=False)
        elif not stopped:
            victim.signal(signal.SIGSTOP)
            stopped.append((time.monotonic() + dice.uniform(0.5, 3 * LEASE_S), victim))
        # Between two faults some time passes: that is the fault's rate, not a wait for a fact.
        time.sleep(dice.uniform(1.0, 2.5))
        for moment, one in [entry for entry in stopped if entry[0] < time.monotonic()]:
            one.signal(signal.SIGCONT)
            stopped.remove((moment, one))
    for _, one in stopped:
        one.signal(signal.SIGCONT)
    name = database_of(database_url)
    until(lambda: cluster.all_final(postgres, name), f"all runs end (seed {SEED})", timeout_s=120)
    found = cluster.check(postgres, name)
    assert not found, f"seed {SEED}: " + "\n".join(found)
    assert len(cluster.accepted) >= 15
    said = "".join(replica.log.read_text() for replica in cluster.replicas)
    assert "its runs go to other servers" in said


def test_servers_without_a_common_directory_start_what_is_lost_anew(
    tmp_path: Path, postgres: Postgres, database_url: str, clusters: Any
):
    cluster: Cluster = clusters(database_url, [tmp_path / "here", tmp_path / "there"])
    here, there = cluster.replicas
    for replica in cluster.replicas:
        replica.start()
    for _ in range(3):
        assert cluster.submit(here, seconds=1.0)
    until(lambda: cluster.ledger.exists(), "something has begun")
    here.kill()
    name = database_of(database_url)
    until(lambda: cluster.all_final(postgres, name), "all runs end", timeout_s=120, alive=there.process)
    assert cluster.check(postgres, name) == []


def test_postgresql_that_crashes_and_hangs_up_in_the_middle_of_commits(tmp_path: Path, clusters: Any):
    found = binaries()
    if found is None:
        pytest.skip("PostgreSQL is missing: apt-get install postgresql")
    print(f"to repeat: HEADRACE_CHAOS_SEED={SEED}")
    dice = random.Random(SEED)
    server = Postgres(found)
    proxy = Proxy(server.port, lambda: dice.choices(("pass", "done", "lost", "late"), (30, 1, 1, 1))[0])
    try:
        name = server.create()
        cluster: Cluster = clusters(server.url(name, port=proxy.port), [tmp_path / "home"] * 2)
        for replica in cluster.replicas:
            replica.start()
        for round_ in range(4):
            for _ in range(4):
                cluster.submit(dice.choice(cluster.replicas))
            time.sleep(dice.uniform(1.0, 2.0))  # the rate of the faults
            proxy.cut() if round_ % 2 else server.restart()
        until(lambda: cluster.all_final(server, name), f"all runs end (seed {SEED})", timeout_s=120)
        assert cluster.check(server, name) == []
        assert min(proxy.met.values()) > 0, proxy.met
        assert all(one.process is not None and one.process.poll() is None for one in cluster.replicas)
        assert len(cluster.accepted) >= 6
    finally:
        proxy.close()
        server.remove()
