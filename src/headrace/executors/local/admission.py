"""Which attempts may begin on this machine, and in which order.

The rule. An attempt takes one of `max_parallel` slots and what it asks for: cores, memory, accelerators (a request,
else the limit; nothing asked for, nothing taken). Attempts wait in one queue. The first in the queue begins as soon
as it fits. While it does not, of the `LOOK` behind it those that do fit may pass, but only `PASSES` of them: then
everything that becomes free is kept for the first one. So it waits at most for what was running then, which has to
end anyway, and none waits forever. What would not fit on the empty machine is refused at once.

What runs already when a server starts is counted even if there is no room for it; what asks for any of that begins
when there is.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import islice

from headrace.attempt.codes import Code
from headrace.attempt.refusal import Refusal
from headrace.engine.model import Reason
from headrace.executors.local.machine import Machine
from headrace.executors.local.resources import Allocation, Resources, size

#: How many may pass the first in line while it waits for more than is free.
PASSES = 16
#: So far down the line we look for some that fit: a look at all of a long one would cost more than it gains.
LOOK = 64
#: Sums of cores as people write them are not exact.
_TINY = 1e-6


class _Waiter:
    """An attempt that waits in the queue."""

    def __init__(self, resources: Resources) -> None:
        self.resources = resources
        self.granted: asyncio.Future[Allocation] = asyncio.get_running_loop().create_future()
        self.passed_by = 0


class Admission:
    """A fair lock over several quantities, that can be overdrawn by what runs already."""

    def __init__(self, limit: int, machine: Machine | None) -> None:
        self.limit = limit
        #: None: nothing but slots decides.
        self.machine = machine
        self.taken = 0
        self._cpus = 0.0
        self._memory = 0
        self._accelerators: Counter[str] = Counter()
        self._devices = {kind: list(names) for kind, names in machine.accelerators.items()} if machine else {}
        self._queue: list[_Waiter] = []

    @property
    def queued(self) -> int:
        """How many attempts wait."""
        return len(self._queue)

    def check(self, resources: Resources) -> None:
        """Raise Refusal for what can never begin here."""
        machine = self.machine
        if machine is None:
            return
        if resources.cpus > machine.cpus + _TINY:
            raise _never("cpu", f"{resources.cpus:g} cores", f"{machine.cpus:g}", "machine_cpus")
        if resources.memory_bytes > machine.memory_bytes:
            have = size(machine.memory_bytes)
            raise _never("memory", f"{size(resources.memory_bytes)} of memory", have, "machine_memory_bytes")
        have_devices = len(self._named(resources))
        if resources.accelerators > have_devices:
            asked = f"{resources.accelerators} of the accelerator {resources.accelerator}"
            raise _never("accelerator", asked, str(have_devices), "accelerators")

    def take_now(self, resources: Resources) -> Allocation | None:
        """Take it if it fits and the queue is empty."""
        return self._grant(resources) if not self._queue and self._lacking(resources) is None else None

    def overdraw(self, allocation: Allocation) -> None:
        """Count what runs already, whether or not there is room for it."""
        self._count(allocation.resources, 1)
        free = self._free_devices(allocation.resources)
        free[:] = [name for name in free if name not in allocation.devices]

    async def take(self, resources: Resources) -> Allocation:
        """Wait for it. The caller has checked that it can ever be."""
        if grant := self.take_now(resources):
            return grant
        waiter = _Waiter(resources)
        self._queue.append(waiter)
        self._serve()
        try:
            return await waiter.granted
        except asyncio.CancelledError:
            if waiter.granted.done() and not waiter.granted.cancelled():
                self.release(waiter.granted.result())
            elif waiter in self._queue:
                self._queue.remove(waiter)
                self._serve()
            raise

    def release(self, allocation: Allocation) -> None:
        """Give it back; every attempt that may begin now does."""
        self._count(allocation.resources, -1)
        known = self._named(allocation.resources)
        self._free_devices(allocation.resources).extend(name for name in allocation.devices if name in known)
        self._serve()

    def why(self, resources: Resources) -> Reason:
        """What an attempt that asks for this would wait for now."""
        return self._lacking(resources) or _in_queue(self.queued)

    # the rule -----------------------------------------------------------------------------------

    def _serve(self) -> None:
        while (waiter := self._next()) is not None:
            if waiter is not self._queue[0]:
                self._queue[0].passed_by += 1
            self._queue.remove(waiter)
            waiter.granted.set_result(self._grant(waiter.resources))

    def _next(self) -> _Waiter | None:
        """Who may begin now."""
        while self._queue and self._queue[0].granted.done():
            del self._queue[0]  # it does not wait any more
        if not self._queue or self.taken >= self.limit:
            return None
        first = self._queue[0]
        behind = () if first.passed_by >= PASSES else islice(self._queue, 1, 1 + LOOK)
        waiting = (waiter for waiter in (first, *behind) if not waiter.granted.done())
        return next((waiter for waiter in waiting if self._lacking(waiter.resources) is None), None)

    def _grant(self, resources: Resources) -> Allocation:
        self._count(resources, 1)
        free = self._free_devices(resources)
        devices = tuple(free[: resources.accelerators])
        del free[: resources.accelerators]
        return Allocation(resources=resources, devices=devices)

    def _count(self, resources: Resources, sign: int) -> None:
        self.taken += sign
        self._cpus += sign * resources.cpus
        self._memory += sign * resources.memory_bytes
        if resources.accelerators and self.machine is not None:
            self._accelerators[self.machine.pool(resources.accelerator)] += sign * resources.accelerators

    def _named(self, resources: Resources) -> tuple[str, ...]:
        """All devices there are of what it asks for."""
        machine = self.machine
        return machine.accelerators.get(machine.pool(resources.accelerator), ()) if machine else ()

    def _free_devices(self, resources: Resources) -> list[str]:
        return self._devices.get(self.machine.pool(resources.accelerator), []) if self.machine else []

    def _lacking(self, resources: Resources) -> Reason | None:
        """What it waits for, the first thing that is short; None when it fits."""
        machine = self.machine
        if self.taken >= self.limit:
            return _behind(self.queued, self.limit)
        if machine is None:
            return None
        used, have = self._accelerators[machine.pool(resources.accelerator)], len(self._named(resources))
        if resources.cpus and self._cpus + resources.cpus > machine.cpus + _TINY:
            return _short(Code.WAITING_FOR_CPU, "cores", resources.cpus, self._cpus, machine.cpus)
        if resources.memory_bytes and self._memory + resources.memory_bytes > machine.memory_bytes:
            return _short(Code.WAITING_FOR_MEMORY, "memory", resources.memory_bytes, self._memory, machine.memory_bytes)
        if resources.accelerators and used + resources.accelerators > have:
            return _short(Code.WAITING_FOR_ACCELERATOR, resources.accelerator, resources.accelerators, used, have)
        return None


def _behind(ahead: int, limit: int) -> Reason:
    before = f"{ahead} before it" if ahead else "next"
    return Reason(
        code=Code.WAITING_FOR_SLOT,
        message=f"{limit} attempts are running, as many as allowed (setting max_parallel); this one waits, {before}.",
        details={"position": ahead + 1, "limit": limit},
    )


def _in_queue(ahead: int) -> Reason:
    """Enough is free for it, but kept for those before it."""
    message = f"{ahead} are before it in line, and what is free is kept for the first of them."
    return Reason(code=Code.WAITING_FOR_SLOT, message=message, details={"position": ahead + 1})


def _short(code: Code, what: str, asked: float, used: float, have: float) -> Reason:
    asked_text, used_text, have_text = (size(it) if what == "memory" else f"{it:g}" for it in (asked, used, have))
    message = (
        f"It asks for {asked_text} of {have_text} {what} of this machine; "
        f"{used_text} are held by attempts that are running."
    )
    return Reason(code=code, message=message, details={"asked": asked, "used": used, "limit": have})


def _never(what: str, asked: str, have: str, setting: str) -> Refusal:
    message = (
        f"The task asks for {asked}, and this machine has {have} for attempts (setting {setting}), so it could never "
        "begin. Ask for less (a request, else the limit, counts); or run it whatever it asks for, with "
        f"--ignore-resources of `headrace run` and `headrace up`; or start the server with another {setting}."
    )
    return Refusal(Code.DOES_NOT_FIT, message, retryable=False, resource=what, setting=setting)
