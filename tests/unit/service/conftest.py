from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fake_executor import FakeExecutor, World
from headrace.service.settings import Settings
from owned_service import Service


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def executor(world: World) -> FakeExecutor:
    return FakeExecutor(world)


@pytest.fixture
async def service(tmp_path: Path, executor: FakeExecutor) -> AsyncIterator[Service]:
    service = await Service.open(Settings(home=tmp_path / "home"), executor=executor)
    yield service
    await service.close()
