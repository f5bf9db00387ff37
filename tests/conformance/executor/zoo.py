"""Hostile components: what each does, what must be said of it, and what it may leave behind, which is nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Animal:
    """One hostile component. It runs beside a neighbour that must not notice."""

    source: str
    #: The code of its failure; "" if it is to succeed.
    code: str
    #: Words that the message must hold: the limit and the setting or field that sets it.
    words: tuple[str, ...] = ()
    gives: dict[str, str] = field(default_factory=dict)
    resources: dict[str, str] = field(default_factory=dict)
    timeout_s: float | None = None
    #: Settings of the executor.
    options: dict[str, Any] = field(default_factory=dict)
    allowance: dict[str, Any] = field(default_factory=dict)


_STRAYS = """
def f() -> str:
    import os, signal, sys, time
    def stray():
        os.setsid()
        if os.fork(): os._exit(0)
        os.chdir('/')
        for number in (1, 2, 15): signal.signal(number, signal.SIG_IGN)
        print('stray', os.getpid(), flush=True)
        os.execve('/bin/sh', ['sh', '-c', 'trap "" TERM; while :; do sleep 1; done'], {})
    for _ in range(3):
        pid = os.fork()
        if not pid: stray()
        os.waitpid(pid, 0)
    return 'done'
"""

#: Runs alike on every executor.
ANIMALS: dict[str, Animal] = {
    "leaves daemons without variables, parents and directory": Animal(
        source=_STRAYS, code="", gives={"Output": "STRING"}
    ),
    "ignores SIGTERM with all its children": Animal(
        source="""
        def f():
            import os, signal, time
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            for _ in range(4): os.fork()
            time.sleep(600)
        """,
        timeout_s=1.0,
        code="TIMEOUT",
        words=("1 s",),
    ),
    "bombs with memory": Animal(
        source="def f():\n    held = []\n    while True: held.append(bytearray(1 << 20))",
        resources={"memory_limit": "128Mi"},
        code="OUT_OF_MEMORY",
        words=("128Mi", "memory limit"),
    ),
    "fills its directory": Animal(
        source="""
        def f(a: Output[Dataset]):
            import os
            os.makedirs(os.path.dirname(a.path), exist_ok=True)
            with open(a.path, 'wb') as file:
                while os.fstat(file.fileno()).st_size < 1 << 30: file.write(bytes(1 << 20)), file.flush(), os.fsync(file)
            import time; time.sleep(600)
        """,
        allowance={"max_work_bytes": 32 << 20},
        code="DISK_LIMIT",
        words=("32Mi", "setting max_work_bytes"),
    ),
    "makes files without end": Animal(
        source="""
        def f(a: Output[Dataset]):
            import os
            os.makedirs(a.path)
            for number in range(10_000_000): open(f'{a.path}/{number}', 'w').close()
        """,
        allowance={"max_work_files": 20_000},
        code="DISK_LIMIT",
        words=("20000", "setting max_work_files"),
    ),
    "writes log without end": Animal(
        source="def f():\n    import os\n    while True: os.write(1, b'x' * 999_999 + b'\\n')",
        options={"max_log_bytes": 20_000_000},
        code="LOG_LIMIT",
        words=("20000000", "setting max_log_bytes"),
    ),
    "writes one line of 100 MB": Animal(
        source="def f() -> int:\n    import os\n    os.write(1, b'x' * 100_000_000)\n    return 1",
        gives={"Output": "NUMBER_INTEGER"},
        code="",
    ),
    "returns 50 MB": Animal(
        source="def f() -> str:\n    return 'x' * 50_000_000",
        gives={"Output": "STRING"},
        code="PARAMETER_TOO_LARGE",
        words=("'Output'", "100000", "setting max_parameter_bytes"),
    ),
    "writes 200 MB in place of a parameter": Animal(
        source="def f(a: OutputPath(str)):\n    open(a, 'wb').truncate(200_000_000)",
        gives={"a": "STRING"},
        code="PARAMETER_TOO_LARGE",
        words=("'a'", "100000", "setting max_parameter_bytes"),
    ),
    "writes bytes in place of a parameter": Animal(
        source="def f(a: OutputPath(str)):\n    open(a, 'wb').write(b'\\xff\\xfe\\x00')",
        gives={"a": "STRING"},
        code="OUTPUT_INVALID",
        words=("'a'",),
    ),
    "puts a pipe in place of a parameter": Animal(
        source="def f(a: OutputPath(str)):\n    import os\n    os.makedirs(os.path.dirname(a), exist_ok=True)\n    os.mkfifo(a)",
        gives={"a": "STRING"},
        code="OUTPUT_INVALID",
        words=("'a'",),
    ),
    "deletes its directories": Animal(
        source="""
        def f(a: Output[Dataset]) -> int:
            import os, shutil
            place = os.path.dirname(a.path)
            shutil.rmtree(os.getcwd(), ignore_errors=True)
            shutil.rmtree(place, ignore_errors=True)
            os._exit(0)
        """,
        gives={"Output": "NUMBER_INTEGER"},
        code="EXITED_EARLY",
    ),
    "says that it ended well, and fails": Animal(
        source="""
        def f(a: Output[Dataset]) -> int:
            import json, os
            outputs = os.path.dirname(a.path)
            for name in ('executor_output.json', 'outcome.json'):
                open(f'{outputs}/{name}', 'w').write(json.dumps({'parameterValues': {'Output': 1}}))
            os._exit(7)
        """,
        gives={"Output": "NUMBER_INTEGER"},
        code="EXIT_CODE",
        words=("7",),
    ),
    "says that its disk is full": Animal(
        source="def f():\n    import errno, os\n    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), '/data/file')",
        code="DISK_FULL",
        words=("disk", "/data/file"),
    ),
}

#: Those that need to see our own files and processes, or that only a group of ours can tell.
PROCESS_ANIMALS: dict[str, Animal] = {
    "bombs with a child's memory": Animal(
        source="""
        def f():
            import subprocess, sys, time
            text = 'held = []\\nwhile True: held.append(bytearray(1 << 20))'
            if subprocess.run([sys.executable, '-c', text]).returncode: raise RuntimeError('my child has died')
        """,
        resources={"memory_limit": "128Mi"},
        code="OUT_OF_MEMORY",
        words=("128Mi", "memory limit"),
    ),
    "bombs with processes": Animal(
        source="""
        def f():
            import os, time
            while True:
                try:
                    if not os.fork(): time.sleep(600)
                except OSError:
                    pass
        """,
        allowance={"max_processes": 60},
        timeout_s=30.0,
        code="PROCESS_LIMIT",
        words=("60", "setting max_processes"),
    ),
    "stops itself and its supervisor": Animal(
        source="""
        def f():
            import os, signal
            for pid in (os.getppid(), os.getpid()): os.kill(pid, signal.SIGSTOP)
        """,
        timeout_s=1.0,
        code="TIMEOUT",
    ),
    "forges its own end": Animal(
        source="""
        def f():
            import json, os
            place = os.path.dirname(os.getcwd())
            for name in ('exit', 'result.json', 'ending.json.part'): open(f'{place}/{name}', 'w').write('0')
            os._exit(3)
        """,
        code="EXIT_CODE",
        words=("3",),
    ),
    "forges its neighbour's end": Animal(
        source="""
        def f():
            import glob, os
            mine = os.path.dirname(os.getcwd())
            for place in glob.glob(f'{os.path.dirname(os.path.dirname(mine))}/*/*'):
                if place != mine:
                    open(f'{place}/exit', 'w').write('9')
                    open(f'{place}/outputs/outcome.json', 'w').write('{"code": "FORGED", "message": "by another"}')
                    open(f'{place}/outputs/executor_output.json', 'w').write('{"parameterValues": {"Output": "forged"}}')
        """,
        code="",
    ),
}

#: A cold start has a supervisor of its own; of a warm one, others are children too.
COLD_ANIMALS: dict[str, Animal] = {
    "kills its supervisor": Animal(
        source="""
        def f():
            import os, signal, time
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(600)
        """,
        code="ATTEMPT_LOST",
    ),
}
WARM_ANIMALS: dict[str, Animal] = {
    "kills its parent": Animal(
        source="""
        def f() -> int:
            import os, signal
            os.kill(os.getppid(), signal.SIGKILL)
            return 1
        """,
        gives={"Output": "NUMBER_INTEGER"},
        code="",
    ),
    "stops its parent": Animal(
        source="""
        def f() -> int:
            import os, signal
            os.kill(os.getppid(), signal.SIGSTOP)
            return 1
        """,
        gives={"Output": "NUMBER_INTEGER"},
        code="",
    ),
}
