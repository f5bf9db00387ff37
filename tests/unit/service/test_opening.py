"""The data directory in every bad state."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import documents
from fake_executor import FakeExecutor, World, hang
from headrace.engine.model import State
from headrace.service.errors import NotFound, Unavailable
from headrace.service.outage_log import OutageLog
from headrace.service.service import NewRun
from headrace.service.settings import Settings
from headrace.store.records import ListQuery
from owned_service import Service
from waiting import until, until_final

pytestmark = pytest.mark.anyio


async def opened(home: Path, world: World | None = None) -> Service:
    return await Service.open(Settings(home=home), executor=FakeExecutor(world))


async def refused(home: Path) -> Unavailable:
    with pytest.raises(Unavailable) as caught:
        await opened(home)
    return caught.value


async def test_a_home_is_made_private_and_found_again(tmp_path: Path):
    home = tmp_path / "deep" / "home"
    service = await opened(home)
    made = await service.create_experiment(name="mine")
    await service.close()
    assert home.stat().st_mode & 0o077 == 0
    service = await opened(home)
    assert await service.get_experiment(made.experiment_id) == made
    assert [e.display_name for e in (await service.list_experiments(ListQuery())).items] == ["Default", "mine"]
    await service.close()


async def test_what_is_in_an_open_home_is_private_all_the_same(tmp_path: Path):
    tmp_path.chmod(0o755)
    (tmp_path / "attempts").mkdir(mode=0o755)
    await (await opened(tmp_path)).close()
    (tmp_path / "headrace.db").chmod(0o644)
    service = await opened(tmp_path)
    modes = {path.name: path.stat().st_mode & 0o077 for path in tmp_path.iterdir()}
    await service.close()
    assert {"headrace.db", "headrace.db-wal", "artifacts", "attempts", "envs"} <= set(modes)
    assert not any(modes.values()), modes


@pytest.mark.parametrize(("before", "after"), [(0o777, 0o700), (0o770, 0o700), (0o755, 0o755), (0o1777, 0o1777)])
async def test_others_cannot_write_in_a_home_of_ours(tmp_path: Path, before: int, after: int):
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(before)
    await (await opened(home)).close()
    assert home.stat().st_mode & 0o7777 == after


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes a directory of another owner")
async def test_a_home_of_another_owner_is_used_as_it_is(tmp_path: Path):
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, 65534, 65534)
    home.chmod(0o2770)
    await (await opened(home)).close()
    assert home.stat().st_mode & 0o7777 == 0o2770


async def test_a_home_in_use_says_by_whom(tmp_path: Path):
    service = await opened(tmp_path)
    (tmp_path / "server.json").write_text(f'{{"pid": {os.getpid()}, "url": "http://127.0.0.1:1234"}}')
    error = await refused(tmp_path)
    assert (error.code, error.details["pid"], error.details["url"]) == (
        "HOME_IN_USE",
        os.getpid(),
        "http://127.0.0.1:1234",
    )
    # A file that an earlier server left behind is not believed.
    (tmp_path / "server.json").write_text('{"pid": 1, "url": "http://127.0.0.1:1"}')
    assert (await refused(tmp_path)).details["url"] == ""
    await service.close()
    await (await opened(tmp_path)).close()


async def test_a_newer_home_is_refused_untouched(tmp_path: Path):
    await (await opened(tmp_path)).close()
    with sqlite3.connect(tmp_path / "headrace.db") as conn:
        conn.execute("INSERT INTO schema_version VALUES (77, 0)")
    conn.close()
    before = (tmp_path / "headrace.db").read_bytes()
    error = await refused(tmp_path)
    assert (error.code, error.details["found"]) == ("HOME_NEWER", 77)
    assert (tmp_path / "headrace.db").read_bytes() == before


async def test_what_is_no_directory_is_refused(tmp_path: Path):
    (tmp_path / "file").write_text("x")
    assert (await refused(tmp_path / "file")).code == "HOME_UNUSABLE"


async def test_a_damaged_database_is_refused_untouched(tmp_path: Path):
    await (await opened(tmp_path)).close()
    (tmp_path / "headrace.db").write_bytes(b"no database" * 1000)
    error = await refused(tmp_path)
    assert (error.code, str(tmp_path) in str(error)) == ("STORE_FAILED", True)
    assert (tmp_path / "headrace.db").read_bytes() == b"no database" * 1000


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", place], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("a small file system cannot be mounted here: run as root")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


async def test_a_read_only_home_is_refused(disk: Path):
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    error = await refused(disk / "home")
    assert error.code == "HOME_READ_ONLY"
    assert str(disk / "home") in error.message


async def test_a_home_that_became_read_only_is_refused(disk: Path):
    await (await opened(disk)).close()
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    assert (await refused(disk)).code == "HOME_READ_ONLY"


async def test_a_full_disk_is_refused_at_the_start(disk: Path):
    fill(disk)
    assert (await refused(disk / "home")).code == "HOME_FULL"
    (disk / "ballast").unlink()
    await (await opened(disk / "home")).close()
    fill(disk)
    assert (await refused(disk / "home")).code == "HOME_FULL"


def fill(disk: Path) -> None:
    with (disk / "ballast").open("ab", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 512)
        except OSError:
            pass


async def test_a_disk_that_fills_up_loses_nothing_and_goes_on_when_there_is_room(disk: Path, caplog):
    world = World(behaviour=hang)
    executor = FakeExecutor(world)
    service = await Service.open(Settings(home=disk / "home"), executor=executor)
    made = await service.create_run(NewRun(pipeline_spec=documents.fan(40)))
    await until(lambda: len(world.orders) == 40)
    fill(disk)
    # 1. What happens now cannot be recorded; reading goes on.
    from fake_executor import succeed

    for order in list(world.orders.values()):
        executor.end(succeed(order))
    with pytest.raises(Unavailable) as caught:
        while True:
            await service.create_run(NewRun(pipeline_spec=documents.chain(50)))
    assert caught.value.code == "HOME_FULL"
    assert (await service.get_run(made.run_id)).state is State.RUNNING
    assert (await service.list_runs(ListQuery())).total_size >= 1
    # 2. With room again it goes on by itself.
    (disk / "ballast").unlink()
    record = await until_final(service, made.run_id)
    assert (record.state, record.task_counts) == (State.SUCCEEDED, {State.SUCCEEDED: 40})
    await service.close()
    # 3. The log has told it once, with what to do, and that it is over.
    told = [record.getMessage() for record in caplog.records if record.name == "headrace.service.outage_log"]
    assert len(told) == 2, told
    assert f"{disk / 'home'} has no room left. Free some space" in told[0]
    assert "goes on" in told[1] or "go on" in told[1]


def test_an_outage_that_lasts_is_logged_each_minute(caplog):
    now = [0.0]
    outage = OutageLog(clock=lambda: now[0])
    outage.over()
    for _ in range(100):
        outage.failing("HOME_FULL", "Free some space.")
        now[0] += 2.0
    outage.failing("STORE_BUSY", "Busy.")
    outage.over()
    outage.over()
    told = [record.getMessage() for record in caplog.records]
    assert [text.rpartition(". ")[2] for text in told[:4]] == ["Free some space."] * 4
    assert told[4:] == [told[0].replace("Free some space.", "Busy."), "Recording works again, after 200 s; runs go on."]


@pytest.mark.parametrize("kind", ["empty", "missing"])
async def test_an_empty_database_beside_attempts_is_not_a_new_directory(tmp_path: Path, kind: str):
    settings = Settings(home=tmp_path)
    service = await Service.open(settings, executor=FakeExecutor(World()))
    await service.close()
    (tmp_path / "attempts" / "run").mkdir()
    for file in tmp_path.glob("headrace.db*"):
        file.unlink()
    if kind == "empty":
        (tmp_path / "headrace.db").touch()
    with pytest.raises(Unavailable) as refused:
        await Service.open(settings, executor=FakeExecutor(World()))
    assert refused.value.code == "DATABASE_MISSING"
    assert (tmp_path / "attempts" / "run").is_dir()
    (tmp_path / "attempts" / "run").rmdir()
    await (await Service.open(settings, executor=FakeExecutor(World()))).close()


async def test_a_directory_whose_lock_file_is_gone_is_still_in_use(tmp_path: Path):
    settings = Settings(home=tmp_path)
    service = await Service.open(settings, executor=FakeExecutor(World()))
    (tmp_path / "lock").unlink()
    with pytest.raises(Unavailable) as refused:
        await Service.open(settings, executor=FakeExecutor(World()))
    assert refused.value.code == "HOME_IN_USE"
    await service.close()
    await (await Service.open(settings, executor=FakeExecutor(World()))).close()


async def test_in_memory_nothing_is_kept(tmp_path: Path):
    service = await Service.open(Settings(home=tmp_path), executor=FakeExecutor(), in_memory=True)
    made = await service.create_run(NewRun(pipeline_spec=documents.loop()))
    assert (await until_final(service, made.run_id)).state is State.SUCCEEDED
    await service.close()
    assert not (tmp_path / "headrace.db").exists()
    service = await Service.open(Settings(home=tmp_path), executor=FakeExecutor(), in_memory=True)
    with pytest.raises(NotFound):
        await service.get_run(made.run_id)
    await service.close()


async def test_a_run_that_cannot_be_read_ends_failed_and_others_go_on(tmp_path: Path):
    world = World(behaviour=hang)
    service = await opened(tmp_path, world)
    bad = await service.create_run(NewRun(pipeline_spec=documents.one_task()))
    good = await service.create_run(NewRun(pipeline_spec=documents.one_task(name="other")))
    await until(lambda: len(world.orders) == 2)
    await service.close()
    with sqlite3.connect(tmp_path / "headrace.db") as conn:
        conn.execute("UPDATE executions SET body = '{' WHERE run_id = ?", (bad.run_id,))
    conn.close()
    service = await opened(tmp_path, world)
    record = await service.get_run(bad.run_id)
    assert record.state is State.FAILED and record.error is not None and record.error.code == "INTERNAL_ERROR"
    assert (await service.get_run(good.run_id)).state is State.RUNNING
    assert {attempt.run_id for attempt in world.discarded} == {bad.run_id}
    await service.close()


async def test_a_look_takes_nothing_up_and_stops_nothing(tmp_path: Path):
    """1. A server dies while an attempt runs. 2. Somebody looks. 3. The next server finds the attempt as it was."""
    world = World(behaviour=hang)
    service = await opened(tmp_path, world)
    run = await service.create_run(NewRun(pipeline_spec=documents.one_task()))
    await until(lambda: len(world.orders) == 1)
    await service.close()

    looking = await Service.open(Settings(home=tmp_path), executor=FakeExecutor(world), drive=False)
    assert not (await looking.get_run(run.run_id)).state.final
    await looking.close()
    assert not world.ends
    assert not world.discarded

    executor = FakeExecutor(world)
    service = await Service.open(Settings(home=tmp_path), executor=executor)
    (attempt,) = world.orders
    from fake_executor import succeed

    executor.end(succeed(world.orders[attempt]))
    assert (await until_final(service, run.run_id)).state is State.SUCCEEDED
    assert world.starts[attempt] == 1
    await service.close()
