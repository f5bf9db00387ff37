"""The executor's small parts: quantities, exit statuses, parameter files, uv's messages, slots, codes."""

from __future__ import annotations

import asyncio

import pytest

from headrace.engine.model import AttemptId
from headrace.executors.codes import Code
from headrace.executors.container import quantity
from headrace.executors.environments import Environments, Packages, failure, hide_credentials
from headrace.executors.outputs import check_type, parse_parameter
from headrace.executors.places import Places
from headrace.executors.refusal import Refusal
from headrace.executors.slots import Slots
from headrace.executors.supervisor import signal_name

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("text", "value"), [("500m", 0.5), ("2", 2), ("1.5Gi", 1.5 * 2**30), ("1e3", 1000), ("4k", 4000), (" 1Mi ", 2**20)]
)
def test_quantity(text, value):
    assert quantity(text) == value


@pytest.mark.parametrize("text", ["", ".", "1.2.3", "1 Gi", "Gi", "-1", "1gi", "nan", "1e", "0x1"])
def test_no_quantity(text):
    with pytest.raises(Refusal, match="is no quantity"):
        quantity(text)


@pytest.mark.parametrize(
    ("status", "name"), [(0, ""), (1, ""), (128, ""), (137, "SIGKILL"), (139, "SIGSEGV"), (255, "")]
)
def test_signal_name(status, name):
    assert signal_name(status) == name


@pytest.mark.parametrize(
    ("kind", "data", "value"),
    [
        ("STRING", b" 7 \n", " 7 \n"),
        ("NUMBER_INTEGER", b" 7\n", 7),
        ("NUMBER_DOUBLE", b"1e3", 1000.0),
        ("BOOLEAN", b"True\n", True),
        ("BOOLEAN", b"false", False),
        ("LIST", b"[1, null]", [1, None]),
        ("STRUCT", '{"ä": 1}'.encode(), {"ä": 1}),
    ],
)
def test_parameter_file(kind, data, value):
    assert parse_parameter("p", kind, data) == value


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("STRING", b"\xff"),
        ("NUMBER_INTEGER", b"seven"),
        ("NUMBER_DOUBLE", b"NaN"),
        ("BOOLEAN", b"yes"),
        ("LIST", b""),
        ("STRUCT", b'{"a":' * 100_000),
    ],
)
def test_parameter_file_of_the_wrong_type(kind, data):
    with pytest.raises(Refusal, match="'p'") as refused:
        parse_parameter("p", kind, data)
    assert refused.value.reason.code == Code.OUTPUT_INVALID


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("NUMBER_INTEGER", True),
        ("NUMBER_INTEGER", 1.5),
        ("NUMBER_DOUBLE", True),
        ("STRING", 1),
        ("LIST", {}),
        ("STRUCT", []),
    ],
)
def test_wrong_type(kind, value):
    with pytest.raises(Refusal):
        check_type("p", kind, value)


def test_credentials_are_hidden():
    told = failure("error at https://me:secret@host/simple: down", ("install", "--", "git+https://me:secret@host/x"))
    assert told.reason.code == Code.PACKAGE_INSTALL_FAILED
    assert "secret" not in told.reason.message + str(told.reason.details)
    assert hide_credentials("https://host/a@b") == "https://host/a@b"


def test_the_key_follows_from_what_was_asked_for(tmp_path):
    environments = Environments(tmp_path)
    assert environments.key(Packages(requirements=("a", "b"))) == environments.key(Packages(requirements=("b", "a")))
    others = [
        Packages(),
        Packages(requirements=("a",)),
        Packages(requirements=("a", "b"), index_urls=("https://x",)),
        Packages(requirements=("a", "b"), index_urls=("https://x", "https://y")),
        Packages(requirements=("a", "b"), index_urls=("https://y", "https://x")),
    ]
    assert len({environments.key(one) for one in others}) == len(others)


@pytest.mark.parametrize("run_id", ["", "..", "a/b", "/etc", "a\n", ".live"])
def test_a_run_id_leads_nowhere_else(run_id, tmp_path):
    places = Places(tmp_path)
    with pytest.raises(ValueError, match="not a"):
        places.of(AttemptId(run_id=run_id, path="task", number=1))
    with pytest.raises(ValueError, match="not a"):
        places.remove(run_id)


async def test_slots_are_given_in_turn():
    slots = Slots(1)
    assert slots.take_now()
    turns: list[int] = []

    async def wait(number: int) -> None:
        await slots.take()
        turns.append(number)

    first, second, third = (asyncio.create_task(wait(number)) for number in range(3))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    slots.give()
    await first
    assert not slots.take_now()
    slots.give()
    await third
    assert (turns, slots.taken, slots.queued) == ([0, 2], 1, 0)


async def test_a_turn_given_to_who_is_just_leaving_is_passed_on():
    slots = Slots(1)
    slots.overdraw()
    leaving, staying = asyncio.create_task(slots.take()), asyncio.create_task(slots.take())
    await asyncio.sleep(0)
    slots.give()
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    await staying
    assert slots.taken == 1


def test_every_code_says_what_it_means():
    assert all(code.meaning.endswith(".") and code.value == code.name for code in Code)
