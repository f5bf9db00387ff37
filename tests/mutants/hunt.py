"""Plant each fault of `faults/` in a copy of the repository, and see that its suite finds it.

    hunt.py                      all faults; prints a table by room and each fault that was not found
    hunt.py    NAME ...          only these faults
    hunt.py    --room ROOM       only the faults of this room (may be given several times)
    hunt.py    --jobs N          how many at once (2)

Ends with 1 when a fault is not found or does not fit the source any more. A suite must pass without any fault first.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import SimpleQueue

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mutants.copies import Copy, Outcome
from mutants.faults import Fault, Stale, read_faults

_COLUMNS = ("found", "not found", "stale")


class Hunt:
    """Faults that are tried in a few copies at once."""

    def __init__(self, copies: list[Copy]) -> None:
        self._size = len(copies)
        self._free: SimpleQueue[Copy] = SimpleQueue()
        for copy in copies:
            self._free.put(copy)

    @classmethod
    @contextmanager
    def of(cls, jobs: int) -> Iterator[Hunt]:
        """With so many copies; they are removed at the end."""
        with ExitStack() as stack:
            folders = [stack.enter_context(tempfile.TemporaryDirectory(prefix="headrace-fault-")) for _ in range(jobs)]
            yield cls([Copy(Path(folder)) for folder in folders])

    def run(self, faults: list[Fault]) -> Iterator[tuple[Fault, str, str]]:
        """Each fault with its column and a detail, in the given order."""
        with ThreadPoolExecutor(self._size) as threads:
            suites = list(dict.fromkeys((fault.suite, fault.limit_s) for fault in faults))
            without = dict(zip(suites, threads.map(lambda one: self._without_fault(*one), suites), strict=True))
            yield from threads.map(lambda fault: self._one(fault, without[fault.suite, fault.limit_s]), faults)

    def _without_fault(self, suite: tuple[str, ...], limit_s: float) -> Outcome:
        copy = self._free.get()
        try:
            return copy.run(suite, limit_s, histories=100)
        finally:
            self._free.put(copy)

    def _one(self, fault: Fault, without: Outcome) -> tuple[Fault, str, str]:
        if without.word != "PASSED":
            return fault, "not found", f"the suite does not pass without the fault: {without.word} {without.detail}"
        copy = self._free.get()
        try:
            with copy.planted(fault):
                outcome = copy.run(fault.suite, fault.limit_s)
        except Stale as stale:
            return fault, "stale", str(stale)
        finally:
            self._free.put(copy)
        column = "found" if outcome.word == "FAILED" else "not found"
        return fault, column, outcome.detail or "all tests pass"


def main() -> int:
    parser = argparse.ArgumentParser(description="Plant faults, and see that their suites find them.")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--room", action="append", default=[])
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    faults = read_faults()
    unknown = {*options.names} - {f.name for f in faults} | {*options.room} - {f.room for f in faults}
    if unknown:
        parser.error(f"there is no fault or room {', '.join(sorted(unknown))}")
    if options.names or options.room:
        faults = [fault for fault in faults if fault.name in options.names or fault.room in options.room]
    table: dict[str, Counter[str]] = {fault.room: Counter() for fault in faults}
    missed = []
    with Hunt.of(options.jobs) as hunt:
        for fault, column, detail in hunt.run(faults):
            table[fault.room][column] += 1
            print(f"{column:9}  {fault.room}: {fault.name:36} {detail}", flush=True)
            if column != "found":
                missed.append(f"{column}: {fault.room}: {fault.name}: {fault.breaks}\n    {detail}")
    _print_table(table)
    print("\n".join(missed))
    return 1 if missed else 0


def _print_table(table: dict[str, Counter[str]]) -> None:
    print("\nroom            " + "".join(f"{column:>11}" for column in _COLUMNS))
    for room, counts in [*table.items(), ("all", sum(table.values(), Counter()))]:
        print(f"{room:16}" + "".join(f"{counts[column]:11}" for column in _COLUMNS))


if __name__ == "__main__":
    sys.exit(main())
