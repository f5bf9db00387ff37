"""Real servers and command lines for tests, and what they have left on disk: read from outside, as a stranger would."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from headrace.executors.local.limits import Confinement

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
FINAL = frozenset({"SUCCEEDED", "FAILED", "SKIPPED", "CANCELED"})
#: How long a fact may take before a test gives up. Generous: the machine may be busy with other tests.
PATIENCE_S = 120.0
T = TypeVar("T")
#: What a test sets for all commands and servers that it starts.
VARIABLES: dict[str, str] = {}


class Answer(NamedTuple):
    """What a command line said."""

    status: int
    out: str
    err: str

    @property
    def run_id(self) -> str:
        """The id of the run it told of."""
        found = [word for line in self.out.splitlines() for word in line.split() if _is_id(word)]
        assert found, f"no run id in:\n{self.out}\n{self.err}"
        return found[0]


def headrace(
    *words: str | Path,
    home: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout_s: float = 240,
) -> Answer:
    """Run the command line to its end."""
    with headrace_started(*words, home=home, env=env, cwd=cwd) as process:
        out, err = process.communicate(timeout=timeout_s)
    return Answer(process.returncode, out, err)


@contextmanager
def headrace_started(
    *words: str | Path, home: Path, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Iterator[subprocess.Popen[str]]:
    """The command line, running; killed at the end of the block if it still is."""
    process = subprocess.Popen(
        [sys.executable, "-m", "headrace.cli.main", *map(str, words)],
        env=environment(home, env),
        cwd=cwd or ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
        # Under nohup the tests ignore it, and so would what they start.
        preexec_fn=partial(signal.signal, signal.SIGHUP, signal.SIG_DFL),
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def environment(home: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a user with this home."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HEADRACE_", "PYTEST_"))}
    return {**kept, **VARIABLES, "HEADRACE_HOME": str(home), "NO_COLOR": "1", **(more or {})}


class Server:
    """`headrace up` in a process of its own, over a home that outlives it."""

    def __init__(self, home: Path, *, max_parallel: int = 2) -> None:
        self.home = home
        self.max_parallel = max_parallel
        self.process: subprocess.Popen[bytes] | None = None
        self._output = home.with_name(f"{home.name}-server.log")

    @property
    def info(self) -> dict[str, Any]:
        """What `server.json` says."""
        return json.loads((self.home / "server.json").read_text())

    @property
    def url(self) -> str:
        """Where it is."""
        return self.info["url"]

    @property
    def token(self) -> str:
        """How to get in."""
        return (self.home / "token").read_text().strip()

    @property
    def output(self) -> str:
        """All it has printed, in all its lives."""
        return self._output.read_text() if self._output.exists() else ""

    def start(self, *, wait: bool = True, env: Mapping[str, str] | None = None) -> Server:
        """Start it, and wait until it answers."""
        with self._output.open("ab") as output:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "headrace.cli.main", "up", "--port", "0", "--no-open"),
                    *("--max-parallel", str(self.max_parallel)),
                ],
                env=environment(self.home, env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if wait:
            until(self.answers, f"the server answers; it has said:\n{self.output}", alive=self.process)
        return self

    def answers(self) -> bool:
        """Whether it says that it is well."""
        try:
            if self.process is None or self.info["pid"] != self.process.pid:
                return False
            with urllib.request.urlopen(f"{self.url}/apis/v2beta1/healthz", timeout=5) as reply:
                return reply.status == 200
        except (OSError, ValueError, KeyError, urllib.error.URLError):
            return False

    def kill(self) -> None:
        """`kill -9`, at once."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self, sig: int = signal.SIGTERM) -> int:
        """Ask it to end; its exit status."""
        assert self.process is not None
        self.process.send_signal(sig)
        return self.process.wait(timeout=30)

    def end(self) -> None:
        """Whatever state it is in: not running afterwards, nor any process of its tasks."""
        if self.process is not None and self.process.poll() is None:
            self.kill()
        end_attempts(self.home)

    def get(self, path: str) -> Any:
        """JSON from the server."""
        return self.call("GET", path)

    def post(self, path: str, body: Any = None) -> Any:
        """Send JSON, get JSON."""
        return self.call("POST", path, body)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """One request with the token."""
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as reply:
            return json.loads(reply.read() or b"null")

    def finished(self, run_id: str, *, timeout_s: float = PATIENCE_S) -> dict[str, Any]:
        """The run, once it is final."""

        def final() -> dict[str, Any] | None:
            run = self.get(f"/api/runs/{run_id}")
            return run if run["run"]["state"] in FINAL else None

        return until(
            final, lambda: f"run {run_id} ends\n{failure_report(self.home)}", timeout_s=timeout_s, alive=self.process
        )


def until(
    fact: Callable[[], T | None],
    what: str | Callable[[], str],
    *,
    timeout_s: float = PATIENCE_S,
    alive: subprocess.Popen[Any] | None = None,
) -> T:
    """Wait for a fact: the first true answer of `fact`. Fails when it takes too long or `alive` has died."""
    deadline = time.monotonic() + timeout_s
    while True:
        if found := fact():
            return found
        if alive is not None and alive.poll() is not None:
            raise AssertionError(f"the process ended with {alive.returncode} before: {_said(what)}")
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s} s: {_said(what)}")
        time.sleep(0.02)  # between two looks; what is waited for is the fact


def _said(what: str | Callable[[], str]) -> str:
    return what if isinstance(what, str) else what()


# --- what is on disk ---------------------------------------------------------------------------


class Attempt(NamedTuple):
    """One attempt as recorded."""

    path: str
    number: int
    state: str
    started_at: float | None


def rows(home: Path, query: str, *values: Any) -> list[sqlite3.Row]:
    """What a query finds in the home's database, read beside the server."""
    conn = sqlite3.connect(f"file:{home / 'headrace.db'}?mode=ro", uri=True, timeout=10)
    try:
        conn.row_factory = sqlite3.Row
        return conn.execute(query, values).fetchall()
    finally:
        conn.close()


def attempts(home: Path, run_id: str) -> list[Attempt]:
    """Every attempt of a run that the database knows of."""
    found = []
    for row in rows(home, "SELECT path, body FROM executions WHERE run_id = ? ORDER BY position", run_id):
        for attempt in json.loads(row["body"]).get("attempts", []):
            found.append(Attempt(row["path"], attempt["number"], attempt["state"], attempt.get("started_at")))
    return found


def events(home: Path, run_id: str) -> list[dict[str, Any]]:
    """The run's recorded events, in order."""
    found = rows(home, "SELECT body FROM run_events WHERE run_id = ? ORDER BY seq", run_id)
    return [json.loads(row["body"]) for row in found]


def attempt_folders(home: Path, run_id: str) -> dict[tuple[str, int], Path]:
    """`(execution id, number)` -> directory of every attempt that left something on disk."""
    root = home / "attempts" / run_id
    return {(place.parent.name, int(place.name)): place for place in root.glob("*/*") if place.name.isdigit()}


def failure_report(home: Path, *, log_bytes: int = 3000) -> str:
    """What happened, in order: each run's events, its executions as they stand, and the ends of their logs."""
    if not (home / "headrace.db").exists():
        return f"(no database in {home})"
    lines: list[str] = []
    for run in rows(home, "SELECT run_id, display_name, state, error FROM runs ORDER BY created_at"):
        lines.append(f"run {run['run_id']} {run['display_name']!r} {run['state']} {run['error'] or ''}")
        lines.extend(f"  {_told(event)}" for event in events(home, run["run_id"]))
        for row in rows(home, "SELECT * FROM executions WHERE run_id = ? ORDER BY position", run["run_id"]):
            lines.append(f"  {row['path'] or '(root)'} {row['kind']} {row['state']} {row['execution_id']}")
            lines.extend(f"      {line}" for line in _reasons(json.loads(row["body"])))
        for (execution, number), folder in sorted(attempt_folders(home, run["run_id"]).items()):
            lines.append(f"  log of {execution} attempt {number}: {sorted(path.name for path in folder.iterdir())}")
            lines.extend(f"      | {line}" for line in _tail(folder / "log", log_bytes).splitlines())
    return "\n".join(lines)


def _told(event: dict[str, Any]) -> str:
    about = event.get("attempt") or {}
    where = about.get("path", event.get("path", ""))
    rest = {key: value for key, value in event.items() if key not in ("event", "at", "attempt", "path", "outputs")}
    return f"{event.get('at', 0):.3f} {event['event']} {where}#{about.get('number', '')} {rest or ''}"


def _reasons(execution: dict[str, Any]) -> Iterator[str]:
    if execution.get("reason"):
        yield json.dumps(execution["reason"])[:2000]
    for attempt in execution.get("attempts", []):
        yield f"attempt {attempt['number']} {attempt['state']} {json.dumps(attempt.get('error', ''))[:1000]}"


def _tail(path: Path, count: int) -> str:
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(file.tell() - count, 0))
            return file.read().decode(errors="replace")
    except OSError as error:
        return f"({error})"


def processes_of(home: Path) -> list[int]:
    """Ids of the processes that belong to any attempt of this home, however they have detached themselves."""
    marks = (str(home / "attempts").encode(), str(home).encode())
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            told = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if marks[0] in told and state != "Z":
            found.append(int(entry.name))
    return found


def end_attempts(home: Path) -> None:
    """Kill what the home's attempts have left running."""
    for pid in processes_of(home):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    confinement = Confinement.here(home.absolute())
    confinement.remove_others(set())
    confinement.close()


def groups_of(home: Path) -> list[str]:
    """Directories of control groups that are there for this home's attempts."""
    confinement = Confinement.here(home.absolute())
    try:
        return confinement.groups()
    finally:
        confinement.close()


def _is_id(word: str) -> bool:
    return len(word) == 36 and word.count("-") == 4
