"""Shows what tasks print while a run is watched: `[train] | epoch 1`."""

from __future__ import annotations

import codecs
import contextlib
import threading
from collections.abc import Callable, Iterator

from headrace.client.errors import ApiError, ServerUnreachable
from headrace.client.headrace import Headrace
from headrace.wire.api import ExecutionView, RunChange

#: Seconds between two looks at the logs of running tasks; longer when there are many: so many seconds for each.
_LOOK_S = 0.3
_EACH_S = 0.05
_PIECE_BYTES = 1 << 16
#: Bytes of one attempt's log that are shown; the rest is read with `headrace logs`.
_MOST_BYTES = 1 << 20
_FINAL = frozenset({"SUCCEEDED", "FAILED", "CANCELED", "SKIPPED"})


class _Log:
    """The log of one attempt, as far as it has been shown."""

    def __init__(self, execution: ExecutionView, number: int, label: str) -> None:
        self.execution_id = execution.execution_id
        self.number = number
        self.label = label
        self.offset = 0
        self.rest = ""
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")


class TaskLogs:
    """Follows the logs of a run's attempts, with a client of its own."""

    def __init__(
        self, client: Headrace, label: Callable[[ExecutionView], str], show: Callable[[list[str]], None], *, all_: bool
    ) -> None:
        """`all_`: also those of attempts that had ended before the run was watched."""
        self._client = client
        self._label = label
        self._show = show
        self._seen: set[tuple[str, int]] = set()
        self._running: dict[tuple[str, int], _Log] = {}
        self._skip_ended = not all_
        self._lock = threading.Lock()

    def apply(self, change: RunChange) -> None:
        """Take up attempts that have begun; show all that those have printed that have ended."""
        ended = []
        with self._lock:
            for execution in change.executions:
                for attempt in execution.attempts:
                    key = (execution.execution_id, attempt.number)
                    is_final = attempt.state in _FINAL
                    if key not in self._seen and (is_final or attempt.state == "RUNNING"):
                        self._seen.add(key)
                        if not (is_final and self._skip_ended):
                            self._running[key] = _Log(execution, attempt.number, self._label(execution))
                    if is_final and key in self._running:
                        ended.append(self._running.pop(key))
            self._skip_ended = False
            for log in ended:
                self._read(log, is_final=True)

    @contextlib.contextmanager
    def going(self) -> Iterator[None]:
        """Look at the logs of running attempts in the block."""
        ended = threading.Event()

        def look() -> None:
            while not ended.wait(max(_LOOK_S, _EACH_S * len(self._running))):
                for key, log in list(self._running.items()):
                    with self._lock:
                        if key in self._running:
                            self._read(log, is_final=False)

        thread = threading.Thread(target=look, name="headrace-logs", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _read(self, log: _Log, *, is_final: bool) -> None:
        try:
            while log.offset < _MOST_BYTES:
                part = self._client.read_log(
                    log.execution_id, attempt=log.number, offset=log.offset, limit=_PIECE_BYTES
                )
                if not part.content:
                    break
                log.offset = part.offset
                self._lines(log, log.decoder.decode(part.content))
                if log.offset >= _MOST_BYTES:
                    log.rest = ""
                    self._show([f"[{log.label}] | … the rest of its log: headrace logs RUN TASK"])
                if not is_final:
                    return
        except (ApiError, ServerUnreachable, OSError):
            return  # a log that is not there yet, or a server that is gone: the watch says so
        if is_final and log.rest:
            self._lines(log, "\n")

    def _lines(self, log: _Log, text: str) -> None:
        *lines, log.rest = (log.rest + text).split("\n")
        if len(log.rest) > _PIECE_BYTES:
            lines, log.rest = [*lines, log.rest], ""
        if lines:
            self._show([f"[{log.label}] | {_last_state(line)}" for line in lines])


def _last_state(line: str) -> str:
    """Of a progress bar, which a carriage return writes over, what is seen at its end."""
    return line.rstrip("\r").rpartition("\r")[2]
