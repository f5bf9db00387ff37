"""CEL expressions, evaluated within budgets of memory and time.

An expression with a macro (`[x].map(a, a + a)`) can ask for any amount of memory in a few characters, and one over
large values for much work; the CEL library bounds neither. Such an expression is evaluated in a process of its own,
which the kernel ends at its limits. All others are evaluated at once: what they can make is bounded by their own length
and by the values that they name.
"""

from __future__ import annotations

import functools
import json
import re
import resource
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, cast

from cel_expr_python import cel

from headrace.engine.model import Json

#: Longest condition or selector, in characters.
MAX_EXPRESSION = 10_000
#: Bytes of memory that evaluating an expression may take, and that its result may have as JSON.
MAX_MEMORY, MAX_RESULT = 64 << 20, 1 << 20
#: Seconds of processor time, and of waiting for the process.
MAX_CPU_S, MAX_WAIT_S = 1, 5
#: Bytes that an expression without macros may look at and make, to be evaluated at once.
_QUICK_BYTES = 2 << 20
#: Functions that only look at what they are given.
_FUNCTIONS = "int|uint|double|string|bool|size|type"
_METHODS = "startsWith|endsWith|contains|matches|size"
#: What an expression may consist of that is evaluated at once. Everything else, such as a macro, a comment, or a text
#: in another spelling, is evaluated in a process of its own. A name before `(` is a function, after `.` a method.
_NAME = r"(?!\d)\w++(?!\s*\()(?!['\"])"
_PIECES = (
    r"\s++",
    r"(?!'''|\"\"\")(?:'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\")",
    _NAME,
    r"\d+(?:\.\d+)?(?:[eE][-+]?\d+)?u?(?![\w.'\"])",
    rf"(?<![\w.])(?:{_FUNCTIONS})\s*\(",
    r"==|!=|<=|>=|&&|\|\||[<>!?:()\[\],.\-]",
)
_MORE_PIECES = (r"[+*%]|/(?![/*])", rf"\.(?:{_METHODS})\(", r"(?<![\w.])parseJson\s*\(")
_PLAIN = re.compile(f"(?:{'|'.join(_PIECES)})*+", re.ASCII)
_BOUNDED = re.compile(f"(?:{'|'.join([*_MORE_PIECES, *_PIECES])})*+", re.ASCII)
_NAMES = re.compile(r"[A-Za-z_]\w*")
_TOO_MUCH = f"it takes more than {MAX_MEMORY >> 20} MiB of memory or {MAX_CPU_S} s of processor time"


class ExpressionError(Exception):
    """The expression is malformed, or cannot be evaluated on these values."""


@functools.lru_cache(maxsize=1024)
def is_plain(expression: str) -> bool:
    """Whether it only compares what it names, so that it never takes long."""
    return len(expression) <= MAX_EXPRESSION and _PLAIN.fullmatch(expression) is not None


def is_quick(expression: str, names: Mapping[str, Json]) -> bool:
    """Whether all that it can look at and make is little: then it is evaluated at once."""
    return is_plain(expression) or (_is_bounded(expression) and _cost(expression, names) <= _QUICK_BYTES)


@functools.lru_cache(maxsize=1024)
def _is_bounded(expression: str) -> bool:
    """Whether what it can make is bounded by its own length and by the values that it names."""
    return len(expression) <= MAX_EXPRESSION and _BOUNDED.fullmatch(expression) is not None


def evaluate(expression: str, names: Mapping[str, Json]) -> Json:
    """The value of an expression; raises ExpressionError, also when it needs more than the budgets allow."""
    return evaluate_here(expression, names) if is_quick(expression, names) else _evaluate_apart(expression, names)


def evaluate_here(expression: str, names: Mapping[str, Json]) -> Json:
    """The same in this process, without budgets."""
    program = compiled(expression)
    try:
        value = program.eval(data=dict(names))
        failed = value.type() == cel.Type.ERROR
        result = value.value() if failed else value.plain_value()
    except Exception as error:
        raise ExpressionError(str(error)) from None
    if failed:
        raise ExpressionError(str(result))
    return cast(Json, result)


def _cost(expression: str, names: Mapping[str, Json]) -> int:
    """At most so many bytes are looked at: each name may stand for the largest value."""
    largest = max((len(json.dumps(value)) for value in names.values()), default=0)
    return (len(_NAMES.findall(expression)) + 1) * (largest + len(expression))


def _evaluate_apart(expression: str, names: Mapping[str, Json]) -> Json:
    compiled(expression)  # what is malformed is refused without a process
    question = json.dumps([expression, dict(names)])
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", __name__],
            input=question.encode(),
            capture_output=True,
            timeout=MAX_WAIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ExpressionError(_TOO_MUCH) from None
    if done.returncode != 0 or not done.stdout:
        raise ExpressionError(_TOO_MUCH)
    answer = json.loads(done.stdout)
    if "error" in answer:
        raise ExpressionError(answer["error"])
    return cast(Json, answer["value"])


@functools.lru_cache(maxsize=1024)
def compiled(expression: str) -> Any:
    """The expression as the library has it; raises ExpressionError."""
    if len(expression) > MAX_EXPRESSION:
        raise ExpressionError(f"the expression has more than {MAX_EXPRESSION} characters")
    try:
        # Unchecked: the checker refuses macros and mixed numbers that KFP's own evaluator accepts on these values.
        return _environment().compile(expression, disable_check=True)
    except Exception as error:
        raise ExpressionError(str(error).strip()) from None


@functools.lru_cache(maxsize=1)
def _environment() -> Any:
    parse = cel.Overload(
        "parse_json_string", return_type=cel.Type.DYN, parameters=[cel.Type.STRING], impl=_parse_json
    )  # fmt: skip
    return cel.NewEnv(
        variables={
            "inputs": cel.Type.DYN,
            "string_value": cel.Type.STRING,
            "struct_value": cel.Type.DYN,
            "list_value": cel.Type.DYN,
            "number_value": cel.Type.DOUBLE,
            "bool_value": cel.Type.BOOL,
            "null_value": cel.Type.NULL,
        },
        functions=[cel.FunctionDecl("parseJson", [parse])],
    )


def _parse_json(text: str) -> Json:
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("the JSON text is nested too deep") from None


# --- the process of its own ------------------------------------------------------------------------


def _main() -> None:
    """Answer one question: `[expression, names]` on the standard input, `{"value": …}` or `{"error": …}` back."""
    expression, names = json.load(sys.stdin)
    compiled(expression)
    _limit()
    try:
        answer = {"value": evaluate_here(expression, names)}
        text = json.dumps(answer)
        if len(text) > MAX_RESULT:
            text = json.dumps({"error": f"its result has more than {MAX_RESULT >> 20} MiB"})
    except ExpressionError as error:
        text = json.dumps({"error": _TOO_MUCH if "bad_alloc" in str(error) else str(error)[:1000]})
    except (MemoryError, TypeError, ValueError):
        text = json.dumps({"error": _TOO_MUCH})
    sys.stdout.write(text)


def _limit() -> None:
    """From here on, this process may take so much more memory, and so much time."""
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
        now = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + MAX_MEMORY, now + MAX_MEMORY))
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + 1 + MAX_CPU_S
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    _main()
