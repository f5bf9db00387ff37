"""What a component can do to its executor. Each deed is a Python function's text, and what the executor must say of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Deed:
    """One behaviour and its outcome."""

    source: str
    #: Declared outputs.
    gives: dict[str, str] = field(default_factory=dict)
    makes: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    timeout_s: float | None = None
    #: Output parameters if it succeeds, else None and a code.
    result: dict[str, Any] | None = None
    code: str = ""
    #: Words that the message must hold.
    words: tuple[str, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)


DEEDS: dict[str, Deed] = {
    "returns": Deed(
        source="def f(a: int, b: float = 0.5) -> float:\n    return a + b",
        parameters={"a": 2},
        gives={"Output": "NUMBER_DOUBLE"},
        result={"Output": 2.5},
    ),
    "many outputs": Deed(
        source="""
        def f(n: int) -> NamedTuple('Outputs', [('text', str), ('items', List[int]), ('facts', dict), ('yes', bool)]):
            return ('ä' * n, list(range(n)), {'n': n, 'none': None}, n > 1)
        """,
        parameters={"n": 3},
        gives={"text": "STRING", "items": "LIST", "facts": "STRUCT", "yes": "BOOLEAN"},
        result={"text": "äää", "items": [0, 1, 2], "facts": {"n": 3, "none": None}, "yes": True},
    ),
    "by path": Deed(
        source="""
        def f(count: OutputPath(int), ok: OutputPath(bool), text: OutputPath(str)):
            open(count, 'w').write('7'), open(ok, 'w').write('True'), open(text, 'w').write(' as it is \\n')
        """,
        gives={"count": "NUMBER_INTEGER", "ok": "BOOLEAN", "text": "STRING"},
        result={"count": 7, "ok": True, "text": " as it is \n"},
    ),
    "clean environment": Deed(
        source="""
        def f() -> list:
            import os
            return sorted(name for name in os.environ if name.startswith('HEADRACE') and name != 'HEADRACE_ATTEMPT')
        """,
        gives={"Output": "LIST"},
        result={"Output": []},
    ),
    "raises": Deed(
        source="def f(x: int):\n    def inner():\n        raise ValueError('boom ä')\n    inner()",
        parameters={"x": 1},
        code="USER_EXCEPTION",
        words=("ValueError", "boom ä"),
        details={"exception_type": "ValueError", "function": "inner", "source_line": "raise ValueError('boom ä')"},
    ),
    "syntax error": Deed(source="def f():\n    return 1 +", code="USER_EXCEPTION", words=("SyntaxError",)),
    "missing module": Deed(
        source="def f():\n    import no_such_module_at_all",
        code="MODULE_NOT_FOUND",
        words=("no_such_module_at_all", "packages_to_install"),
    ),
    "exit status": Deed(
        source="def f():\n    import sys\n    sys.exit(3)", code="EXIT_CODE", words=("3",), details={"exit_code": 3}
    ),
    "exit status by os._exit": Deed(
        source="def f():\n    import os\n    os._exit(9)", code="EXIT_CODE", details={"exit_code": 9}
    ),
    "ends the interpreter quietly": Deed(source="def f():\n    import os\n    os._exit(0)", code="EXITED_EARLY"),
    "killed by a signal": Deed(
        source="def f():\n    import ctypes\n    ctypes.string_at(0)",
        code="KILLED_BY_SIGNAL",
        words=("SIGSEGV",),
        details={"signal": "SIGSEGV"},
    ),
    "not a number": Deed(
        source="def f() -> dict:\n    return {'scores': [1.0, float('nan')]}",
        gives={"Output": "STRUCT"},
        code="OUTPUT_INVALID",
        words=("'Output'", "['scores'][1]", "NaN"),
    ),
    "infinite": Deed(
        source="def f() -> float:\n    return float('inf')",
        gives={"Output": "NUMBER_DOUBLE"},
        code="OUTPUT_INVALID",
        words=("'Output'", "infinite"),
    ),
    "half a character": Deed(
        source="def f() -> dict:\n    return {'names': ['whole', '\\ud800']}",
        gives={"Output": "STRUCT"},
        code="OUTPUT_INVALID",
        words=("'Output'", "['names'][1]", "surrogate"),
    ),
    "half a character as a key": Deed(
        source="def f() -> dict:\n    return {'\\ud800': 1}",
        gives={"Output": "STRUCT"},
        code="OUTPUT_INVALID",
        words=("'Output'", "surrogate"),
    ),
    "wrong type": Deed(
        source="def f() -> int:\n    return 'seven'",
        gives={"Output": "NUMBER_INTEGER"},
        code="OUTPUT_INVALID",
        details={"output": "Output", "expected": "int", "got": "str"},
    ),
    "wrong type by path": Deed(
        source="def f(n: OutputPath(int)):\n    open(n, 'w').write('seven')",
        gives={"n": "NUMBER_INTEGER"},
        code="OUTPUT_INVALID",
        words=("'n'", "must be int", "seven"),
    ),
    "object": Deed(
        source="def f() -> list:\n    return [object()]",
        gives={"Output": "LIST"},
        code="OUTPUT_INVALID",
        words=("[0]", "object"),
    ),
    "returns nothing": Deed(
        source="def f() -> str:\n    pass",
        gives={"Output": "STRING"},
        code="OUTPUT_MISSING",
        details={"output": "Output", "expected": "str"},
    ),
    "huge parameter": Deed(
        source="def f() -> str:\n    return 'x' * 200_000",
        gives={"Output": "STRING"},
        code="PARAMETER_TOO_LARGE",
        words=("'Output'", "max_parameter_bytes"),
        details={"limit": 100_000},
    ),
    "missing input": Deed(source="def f(a: int):\n    pass", code="INPUT_MISSING", words=("'a'",)),
    "hangs": Deed(
        source="def f():\n    import time\n    time.sleep(600)", timeout_s=0.5, code="TIMEOUT", words=("0.5 s",)
    ),
    "ignores SIGTERM": Deed(
        source="def f():\n    import signal, time\n    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n    time.sleep(600)",
        timeout_s=0.5,
        code="TIMEOUT",
    ),
    "writes bytes that are no text": Deed(
        source="def f():\n    import sys\n    sys.stdout.buffer.write(b'caf\\xe9 \\xff\\x00\\n')", result={}
    ),
    "links to what is not there": Deed(
        source="def f(a: Output[Dataset]):\n    import os\n    os.symlink('/nowhere/at/all', a.path)",
        makes={"a": "system.Dataset"},
        code="ARTIFACT_INVALID",
        words=("'a'", "symbolic link", "cp -L"),
    ),
    "links in a circle": Deed(
        source="def f(a: Output[Dataset]):\n    import os\n    os.mkdir(a.path)\n    os.symlink('.', a.path + '/me')",
        makes={"a": "system.Dataset"},
        code="ARTIFACT_INVALID",
        words=("'me'", "symbolic link", "cp -L"),
    ),
    "points at what is not its own": Deed(
        source="def f(a: Output[Dataset]):\n    a.uri = '/etc/passwd'",
        makes={"a": "system.Dataset"},
        code="ARTIFACT_INVALID",
        words=("/etc/passwd",),
    ),
}

#: The first process of a container ignores signals that it sends itself.
PROCESS_DEEDS: dict[str, Deed] = {
    "stops itself": Deed(
        source="def f():\n    import os, signal\n    os.kill(os.getpid(), signal.SIGSTOP)",
        timeout_s=0.5,
        code="TIMEOUT",
    ),
    "kills itself": Deed(
        source="def f():\n    import os, signal\n    os.kill(os.getpid(), signal.SIGKILL)",
        code="KILLED_BY_SIGNAL",
        details={"signal": "SIGKILL"},
    ),
}
