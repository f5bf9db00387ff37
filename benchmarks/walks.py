"""How far a request walks through the code: the rooms, files and functions of `headrace` that five flows touch.

    .venv/bin/python benchmarks/walks.py [--tree DIR] [--list FLOW]

`--tree` counts another checkout, for example a git worktree of an earlier commit. `--list` also prints the functions of
one flow, and the files that call each other. Nothing is simulated: a real `headrace up` (SQLite, real processes, warm
starts off) with a profile hook.

What is counted, each once however often it is called:
functions: functions of ours that run between the start and the end of the flow
files, rooms: where these functions are; a room is a package (or a module) directly below `headrace`
moves: pairs of a calling and a called function of ours that are in different files, or in different rooms
back and forth: pairs of files that call each other, in both directions
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType
from typing import IO, Any

HERE = Path(__file__).resolve()
PIPELINE = """
import sys
from headrace import dsl
from headrace.compiler import Compiler


@dsl.component(base_image="python:3.11")
def first(gate: str) -> int:
    import os, time
    while not os.path.exists(gate):
        time.sleep(0.02)
    print("a line of the log", flush=True)
    while not os.path.exists(gate + "-2"):
        time.sleep(0.02)
    return 1


@dsl.component(base_image="python:3.11")
def second(number: int) -> int:
    return number + 1


@dsl.pipeline(name="walk")
def walk(gate: str):
    second(number=first(gate=gate).output)


Compiler().compile(walk, sys.argv[1])
"""
#: How many runs are counted.
RUNS = 5
#: Files of the web UI that a line of a log passes, from the event stream to the screen.
UI_OF_A_LOG_LINE = (
    "api/stream.ts",
    "features/run/log/use-log.ts",
    "features/run/log/model.ts",
    "features/run/log/view.tsx",
)
_SPAWNS = ("os.posix_spawn", "subprocess.Popen", "os.fork")
#: Where uvicorn sends an answer.
_ANSWERS = ("uvicorn/protocols/http/httptools_impl.py", "uvicorn/protocols/http/h11_impl.py")


@dataclass
class Walk:
    """What ran so far in one flow."""

    functions: set[CodeType] = field(default_factory=set)
    calls: set[tuple[CodeType, CodeType]] = field(default_factory=set)


class Recorder:
    """A profile hook for all threads, which records functions below one folder."""

    def __init__(self, package: Path) -> None:
        self._package = f"{package}{os.sep}"
        self._walk: Walk | None = None
        self._moments: dict[str, dict[str, Any]] = {}

    def install(self) -> None:
        """Record from now on in this thread and in all threads that start later. Processes that start are noted."""
        threading.setprofile(self._hook)
        sys.setprofile(self._hook)
        sys.addaudithook(self._audit)

    def start(self) -> None:
        """Begin a new count."""
        self._moments, self._walk = {}, Walk()

    def count(self) -> dict[str, Any]:
        """The counts since the start."""
        assert self._walk is not None
        return self._counted(self._walk)

    def moment(self, name: str) -> dict[str, Any] | None:
        """The counts from the start to the first `answer` or the first `process`; None if there was none yet."""
        return self._moments.get(name)

    def stop(self) -> None:
        """Record nothing until the next start."""
        self._walk = None

    def _is_ours(self, code: CodeType) -> bool:
        return code.co_filename.startswith(self._package) and not code.co_name.startswith("<")

    def _hook(self, frame: FrameType, event: str, _: object) -> None:
        walk = self._walk
        if walk is None or event != "call":
            return
        if not self._is_ours(frame.f_code):
            if frame.f_code.co_name == "send" and frame.f_code.co_filename.endswith(_ANSWERS):
                self._note("answer")
            return
        walk.functions.add(frame.f_code)
        caller = frame.f_back
        while caller is not None and not self._is_ours(caller.f_code):
            caller = caller.f_back
        if caller is not None:
            walk.calls.add((caller.f_code, frame.f_code))

    def _audit(self, event: str, _: tuple[object, ...]) -> None:
        if event in _SPAWNS:
            self._note("process")

    def _note(self, moment: str) -> None:
        if self._walk is not None and moment not in self._moments:
            self._moments[moment] = self._counted(self._walk)

    def _counted(self, walk: Walk) -> dict[str, Any]:
        functions, calls = set(walk.functions), set(walk.calls)
        crossing = [(a, b) for a, b in calls if a.co_filename != b.co_filename]
        mutual = self._mutual((self._file(a), self._file(b)) for a, b in crossing)
        return {
            "rooms": len({self._room(code) for code in functions}),
            "files": len({code.co_filename for code in functions}),
            "functions": len(functions),
            "moves between files": len(crossing),
            "back and forth": len(mutual),
            "moves between rooms": sum(self._room(a) != self._room(b) for a, b in crossing),
            "mutual": mutual,
            "names": sorted(f"{self._file(code)}: {code.co_qualname}" for code in functions),
        }

    @staticmethod
    def _mutual(calls: Iterable[tuple[str, str]]) -> list[str]:
        pairs = set(calls)
        return sorted(f"{a} <-> {b}" for a, b in pairs if a < b and (b, a) in pairs)

    def _file(self, code: CodeType) -> str:
        return code.co_filename.removeprefix(self._package)

    def _room(self, code: CodeType) -> str:
        return self._file(code).split(os.sep)[0].removesuffix(".py")


# --- in the process that is watched ------------------------------------------------------------


def _package() -> Path:
    import headrace

    return Path(headrace.__file__).parent


def serve(arguments: list[str]) -> None:
    """`headrace ARGUMENTS` in this process. Commands come as lines on stdin, answers go to file descriptor 3."""
    from headrace.cli.main import main

    recorder = Recorder(_package())
    threading.Thread(target=_obey, args=(recorder, os.fdopen(3, "w")), daemon=True).start()
    recorder.install()
    sys.argv = ["headrace", *arguments]
    main()


def _obey(recorder: Recorder, answers: IO[str]) -> None:
    for line in sys.stdin:
        word = line.strip()
        answer: Any = None
        if word == "start":
            recorder.start()
        elif word == "count":
            answer = recorder.count()
        elif word in ("answer", "process"):
            answer = recorder.moment(word)
        else:
            recorder.stop()
        print(json.dumps(answer), file=answers, flush=True)


def compile_walk(target: str) -> None:
    """Compile the pipeline in this process and print the counts."""
    import headrace.compiler
    import headrace.dsl  # noqa: F401  (what an import runs is not part of the flow)

    file = Path(target).with_name("walk_pipeline.py")
    file.write_text(PIPELINE)
    recorder = Recorder(_package())
    sys.argv = [str(file), target]
    code = compile(PIPELINE, str(file), "exec")
    exec(code, {"__name__": "__main__", "__file__": str(file)})  # once without recording: first calls import modules
    recorder.install()
    recorder.start()
    exec(code, {"__name__": "__main__", "__file__": str(file)})
    counted = recorder.count()
    recorder.stop()
    sys.setprofile(None)
    print(json.dumps(counted))


# --- outside -----------------------------------------------------------------------------------


class Watched:
    """A server with the hook, and the requests to it."""

    def __init__(self, tree: Path, folder: Path) -> None:
        self._home = folder / "home"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        read, write = os.pipe()
        words = [sys.executable, "-c", _BOOT, str(HERE), str(write), "up", "--no-open", "--port", str(self._port)]
        self._process = subprocess.Popen(
            [*words, "--home", str(self._home)], env=_environment(tree), pass_fds=(write,), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(write)
        self._answers = os.fdopen(read)
        _until(self._answers_http, "the server answers")

    def _answers_http(self) -> bool:
        try:
            return self.ask("GET", "/api/session") is not None
        except OSError:
            return False

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of an answer."""
        with self.open(method, path, body) as answer:
            return json.load(answer)

    def open(self, method: str, path: str, body: Any = None) -> Any:
        """The open answer, to be read piece by piece."""
        token = (self._home / "token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        url = f"http://127.0.0.1:{self._port}{path}"
        return urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method), timeout=60)

    def tell(self, word: str) -> Any:
        """Send `start`, `count`, `answer`, `process` or `stop`. Returns the counts, or None."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        return json.loads(self._answers.readline())

    def until(self, moment: str) -> Any:
        """The counts from the start to the first answer or the first process. Waits for it."""
        return _until(lambda: self.tell(moment), f"the first {moment}")

    def states(self, run_id: str) -> dict[str, str]:
        """Path of an execution -> its state; the run's state under ""."""
        view = self.ask("GET", f"/api/runs/{run_id}")
        return {each["path"]: each["state"] for each in view["executions"]} | {"": view["run"]["state"]}

    def close(self) -> None:
        """End the server."""
        self._process.terminate()
        self._process.wait(30)
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._answers.close()


#: Descriptor 3 for the answers, whatever number the pipe has here.
_BOOT = """
import os, runpy, sys
_, file, write, *arguments = sys.argv
os.dup2(int(write), 3)
sys.argv = [file]
runpy.run_path(file)["serve"](arguments)
"""


def _environment(tree: Path) -> dict[str, str]:
    known = {key: value for key, value in os.environ.items() if not key.startswith("HEADRACE_")}
    return {**known, "PYTHONPATH": str(tree / "src"), "HEADRACE_WARM_STARTS": "off"}


def _until(ask: Any, what: str) -> Any:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if answer := ask():
            return answer
        time.sleep(0.02)
    raise TimeoutError(f"not within two minutes: {what}")


def flows_of_a_run(server: Watched, document: str, folder: Path) -> dict[str, dict[str, Any]]:
    """The four flows of a run on a server. Of several runs the smallest counts: what the idle server does only adds."""
    smallest: dict[str, dict[str, Any]] = {}
    for number in range(1 + RUNS):
        found = {}
        gate = folder / f"gate-{number}"
        server.tell("start")
        body = {"display_name": "walk", "document": document, "parameters": {"gate": str(gate)}}
        run_id = server.ask("POST", "/api/runs", {**body, "caching": False})["run_id"]
        found["POST run -> answered"] = server.until("answer")
        found["POST run -> process started"] = server.until("process")
        _until(lambda run_id=run_id: server.states(run_id).get("first") == "RUNNING", "the first task runs")
        execution = next(
            each["execution_id"]
            for each in server.ask("GET", f"/api/runs/{run_id}")["executions"]
            if each["path"] == "first"
        )
        with server.open("GET", f"/api/executions/{execution}/logs/stream?attempt=1&offset=0") as stream:
            server.tell("start")
            gate.touch()
            while b"a line of the log" not in stream.readline():
                pass
            found["log line -> browser"] = server.tell("count")
        server.tell("start")
        Path(f"{gate}-2").touch()
        found["process ended -> next process started"] = server.until("process")
        server.tell("stop")
        _until(lambda run_id=run_id: server.states(run_id)[""] == "SUCCEEDED", "the run succeeds")
        # The first run builds the environment and imports what is imported late, so it does not count.
        for flow, counted in found.items() if number else ():
            if flow not in smallest or counted["functions"] < smallest[flow]["functions"]:
                smallest[flow] = counted
    return smallest


def measure(tree: Path) -> dict[str, dict[str, Any]]:
    """Flow -> its counts."""
    with tempfile.TemporaryDirectory(prefix="headrace-walks-") as name:
        folder = Path(name)
        target = folder / "walk.yaml"
        program = f"import runpy, sys; runpy.run_path({str(HERE)!r})['compile_walk'](sys.argv[1])"
        compiled = subprocess.run(
            [sys.executable, "-c", program, str(target)], env=_environment(tree), text=True, check=True,
            stdout=subprocess.PIPE,
        )  # fmt: skip
        server = Watched(tree, folder)
        try:
            found = flows_of_a_run(server, target.read_text(), folder)
        finally:
            server.close()
    found["component and pipeline -> YAML"] = json.loads(compiled.stdout)
    line = found["log line -> browser"]
    screen = [name for name in UI_OF_A_LOG_LINE if (tree / "ui" / "src" / name).exists()]
    line["files"] = f"{line['files']} + {len(screen)} of the UI"
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Count what five flows touch.")
    parser.add_argument("--tree", type=Path, default=HERE.parents[1])
    parser.add_argument("--list", default="", metavar="FLOW")
    options = parser.parse_args()
    found = measure(options.tree.resolve())
    columns = ("rooms", "files", "functions", "moves between files", "moves between rooms", "back and forth")
    print(f"| flow | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for flow, counted in found.items():
        print(f"| {flow} | {' | '.join(str(counted[column]) for column in columns)} |")
    chosen = found.get(options.list, {})
    for name in chosen.get("names", []) + chosen.get("mutual", []):
        print(name)


if __name__ == "__main__":
    main()
