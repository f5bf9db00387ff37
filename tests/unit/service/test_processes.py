"""The service over real processes: a run goes on while no server is there, and its log outlives it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import documents
from harness import processes_of
from headrace.engine.model import State, execution_id
from headrace.executors.port import Executor
from headrace.service.service import NewRun
from headrace.service.settings import Settings
from orders import python_order
from owned_service import Service
from waiting import until, until_final

pytestmark = pytest.mark.anyio


def python_document(body: str) -> dict:
    """One Python component, as KFP's compiler writes it."""
    container = python_order(body).container
    assert container is not None
    given = {"image": container.image, "command": list(container.command), "args": list(container.args)}
    return documents.document(
        {"work": documents.task("work", "comp-work")},
        {"comp-work": documents.component("exec-work", outputs={"Output": "STRING"})},
        executors={"exec-work": {"container": given}},
    )


async def read(service: Service, execution: str) -> str:
    return b"".join([chunk async for chunk in service.read_log(execution, 1)]).decode()


async def test_a_task_goes_on_without_a_server_and_its_log_stays(home: Path, tmp_path: Path):
    gate = tmp_path / "gate"
    source = f"""
    def work() -> str:
        import os, time
        print("begun", os.getpid(), flush=True)
        while not os.path.exists({str(gate)!r}):
            time.sleep(0.02)
        print("done")
        return "made without a server"
    """
    settings = Settings(home=home)
    # 1. A first server launches it, and lets go.
    service = await Service.open(settings)
    made = await service.create_run(NewRun(pipeline_spec=python_document(source)))
    work = execution_id(made.run_id, "work")
    async with asyncio.timeout(60):
        async for change in service.watch_run(made.run_id):
            if any(e.path == "work" and e.state == "RUNNING" and e.attempts[-1].started_at for e in change.executions):
                break
        while "begun" not in await read(service, work):
            await asyncio.sleep(0.01)
    begun = await read(service, work)
    await service.close()
    # 2. It ends with nobody watching; a second server finds out.
    gate.touch()
    service = await Service.open(settings)
    record = await until_final(service, made.run_id, limit_s=60)
    assert record.state is State.SUCCEEDED, record.error
    (execution,) = [e for e in await service.get_executions(made.run_id) if e.path == "work"]
    assert (execution.outputs.parameters, len(execution.attempts)) == ({"Output": "made without a server"}, 1)
    await service.close()
    # 3. The log is whole, and readable in a third life.
    service = await Service.open(settings)
    assert await read(service, work) == f"{begun}done\n"
    assert await service.log_size(work, 1) == len(begun) + 5
    await service.close()


async def test_terminate_leaves_no_process(home: Path, tmp_path: Path):
    source = """
    def work() -> str:
        import time
        print("begun", flush=True)
        while True:
            time.sleep(1)
    """
    service = await Service.open(Settings(home=home, stop_grace_s=1.0))
    made = await service.create_run(NewRun(pipeline_spec=python_document(source)))
    work = execution_id(made.run_id, "work")
    async with asyncio.timeout(60):
        async for change in service.watch_run(made.run_id):
            if any(e.path == "work" and e.state == "RUNNING" and e.attempts[-1].started_at for e in change.executions):
                break
        while "begun" not in await read(service, work):
            await asyncio.sleep(0.01)
    await service.terminate_run(made.run_id)
    assert (await until_final(service, made.run_id, limit_s=30)).state is State.CANCELED
    assert processes_of(home) == []
    await service.close()
