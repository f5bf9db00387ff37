"""One attempt of a Python component, from its request to its outputs.

The request is a JSON document: `executor_input` (KFP's ExecutorInput, with paths of this machine),
`source` (a Python file), `function` (a name in it), `outcome` (the file for the report of a failure), `code` (the
folder of the user's own modules, if the component has any), `lines` (which lines of the source are lines of which file
of its author: `[[row, rows, file, line]]`), `variables` (environment variables that no shell passes
on, if there are any) and `imports` (the file for the names of the modules that
were loaded, if the executor asks for them).
"""

from __future__ import annotations

import gc
import os
import sys

from headrace.runtime import plain
from headrace.runtime.arguments import Files, arguments_for
from headrace.runtime.head import without_idle_imports
from headrace.runtime.problems import Problem, report_exception, report_problem
from headrace.runtime.returns import write_executor_output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType
    from typing import Any, NoReturn

#: Characters of the text of `sys.exit(text)` that stand in the reason.
_MOST_WORDS = 500
#: Sources that are kept compiled, and how many bytes one of them may have.
_MOST_SOURCES, _LONGEST_SOURCE = 100, 1 << 18
#: What `compile_ahead` has compiled, by the path of the source. A source is never changed: its folder is named by its
#: digest.
_compiled: dict[str, CodeType] = {}


def main(request_path: str) -> NoReturn:
    """Execute the request in a file, and end the interpreter."""
    with open(request_path, encoding="utf-8") as file:  # noqa: PTH123
        request = plain.loads(file.read())
    if request_path.startswith("/dev/fd/"):
        os.close(int(request_path[len("/dev/fd/") :]))
    status = run(request)
    tell_imports(request)
    leave(status, request)


def run(request: dict[str, Any]) -> int:
    """Do the work; the exit status is 0 only when all is well."""
    os.environ.update(request.get("variables") or {})
    try:
        _execute(request)
    except Problem as problem:
        report_problem(request["outcome"], problem)
    except SystemExit as exit_:
        return _exited(exit_, request)
    except BaseException as error:
        report_exception(request["outcome"], error, request)
    else:
        return 0
    return 1


def tell_imports(request: dict[str, Any]) -> None:
    """Write down which modules of the environment were loaded for the task, in their order."""
    path = request.get("imports")
    names = [name for name in _loaded_for(request)[::-1] if _is_installed(name)] if path else []
    if path and names:
        try:
            with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123
                file.write("\n".join(names))
        except OSError:
            pass


def _loaded_for(request: dict[str, Any]) -> list[str]:
    """Names of the modules that were loaded for the task, the latest first, without the component's own.

    The component's own module is the first of them. Only what comes after it is looked at: in a child of a warm start
    each object that is touched costs a copy of its page. All modules, when the component's own is not there any more.
    """
    own = _module_name(request["source"])
    names = []
    for name in reversed(sys.modules):
        if name == own:
            break
        names.append(name)
    return names


def _module_name(source: str) -> str:
    return os.path.basename(source)[: -len(".py")]  # noqa: PTH119


def _is_installed(name: str) -> bool:
    """Whether importing it by this name again would find the same, for every importer."""
    spec = getattr(sys.modules.get(name), "__spec__", None)
    origin = getattr(spec, "origin", None)
    if spec is None or spec.name != name or not isinstance(origin, str):
        return False
    return origin in ("built-in", "frozen") or origin.startswith((f"{sys.prefix}/", f"{sys.base_prefix}/"))


def leave(status: int, request: dict[str, Any], claim: str = "") -> NoReturn:
    """End the interpreter as it would end by itself, except that modules that are not the user's are not torn down.

    In Python's order: threads are joined, `atexit` handlers run, the user's own modules are emptied (so
    that files are flushed and finalizers run), streams are flushed. With `claim`, the process that has taken it adds
    its status.
    """
    import atexit

    threading = sys.modules.get("threading")
    if threading is not None:
        threading._shutdown()
    atexit._run_exitfuncs()
    modules = [sys.modules.get(name) for name in [*_loaded_for(request), _module_name(request["source"])]]
    for module in [module for module in modules if _is_users(module, request)]:
        _empty(vars(module))
    gc.collect()
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except ValueError:  # the user's code has closed it
            pass
        except OSError:
            status = status or 120  # Python's own status for it
    if claim and os.getpid() == os.getsid(0):
        with open(claim, "a", encoding="utf-8") as file:  # noqa: PTH123
            file.write(f"exit {status}\n")
    os._exit(status)


def _is_users(module: Any, request: dict[str, Any]) -> bool:
    file = getattr(module, "__file__", None)
    places = (request["source"], request.get("code") or request["source"], os.path.dirname(request["outcome"]))  # noqa: PTH120
    return isinstance(file, str) and file.startswith(places)


def _empty(names: dict[str, Any]) -> None:
    """As Python empties a module that is still in use at the end: first its private names, then the others."""
    for private in (True, False):
        for name in list(names):
            if (name.startswith("_") and not name.startswith("__")) is private and name != "__builtins__":
                names[name] = None


def _execute(request: dict[str, Any]) -> None:
    executor_input = request["executor_input"]
    function = _load(request["source"], request["function"], request.get("code", ""))
    files = Files(executor_input, function, request.get("root"), request.get("elsewhere"))
    arguments = arguments_for(function, executor_input, files)
    result = None
    try:
        result = function(**arguments)
    except SystemExit as exit_:
        if _status(exit_.code):
            raise
    try:
        write_executor_output(function, result, files)
    except Problem as problem:
        from headrace.runtime import failure_places

        problem.details.update(failure_places.of_function(function, request))
        raise


def _exited(exit_: SystemExit, request: dict[str, Any]) -> int:
    """The status of `sys.exit(code)`, after a report where it is not 0: the user's code chose it, not a signal."""
    code, status = exit_.code, _status(exit_.code)
    if status:
        from headrace.runtime import failure_places

        words = "" if isinstance(code, int) else str(code)
        if words:
            print(words, file=sys.stderr)
        said = f": {words[:_MOST_WORDS]}" if words else "."
        message = f"The component ended the interpreter with exit status {status}{said}"
        place = failure_places.of_error(exit_, request)
        report_problem(request["outcome"], Problem("EXIT_CODE", message, exit_code=status, **place))
    return status


def _status(code: Any) -> int:
    """The exit status of `sys.exit(code)`."""
    if code is None:
        return 0
    return code & 0xFF if isinstance(code, int) else 1


def _load(source: str, name: str, code: str) -> Callable[..., Any]:
    """The function `name` of the file `source`, made as a module that others can import by its name."""
    code_object = _compiled.get(source) or _compile(source)
    module = type(sys)(_module_name(source))
    module.__file__ = source
    if code:
        # The source would unpack the modules itself; here that has been done, once for all attempts.
        module.__dict__["__HEADRACE_CODE_PLACE"] = code
    sys.modules[module.__name__] = module
    sys.path.insert(0, os.path.dirname(source))  # noqa: PTH120
    exec(code_object, module.__dict__)  # noqa: S102 - what we are here for
    try:
        found = getattr(module, name)
    except AttributeError:
        raise Problem("SOURCE_INVALID", f"The component's source has no function {name!r}.") from None
    function: Callable[..., Any] = getattr(found, "python_func", found)
    return function


def compile_ahead(source: str) -> None:
    """Compile a source for the processes that this one will fork: one that an attempt has run without a failure.

    Raises OSError, ValueError and SyntaxError; so also for a warning, which belongs into the log of each attempt.
    """
    import warnings

    if source in _compiled or os.path.getsize(source) > _LONGEST_SOURCE:  # noqa: PTH202
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        code_object = _compile(source)
    if len(_compiled) >= _MOST_SOURCES:
        del _compiled[next(iter(_compiled))]
    _compiled[source] = code_object


def _compile(source: str) -> CodeType:
    with open(source, encoding="utf-8") as file:  # noqa: PTH123
        text = file.read()
    _load_late(text)
    return compile(without_idle_imports(text), source, "exec", dont_inherit=True)


def _load_late(text: str) -> None:
    """Load the names that our shim only has on demand, if the source uses them after `from kfp.dsl import *`."""
    for name in ("PipelineTaskFinalStatus", "TaskConfig"):
        if name in text:
            import kfp.dsl

            getattr(kfp.dsl, name, None)
