from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest

from fake_executor import FakeExecutor, World
from headrace.service.errors import Invalid
from headrace.service.secrets import SigningKeys
from headrace.service.service import Service
from headrace.service.settings import Settings
from headrace.store import queries
from headrace.store.database import Connection
from headrace.store.tables import server_secrets
from headrace.store.urls import DatabaseUrl

pytestmark = pytest.mark.anyio


async def opened(home: Path, database: DatabaseUrl | None = None) -> Service:
    return await Service.open(Settings(home=home, database=database), executor=FakeExecutor(World()))


async def keys_of(home: Path) -> SigningKeys:
    service = await opened(home)
    await service.close()
    return service.keys


async def test_keys_are_made_once_and_are_rows(tmp_path: Path):
    first = await keys_of(tmp_path / "home")
    assert first == await keys_of(tmp_path / "home") != await keys_of(tmp_path / "other")
    assert len({first.page_tokens, first.sign_ins, first.content_links}) == 3
    assert not (tmp_path / "home" / "page.key").exists()
    assert stat.S_IMODE((tmp_path / "home" / "headrace.db").stat().st_mode) == 0o600
    assert first.page_tokens.hex() not in repr(first)


async def test_the_page_key_of_an_older_data_directory_goes_on(tmp_path: Path):
    home = tmp_path / "home"
    home.mkdir()
    (home / "page.key").write_bytes(b"o" * 32)
    assert (await keys_of(home)).page_tokens == b"o" * 32
    assert not (home / "page.key").exists()
    assert (await keys_of(home)).page_tokens == b"o" * 32


async def test_a_page_key_that_was_cut_off_is_not_used(tmp_path: Path):
    home = tmp_path / "home"
    home.mkdir()
    (home / "page.key").write_bytes(b"o" * 31)
    assert len((await keys_of(home)).page_tokens) == 32


async def test_servers_that_start_at_the_same_moment_agree(tmp_path: Path, database_url: str):
    database = DatabaseUrl.parse(database_url)
    for name in ("one", "two", "three"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "page.key").write_bytes(name.ljust(32).encode())
    servers = await asyncio.gather(*(opened(tmp_path / name, database) for name in ("one", "two", "three")))
    try:
        assert len({server.keys.page_tokens for server in servers}) == 1
        assert len({server.keys.sign_ins for server in servers}) == 1
        code = [await server.sign_ins.use_code("c", expires_at=4e9) for server in servers]
        assert code == [True, False, False]
        for number, server in enumerate(servers):
            await server.sign_ins.register_token(f"hash {number}")
        assert await servers[0].sign_ins.token_hashes() == {"hash 0", "hash 1", "hash 2"}
    finally:
        for server in servers:
            await server.close()


async def test_a_new_token_takes_the_place_of_its_directory_s_old_one(tmp_path: Path):
    service = await opened(tmp_path / "home")
    try:
        await service.sign_ins.register_token("old")
        await service.sign_ins.register_token("new")
        assert await service.sign_ins.token_hashes() == {"new"}
    finally:
        await service.close()


async def test_codes_are_used_once_also_when_many_try(tmp_path: Path):
    service = await opened(tmp_path / "home")
    try:
        tries = await asyncio.gather(*(service.sign_ins.use_code("c", expires_at=4e9) for _ in range(10)))
        assert sorted(tries) == [False] * 9 + [True]
        assert await service.sign_ins.use_code("d", expires_at=4e9)

        def names(conn: Connection) -> set[str]:
            return set(conn.execute(server_secrets.select()).scalars())

        assert await service._context.read(names) == {"page_tokens", "sign_ins", "content_links"}
    finally:
        await service.close()


async def test_page_tokens_are_signed_with_the_deployment_s_key(tmp_path: Path):
    from headrace.service.access import owner
    from headrace.store.records import ListQuery

    one, two = await opened(tmp_path / "one"), await opened(tmp_path / "two")
    try:
        for number in range(3):
            await one.for_caller(owner()).create_experiment(name=f"e{number}")
        page = await one.for_caller(owner()).list_experiments(ListQuery(page_size=1))
        assert queries._open_token(page.next_page_token, one.keys.page_tokens)
        with pytest.raises(Invalid, match="token"):
            await two.for_caller(owner()).list_experiments(ListQuery(page_token=page.next_page_token))
    finally:
        await one.close()
        await two.close()
