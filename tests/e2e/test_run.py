"""`headrace run`: with a server of its own, with a running one, left behind, cancelled, tried again."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from harness import (
    EXAMPLES,
    FINAL,
    VARIABLES,
    attempt_folders,
    attempts,
    environment,
    headrace,
    headrace_started,
    processes_of,
    rows,
    until,
)

SHAPES = Path(__file__).parent / "pipelines" / "shapes.py"


def state_of(home: Path, run_id: str) -> str:
    (row,) = rows(home, "SELECT state FROM runs WHERE run_id = ?", run_id)
    return row["state"]


def new_runs(home: Path, known: tuple[str, ...]) -> list[str]:
    """Ids of runs in the database that are not known yet."""
    try:
        found = rows(home, "SELECT run_id FROM runs")
    except sqlite3.OperationalError:
        return []
    return [row["run_id"] for row in found if row["run_id"] not in known]


def only_run(home: Path) -> str | None:
    """The id of the run in the database, once there is one."""
    try:
        found = rows(home, "SELECT run_id FROM runs")
    except sqlite3.OperationalError:
        return None  # the database is being made
    return found[0]["run_id"] if found else None


def log_of(home: Path, run_id: str, containing: str) -> str | None:
    """The log that has this in it, once one has."""
    for folder in attempt_folders(home, run_id).values():
        if (folder / "log").exists() and containing in (text := (folder / "log").read_text(errors="replace")):
            return text
    return None


def child_of(log: str) -> int:
    """The process that `wait_for` has started."""
    return int(log.partition("child ")[2].split()[0])


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture(autouse=True, params=["warm", "cold"])
def starts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How tasks are started; nothing that is seen here may depend on it."""
    monkeypatch.setitem(VARIABLES, "HEADRACE_WARM_STARTS", "on" if request.param == "warm" else "off")


def test_a_run_with_a_server_of_its_own_tells_what_came_of_it(home: Path):
    answer = headrace("run", EXAMPLES / "hello.py", "--arg", "name=Ada", "--name", "greeting", home=home)
    assert (answer.status, answer.err) == (0, ""), answer
    assert "SUCCEEDED  greeting" in answer.out
    assert "Output  Hello, Ada!" in answer.out
    assert state_of(home, answer.run_id) == "SUCCEEDED"
    assert [(attempt.path, attempt.state) for attempt in attempts(home, answer.run_id)] == [("greet", "SUCCEEDED")]
    assert not (home / "server.json").exists()
    again = headrace("runs", "get", answer.run_id[:8], home=home)
    assert again.status == 0
    assert "Output  Hello, Ada!" in again.out


def test_a_run_on_a_running_server_is_that_servers(server, home: Path):
    answer = headrace("run", EXAMPLES / "hello.py", "--experiment", "mine", home=home)
    assert answer.status == 0, answer
    assert server.get(f"/api/runs/{answer.run_id}")["run"]["experiment_name"] == "mine"
    assert server.process.poll() is None
    assert "headrace ui" in answer.out


def test_values_flow_through_chains_and_loops(home: Path):
    chain = headrace("run", SHAPES, "--pipeline", "chain", home=home)
    assert chain.status == 0, chain
    assert "Output  5" in chain.out
    fan = headrace("run", SHAPES, "--pipeline", "fan", "--arg", "values=[1, 10, 100]", home=home)
    assert fan.status == 0, fan
    assert "Output  222" in fan.out
    assert "add[2]" in fan.out


def test_a_second_run_takes_its_results_from_the_cache_and_no_cache_does_not(home: Path):
    ways = ((), (), ("--no-cache",))
    first, second, third = (headrace("run", EXAMPLES / "hello.py", *words, home=home) for words in ways)
    assert (first.status, second.status, third.status) == (0, 0, 0)
    assert "cached" not in first.out and "cached" in second.out and "cached" not in third.out
    assert [len(attempts(home, answer.run_id)) for answer in (first, second, third)] == [1, 0, 1]
    assert "Output  Hello, world!" in second.out


@pytest.mark.parametrize("with_server", [False, True], ids=["without server", "with server"])
def test_a_run_that_is_left_behind_goes_on_by_itself(home: Path, tmp_path: Path, with_server: bool, request):
    if with_server:
        request.getfixturevalue("server")
    flag = tmp_path / "flag"
    answer = headrace("run", SHAPES, "--pipeline", "waits", "--arg", f"path={flag}", "--no-wait", home=home)
    assert answer.status == 0, answer
    until(lambda: log_of(home, answer.run_id, "child "), "the task begins")
    assert "RUNNING" in headrace("runs", "list", home=home).out
    flag.touch()
    until(lambda: state_of(home, answer.run_id) in FINAL, "the run ends")
    assert state_of(home, answer.run_id) == "SUCCEEDED"
    if not with_server:
        until(lambda: not (home / "server.json").exists(), "the server in the background has ended")


def test_ctrl_c_cancels_the_run_and_leaves_no_process(home: Path, tmp_path: Path):
    words = ("run", SHAPES, "--pipeline", "waits", "--arg", f"path={tmp_path / 'never'}")
    with headrace_started(*words, home=home) as process:
        run_id = until(lambda: only_run(home), "the run is there", alive=process)
        child = child_of(until(lambda: log_of(home, run_id, "child "), "the task begins", alive=process))
        assert alive(child)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, (out, err)
    assert "Cancelling the run" in out
    assert "CANCELED" in out
    assert state_of(home, run_id) == "CANCELED"
    assert not alive(child)
    assert processes_of(home) == []


@pytest.mark.parametrize("sent", [signal.SIGHUP, signal.SIGTERM])
def test_a_run_whose_command_was_closed_goes_on(home: Path, tmp_path: Path, sent: signal.Signals):
    flag = tmp_path / "flag"
    words = ("run", SHAPES, "--pipeline", "waits", "--arg", f"path={flag}")
    with headrace_started(*words, home=home) as process:
        run_id = until(lambda: only_run(home), "the run is there", alive=process)
        until(lambda: log_of(home, run_id, "child "), "the task begins", alive=process)
        process.send_signal(sent)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + sent
    assert "with a server in the background" in err
    assert "No server drives" not in headrace("list", home=home).out
    flag.touch()
    until(lambda: state_of(home, run_id) in FINAL, "the run ends")
    assert state_of(home, run_id) == "SUCCEEDED"
    assert [attempt.number for attempt in attempts(home, run_id)] == [1, 1]


@pytest.mark.timeout(120)
def test_a_run_that_nobody_drives_is_said_to_be_so_and_can_be_cancelled_alone(home: Path, tmp_path: Path):
    ids = []
    for _ in range(2):
        with headrace_started(
            "run", SHAPES, "--pipeline", "waits", "--arg", f"path={tmp_path / 'never'}", home=home
        ) as process:
            known = tuple(ids)
            (run_id,) = until(lambda known=known: new_runs(home, known), "the run is there", alive=process)
            until(lambda run_id=run_id: log_of(home, run_id, "child "), "the task begins", alive=process)
            process.kill()
        ids.append(run_id)
    for words in (("list",), ("get", ids[0]), ("explain", ids[0])):
        assert "No server drives" in headrace(*words, home=home).out
    assert headrace("terminate", ids[0], home=home).status == 0
    assert state_of(home, ids[0]) == "CANCELED"
    assert state_of(home, ids[1]) == "RUNNING"
    assert headrace("delete", ids[1], "--yes", home=home).status == 0
    assert processes_of(home) == []
    assert attempt_folders(home, ids[1]) == {}


def test_terminate_ends_the_whole_tree(server, home: Path, tmp_path: Path):
    begun = headrace(
        "run", SHAPES, "--pipeline", "waits", "--arg", f"path={tmp_path / 'never'}", "--no-wait", home=home
    )
    child = child_of(until(lambda: log_of(home, begun.run_id, "child "), "the task begins"))
    answer = headrace("runs", "terminate", begun.run_id[:10], home=home)
    assert answer.status == 0, answer
    assert state_of(home, begun.run_id) == "CANCELED"
    assert not alive(child)
    assert processes_of(home) == []
    again = headrace("runs", "terminate", begun.run_id, home=home)
    assert again.status == 2
    assert "[RUN_FINAL]" in again.err


def test_a_failed_run_is_tried_again_from_where_it_failed(home: Path, tmp_path: Path):
    flag = tmp_path / "flag"
    first = headrace("run", SHAPES, "--pipeline", "fails", "--arg", f"path={flag}", home=home)
    assert first.status == 1
    assert "there is no flag yet" in first.out
    before = {(one.path, one.number): one.started_at for one in attempts(home, first.run_id)}
    flag.touch()
    second = headrace("runs", "retry", first.run_id[:12], home=home)
    assert second.status == 0, second
    after = {(one.path, one.number): one.started_at for one in attempts(home, first.run_id)}
    assert after["number", 1] == before["number", 1]
    assert ("number", 2) not in after
    assert state_of(home, first.run_id) == "SUCCEEDED"
    assert "Output  21" in second.out


def test_a_watcher_outlives_the_server_it_watches(server, home: Path, tmp_path: Path):
    flag = tmp_path / "flag"
    words = ("run", SHAPES, "--pipeline", "waits", "--arg", f"path={flag}")
    with headrace_started(*words, home=home) as process:
        run_id = until(lambda: only_run(home), "the run is there", alive=process)
        until(lambda: log_of(home, run_id, "child "), "the task begins", alive=process)
        server.kill()
        flag.touch()
        out, err = process.communicate(timeout=90)
    assert process.returncode == 0, (out, err)
    assert "The server is gone" in err
    assert "SUCCEEDED" in out
    assert [one.number for one in attempts(home, run_id) if one.path == "wait-for"] == [1]


def test_two_runs_at_once_without_a_server_share_one(home: Path, tmp_path: Path):
    flag = tmp_path / "flag"
    words = ("run", SHAPES, "--pipeline", "waits", "--arg", f"path={flag}")
    with headrace_started(*words, home=home) as first:
        run_id = until(lambda: only_run(home), "the run is there", alive=first)
        until(lambda: log_of(home, run_id, "child "), "the task begins", alive=first)
        second = headrace("run", EXAMPLES / "hello.py", home=home)
        assert second.status == 0, second
        flag.touch()
        out, err = first.communicate(timeout=60)
    assert first.returncode == 0, (out, err)


def test_runs_are_listed_found_by_the_beginning_of_their_ids_and_deleted(home: Path):
    assert headrace("runs", "list", home=home).out == "No runs.\n"
    ids = [headrace("run", EXAMPLES / "hello.py", "--name", name, home=home).run_id for name in ("one", "two")]
    listed = json.loads(headrace("runs", "list", "--json", home=home).out)
    assert [run["display_name"] for run in listed["runs"]] == ["two", "one"]
    assert json.loads(headrace("runs", "get", ids[0][:9], "--json", home=home).out)["run"]["run_id"] == ids[0]
    assert "Hello, world!" in headrace("runs", "logs", ids[0][:9], "greet", home=home).out
    for words, code in (
        (("get", "zzzz"), "RUN_NOT_FOUND"),
        (("get", ids[0][:-1] + ("0" if ids[0][-1] != "0" else "1")), "NOT_FOUND"),
        (("get", ""), "RUN_AMBIGUOUS"),
        (("logs", ids[0], "nobody"), "TASK_NOT_FOUND"),
        (("delete", ids[0]), "USAGE"),
    ):
        answer = headrace("runs", *words, home=home)
        assert (answer.status, f"[{code}]" in answer.err) == (2, True), answer
    assert headrace("runs", "delete", ids[0], "--yes", home=home).status == 0
    assert [run["run_id"] for run in json.loads(headrace("runs", "list", "--json", home=home).out)["runs"]] == [ids[1]]


def test_logs_are_followed_as_they_are_written(server, home: Path, tmp_path: Path):
    flag = tmp_path / "flag"
    begun = headrace("run", SHAPES, "--pipeline", "waits", "--arg", f"path={flag}", "--no-wait", home=home)
    until(lambda: log_of(home, begun.run_id, "child "), "the task begins")
    with headrace_started("runs", "logs", begun.run_id, "wait-for", "--follow", home=home) as process:
        assert process.stdout.readline().startswith("child ")
        assert process.poll() is None
        flag.touch()
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")


def test_a_link_to_the_ui_signs_in_once(server, home: Path):
    link = headrace("ui", "--no-open", home=home).out.strip()
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(), Undirected())
    with opener.open(link) as reply:
        assert reply.status == 303
        secret = reply.headers["location"].partition("#session-secret=")[2]
    asked = urllib.request.Request(f"{server.url}/api/session", headers={"Headrace-Session-Secret": secret})
    with opener.open(asked) as reply:
        assert json.load(reply)["user"] == "local"
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.build_opener().open(link)
    caught.value.close()


class Undirected(urllib.request.HTTPRedirectHandler):
    """The redirect itself, not the page it leads to: the UI may not be built."""

    def http_error_303(self, req, fp, code, msg, headers):
        return fp


def test_without_a_server_there_is_no_ui(home: Path):
    answer = headrace("ui", home=home)
    assert (answer.status, "[SERVER_NOT_RUNNING]" in answer.err) == (1, True)


def test_the_server_stops_on_ctrl_c_and_says_so(server, home: Path):
    assert server.stop(signal.SIGINT) == 0
    assert "Stopped." in server.output
    assert not (home / "server.json").exists()


def test_a_reader_that_goes_away_is_no_error(home: Path):
    headrace("run", EXAMPLES / "hello.py", home=home)
    read, write = os.pipe()
    os.close(read)
    process = subprocess.Popen(
        [sys.executable, "-m", "headrace.cli.main", "runs", "list"],
        env=environment(home),
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(write)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Traceback" not in err


def test_on_a_terminal_what_goes_on_is_redrawn_and_what_has_ended_stays(home: Path):
    out = on_a_terminal("run", str(SHAPES), "--pipeline", "chain", home=home)
    assert "\x1b[0J" in out, "something was redrawn"
    assert "\x1b[32m✓" in out
    assert "running" in out and "done" in out
    kept = out.rpartition("\x1b[0J")[2]
    assert "Output  5" in kept
    assert "running" not in kept


def on_a_terminal(*words: str, home: Path) -> str:
    """All that the command line writes to a terminal of 100 columns."""
    import pty
    import termios

    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (30, 100))
    env = environment(home, {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"})
    env.pop("NO_COLOR")
    process = subprocess.Popen(
        [sys.executable, "-m", "headrace.cli.main", *words], env=env, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    pieces = []
    while True:
        try:
            pieces.append(os.read(ours, 65536))
        except OSError:  # the other end is closed
            break
    os.close(ours)
    assert process.wait(timeout=60) == 0
    return b"".join(pieces).decode()
