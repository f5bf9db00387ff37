from __future__ import annotations

import asyncio
import sqlite3
import stat
from pathlib import Path

import pytest

from fake_executor import FakeExecutor, World
from headrace.server.auth import Gate, Proof, token_hash
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


def gate_of(service: Service, token: str) -> Gate:
    return Gate(token=token, keys=service.keys, ledger=service.sign_ins)


async def test_a_session_is_known_to_all_servers_until_one_ends_it(tmp_path: Path, database_url: str):
    database = DatabaseUrl.parse(database_url)
    servers = [await opened(tmp_path / name, database) for name in ("one", "two")]
    try:
        gates = [gate_of(server, "t" * 43) for server in servers]
        for server in servers:
            await server.sign_ins.register_token(token_hash("t" * 43))
        code, _ = gates[0].mint_code()
        signed_in = await gates[1].redeem(code, browser="Browser " + "1" * 500)
        assert signed_in is not None and signed_in.secret not in repr(signed_in)
        headers = {"authorization": None, "cookie": signed_in.cookie, "secret": signed_in.secret}
        assert [(await gate.identify(**headers)).proof for gate in gates] == [Proof.SESSION] * 2
        (listed,) = await gates[0].sessions.listed("local")
        assert listed.browser.startswith("Browser 1") and len(listed.browser) == 300
        # A server that has not seen the session yet knows at once that it was ended; one that has, within seconds.
        fresh = gate_of(servers[0], "t" * 43)
        assert not await gates[1].sessions.end(listed.session_id, user="somebody else")
        assert await gates[1].sessions.end(listed.session_id, user="local")
        assert [(await gate.identify(**headers)).proof for gate in (fresh, gates[1])] == [Proof.NONE] * 2
    finally:
        for server in servers:
            await server.close()


async def test_a_session_outlives_the_server_but_not_its_token(tmp_path: Path):
    service = await opened(tmp_path / "home")
    gate = gate_of(service, "t" * 43)
    signed_in = await gate.redeem(gate.mint_code()[0])
    assert signed_in is not None
    await service.close()

    headers = {"authorization": None, "cookie": signed_in.cookie, "secret": signed_in.secret}
    service = await opened(tmp_path / "home")
    try:
        assert (await gate_of(service, "t" * 43).identify(**headers)).proof is Proof.SESSION
        assert (await gate_of(service, "n" * 43).identify(**headers)).proof is Proof.NONE
    finally:
        await service.close()


async def test_what_a_browser_shows_is_not_in_the_database(tmp_path: Path):
    service = await opened(tmp_path / "home")
    gate = gate_of(service, "t" * 43)
    signed_in = await gate.redeem(gate.mint_code()[0])
    assert signed_in is not None
    await service.close()
    with sqlite3.connect(tmp_path / "home" / "headrace.db") as conn:
        dump = "\n".join(conn.iterdump())
    conn.close()
    assert "sessions" in dump and signed_in.secret not in dump and signed_in.cookie not in dump
