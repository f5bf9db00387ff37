"""Which attempts begin when: never more than there is, none waits for ever, all that is taken is given back."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.attempt.refusal import Refusal
from headrace.executors.local.admission import PASSES, Admission
from headrace.executors.local.machine import Machine
from headrace.executors.local.resources import Allocation, Resources

pytestmark = pytest.mark.anyio

MACHINE = Machine(cpus=4.0, memory_bytes=1000, accelerators={"nvidia.com/gpu": ("0", "1"), "tpu": ("a",)})
NOTHING = Resources()


def asks(**what: object) -> Resources:
    return Resources(**what)  # type: ignore[arg-type]


class Line:
    """Tasks that take, hold until they are told to give, and give."""

    def __init__(self, admission: Admission) -> None:
        self.admission = admission
        self.held: dict[int, Allocation] = {}
        self.begun: list[int] = []
        self.tasks: dict[int, asyncio.Task[None]] = {}

    async def ask(self, number: int, resources: Resources) -> None:
        self.tasks[number] = asyncio.create_task(self._take(number, resources))
        await asyncio.sleep(0)

    async def _take(self, number: int, resources: Resources) -> None:
        self.held[number] = await self.admission.take(resources)
        self.begun.append(number)

    async def give(self, number: int) -> None:
        self.admission.release(self.held.pop(number))
        await self.settle()

    async def leave(self, number: int) -> None:
        self.tasks[number].cancel()
        await asyncio.gather(self.tasks[number], return_exceptions=True)
        await self.settle()

    async def settle(self) -> None:
        for _ in range(3):
            await asyncio.sleep(0)


async def test_slots_are_given_in_turn():
    line = Line(Admission(1, None))
    for number in range(4):
        await line.ask(number, NOTHING)
    await line.leave(2)
    for number in (0, 1, 3):
        assert list(line.held) == [number]
        await line.give(number)
    assert (line.begun, line.admission.taken, line.admission.queued) == ([0, 1, 3], 0, 0)


async def test_a_turn_given_to_who_is_just_leaving_is_passed_on():
    slots = Admission(1, None)
    running = Allocation(resources=NOTHING)
    slots.overdraw(running)
    leaving, staying = asyncio.create_task(slots.take(NOTHING)), asyncio.create_task(slots.take(NOTHING))
    await asyncio.sleep(0)
    slots.release(running)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    await asyncio.wait_for(staying, 10)
    assert slots.taken == 1


async def test_small_ones_pass_a_big_one_but_not_for_ever():
    line = Line(Admission(100, MACHINE))
    await line.ask(0, asks(cpus=1))
    await line.ask(1, asks(cpus=4))
    small = list(range(10, 10 + 3 * PASSES))
    for number in small:
        await line.ask(number, asks(cpus=1))
    passed = 0
    while 1 not in line.held:
        assert len(line.begun) <= 1 + PASSES
        await line.give(next(iter(line.held)))
        passed += 1
    assert line.begun == [0, *small[:PASSES], 1]
    await line.give(1)
    assert len(line.held) == 4


async def test_what_waits_says_for_what():
    admission = Admission(3, MACHINE)
    admission.overdraw(
        Allocation(resources=asks(cpus=3, memory_bytes=900, accelerator="nvidia.com/gpu", accelerators=2))
    )
    told = {
        name: admission.why(wish)
        for name, wish in {
            "cpu": asks(cpus=1.5),
            "memory": asks(memory_bytes=200),
            "accelerator": asks(accelerator="NVIDIA_TESLA_P4", accelerators=1),
        }.items()
    }
    assert {name: reason.code for name, reason in told.items()} == {
        "cpu": "WAITING_FOR_CPU",
        "memory": "WAITING_FOR_MEMORY",
        "accelerator": "WAITING_FOR_ACCELERATOR",
    }
    assert told["cpu"].details == {"asked": 1.5, "used": 3, "limit": 4}
    assert "asks for 1.5 of 4 cores of this machine; 3 are held" in told["cpu"].message
    admission.overdraw(Allocation(resources=NOTHING))
    admission.overdraw(Allocation(resources=NOTHING))
    assert admission.why(NOTHING).code == "WAITING_FOR_SLOT"
    assert "setting max_parallel" in admission.why(NOTHING).message


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (asks(cpus=4.5), ("4.5 cores", "has 4 ", "setting machine_cpus")),
        (asks(memory_bytes=1001), ("1001 bytes of memory", "1000 bytes", "setting machine_memory_bytes")),
        (asks(accelerator="tpu", accelerators=2), ("2 of the accelerator tpu", "has 1 ", "setting accelerators")),
        (asks(accelerator="other", accelerators=1), ("1 of the accelerator other", "has 0 ")),
    ],
)
def test_what_can_never_begin_is_refused(wish, words):
    with pytest.raises(Refusal) as caught:
        Admission(1, MACHINE).check(wish)
    assert (caught.value.reason.code, caught.value.retryable) == ("DOES_NOT_FIT", False)
    assert all(word in caught.value.reason.message for word in words), caught.value.reason.message


async def test_devices_are_ones_own():
    line = Line(Admission(9, MACHINE))
    line.admission.overdraw(
        Allocation(resources=asks(accelerator="nvidia.com/gpu", accelerators=1), devices=("0",)),
    )
    await line.ask(1, asks(accelerator="NVIDIA_A100", accelerators=1))
    await line.ask(2, asks(accelerator="nvidia.com/gpu", accelerators=1))
    assert line.held[1].devices == ("1",)
    assert 2 not in line.held
    await line.give(1)
    assert line.held[2].devices == ("1",)


WISHES = st.builds(
    asks,
    cpus=st.sampled_from([0.0, 0.1, 0.5, 1.0, 2.5, 4.0]),
    memory_bytes=st.sampled_from([0, 1, 300, 999, 1000]),
    accelerator=st.sampled_from(["nvidia.com/gpu", "NVIDIA_TESLA_P4"]),
    accelerators=st.sampled_from([0, 0, 1, 2]),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), WISHES),
        st.tuples(st.sampled_from(["give", "leave"]), st.integers(0, 50)),
    ),
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(limit=st.integers(1, 4), steps=STEPS, running=st.lists(WISHES, max_size=3))
def test_whatever_comes_and_goes(limit, steps, running):
    asyncio.run(history(limit, steps, running))


async def history(limit: int, steps: list[tuple[str, object]], running: list[Resources]) -> None:
    line = Line(Admission(limit, MACHINE))
    wishes: dict[int, Resources] = {}
    for number, wish in enumerate(running):
        line.held[-1 - number] = Allocation(resources=wish)
        line.admission.overdraw(line.held[-1 - number])
    for number, (what, about) in enumerate(steps):
        before = dict(line.held)
        waiting = [one for one in wishes if one not in line.begun and not line.tasks[one].done()]
        if what == "ask":
            assert isinstance(about, Resources)
            wishes[number] = about
            await line.ask(number, about)
        elif what == "give" and line.held:
            await line.give(sorted(line.held)[int(str(about)) % len(line.held)])
        elif what == "leave" and waiting:
            await line.leave(waiting[int(str(about)) % len(waiting)])
        for one in set(line.held) - set(before):
            assert within(line.held[one].resources, list(line.held.values()), limit)
        assert line.admission.taken == len(line.held)
    # Everybody who waits begins once those before it end: nobody starves, nothing has leaked.
    waiting = [one for one in wishes if one not in line.begun and not line.tasks[one].done()]
    while line.held:
        await line.give(next(iter(line.held)))
    assert set(waiting) <= set(line.begun)
    assert (line.admission.taken, line.admission.queued) == (0, 0)
    everything = asks(cpus=4.0, memory_bytes=1000, accelerator="nvidia.com/gpu", accelerators=2)
    assert line.admission.take_now(everything) is not None


def within(begun: Resources, grants: list[Allocation], limit: int) -> bool:
    """Whether there was room for the one that has begun, in all that it asks for."""
    devices = Counter(name for grant in grants for name in grant.devices)
    return (
        len(grants) <= limit
        and (not begun.cpus or sum(grant.resources.cpus for grant in grants) <= 4.0 + 1e-6)
        and (not begun.memory_bytes or sum(grant.resources.memory_bytes for grant in grants) <= 1000)
        and (not begun.accelerators or sum(grant.resources.accelerators for grant in grants) <= 2)
        and all(count == 1 for count in devices.values())
    )
