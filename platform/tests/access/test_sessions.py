"""A session begins with a password, and ends by itself, by its person, an operator, or a change of its person."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import aiohttp
import pytest
import pytest_asyncio
from redis.asyncio import Redis

from stack.embedded import EmbeddedStack
from tests.access.conftest import PASSWORD
from tests.access.own_api import own_api, settings_for
from tests.access.people import key_headers, log_in, session_headers, try_login
from tests.redis_pair import hit, whole_again
from trading.api.cookies import COOKIE
from trading.core.orders import AccountId
from trading.infra import redis
from trading.infra.database import Pool
from trading.infra.identity import Role
from trading.infra.passwords import hash_password
from trading.infra.people import Person, change_person, create_person, delete_person, end_sessions
from trading.infra.sessions import Sessions

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]


@pytest_asyncio.fixture(loop_scope="session")
async def pool(gate: EmbeddedStack) -> AsyncIterator[Pool]:
    pool = Pool(gate.postgres_dsn(), "test")
    yield pool
    await pool.close()


@pytest_asyncio.fixture(loop_scope="session")
async def store(gate: EmbeddedStack) -> AsyncIterator[Redis]:
    client = redis.connect(settings_for(gate).redis_url.get_secret_value())
    yield client
    await client.aclose()


@pytest_asyncio.fixture(loop_scope="session")
async def alice(pool: Pool) -> AsyncIterator[Person]:
    """Somebody new who trades for account 1."""
    name = f"alice-{uuid4().hex[:8]}"
    person = await create_person(pool, name, Role.TRADER, AccountId(1), password_hash=hash_password(PASSWORD))
    assert person is not None
    yield person
    await delete_person(pool, name)


def sessions_of(store: Redis, pool: Pool, *, idle_s: float = 60, absolute_s: float = 60) -> Sessions:
    return Sessions(store, pool, idle_s=idle_s, absolute_s=absolute_s)


async def status(http: aiohttp.ClientSession, base: str, token: str, path: str = "/v2/orders") -> int:
    async with http.get(base + path, headers=session_headers(base, token)) as response:
        return response.status


async def post(http: aiohttp.ClientSession, base: str, path: str, headers: dict[str, str]) -> int:
    async with http.post(base + path, headers=headers) as response:
        return response.status


async def test_a_session_that_is_not_used_ends_and_one_that_is_goes_on(store: Redis, pool: Pool, alice: Person) -> None:
    sessions = sessions_of(store, pool, idle_s=1)
    used, idle = await sessions.begin(alice, ""), await sessions.begin(alice, "")
    for _ in range(5):
        await asyncio.sleep(0.3)
        assert await sessions.identify(used) == alice.identity
    assert await sessions.identify(idle) is None
    await asyncio.sleep(1.05)
    assert await sessions.identify(used) is None


async def test_a_session_ends_absolutely_however_much_it_is_used(store: Redis, pool: Pool, alice: Person) -> None:
    sessions = sessions_of(store, pool, absolute_s=1)
    token = await sessions.begin(alice, "")
    for _ in range(2):
        assert await sessions.identify(token) == alice.identity
        await asyncio.sleep(0.55)
    assert await sessions.identify(token) is None
    assert await sessions.list(alice.name) == []


async def test_the_cookie_is_opaque_and_only_its_hash_is_kept(
    gate: EmbeddedStack, http: aiohttp.ClientSession, store: Redis, alice: Person
) -> None:
    base = gate.status().endpoints["api"][0]
    body = {"name": alice.name, "password": PASSWORD}
    async with http.post(f"{base}/auth/v1/login", json=body) as response:
        assert await response.json() == {"name": f"person {alice.name}", "role": "trader", "account_id": 1}
        cookie = response.cookies[COOKIE]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"], cookie["secure"]) == (True, "strict", "/", "")
    assert len(cookie.value) == 43
    keys = await store.keys("elson:session*")
    kept = [key + repr(await store.dump(key)).encode() for key in keys]
    assert kept
    assert not any(cookie.value.encode() in each for each in kept)


async def test_behind_tls_the_cookie_is_for_tls_and_this_host_alone(
    gate: EmbeddedStack, http: aiohttp.ClientSession, alice: Person
) -> None:
    async with own_api(gate, behind_tls=True) as (base, _):
        body = {"name": alice.name, "password": PASSWORD}
        async with http.post(f"{base}/auth/v1/login", json=body) as response:
            cookie = response.cookies["__Host-elson_session"]
    assert (cookie["secure"], cookie["path"], cookie["domain"]) == (True, "/", "")


async def test_logging_in_gives_a_new_session_and_ends_the_one_that_came_along(
    gate: EmbeddedStack, http: aiohttp.ClientSession, alice: Person
) -> None:
    base = gate.status().endpoints["api"][0]
    first = await log_in(http, base, alice.name, PASSWORD)
    planted = "A" * 43
    for before in (first, planted):
        _, _, token = await try_login(http, base, alice.name, PASSWORD, session_headers(base, before))
        assert token is not None
        assert token not in (first, planted)
        assert await status(http, base, token) == 200
        assert await status(http, base, before) == 401


async def test_logging_out_ends_this_session_and_no_other(
    gate: EmbeddedStack, http: aiohttp.ClientSession, alice: Person
) -> None:
    here, there = gate.status().endpoints["api"]
    first, second = await log_in(http, here, alice.name, PASSWORD), await log_in(http, here, alice.name, PASSWORD)
    assert await post(http, there, "/auth/v1/logout", session_headers(there, first)) == 204
    assert await status(http, here, first) == 401
    assert await status(http, here, second) == 200


async def test_logging_out_everywhere_ends_all_sessions_even_those_that_redis_brings_back(
    gate: EmbeddedStack, http: aiohttp.ClientSession, store: Redis, pool: Pool, alice: Person
) -> None:
    here, there = gate.status().endpoints["api"]
    first, second = await log_in(http, here, alice.name, PASSWORD), await log_in(http, there, alice.name, PASSWORD)
    keys = [f"elson:session:{s.session_id}" for s in await sessions_of(store, pool).list(alice.name)]
    kept = {key: await store.dump(key) for key in keys}
    assert await post(http, here, "/auth/v1/logout_everywhere", session_headers(here, first)) == 204
    assert [await status(http, base, token) for base in (here, there) for token in (first, second)] == [401] * 4
    for key, value in kept.items():
        await store.restore(key, 60_000, value)
    await asyncio.sleep(1)
    assert [await status(http, base, token) for base in (here, there) for token in (first, second)] == [401] * 4
    assert await status(http, there, await log_in(http, here, alice.name, PASSWORD)) == 200


async def test_an_operator_lists_and_ends_a_persons_sessions(store: Redis, pool: Pool, alice: Person) -> None:
    sessions = sessions_of(store, pool)
    tokens = [await sessions.begin(alice, f"10.0.0.{number}") for number in range(3)]
    listed = await sessions.list(alice.name)
    assert {session.source for session in listed} == {"10.0.0.0", "10.0.0.1", "10.0.0.2"}
    first = next(session for session in listed if session.source == "10.0.0.0")
    assert await sessions.end_one(first.session_id)
    assert [await sessions.identify(token) is None for token in tokens] == [True, False, False]
    assert await sessions.end_all(alice.name) == 2
    assert [await sessions.identify(token) for token in tokens] == [None] * 3


async def test_a_person_has_a_bounded_number_of_sessions(store: Redis, pool: Pool, alice: Person) -> None:
    sessions = sessions_of(store, pool)
    tokens = [await sessions.begin(alice, "") for _ in range(22)]
    assert len(await sessions.list(alice.name)) == 20
    assert [await sessions.identify(token) is None for token in (tokens[0], tokens[-1])] == [True, False]


async def test_a_change_of_the_person_ends_their_sessions(store: Redis, pool: Pool, alice: Person) -> None:
    sessions = sessions_of(store, pool)

    async def ended_by(change: object) -> bool:
        person = await end_sessions(pool, alice.name)
        assert person is not None
        token = await sessions.begin(person, "")
        assert await sessions.identify(token) is not None
        await change  # type: ignore[misc]
        await asyncio.sleep(1)
        return await sessions.identify(token) is None

    assert await ended_by(change_person(pool, alice.name, Role.ANALYST, AccountId(1)))
    assert await ended_by(delete_person(pool, alice.name))


async def test_a_foreign_page_can_make_no_use_of_the_cookie(
    gate: EmbeddedStack, http: aiohttp.ClientSession, alice: Person
) -> None:
    base = gate.status().endpoints["api"][0]
    cookie = {"Cookie": f"{COOKIE}={await log_in(http, base, alice.name, PASSWORD)}"}
    foreign: list[dict[str, str]] = [
        {},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site", "Origin": base},
        {"Sec-Fetch-Site": "same-site"},
    ]
    for headers in foreign:
        assert await post(http, base, "/auth/v1/logout", {**cookie, **headers}) == 403
    assert await post(http, base, "/auth/v1/logout", {**cookie, "Sec-Fetch-Site": "same-origin"}) == 204
    for headers in foreign[1:]:
        assert (await try_login(http, base, alice.name, PASSWORD, headers))[0] == 403


async def test_without_redis_sessions_cannot_be_told_and_keys_go_on(
    gate: EmbeddedStack, http: aiohttp.ClientSession, alice: Person
) -> None:
    token = await log_in(http, gate.status().endpoints["api"][0], alice.name, PASSWORD)
    account = gate.status().accounts[0]
    async with own_api(gate, redis_url="redis://127.0.0.1:1/0") as (base, _):
        assert await status(http, base, token) == 503
        assert (await try_login(http, base, alice.name, PASSWORD))[0] == 503
        async with http.get(f"{base}/v2/orders", headers=key_headers(account.key_id, account.secret_key)) as response:
            assert response.status == 200


async def test_a_session_outlives_the_primary_and_is_refused_but_never_forgotten_while_nobody_leads(
    gate: EmbeddedStack, http: aiohttp.ClientSession, alice: Person
) -> None:
    base, account = gate.status().endpoints["api"][0], gate.status().accounts[0]
    token = await log_in(http, base, alice.name, PASSWORD)
    assert await status(http, base, token) == 200
    lost, refused = hit(gate, "redis:primary"), set[int]()
    async with asyncio.timeout(15):
        while (found := await status(http, base, token)) != 200:
            refused.add(found)
            async with http.get(f"{base}/v2/orders", headers=key_headers(account.key_id, account.secret_key)) as keyed:
                assert keyed.status == 200
    assert refused == {503}
    assert (await try_login(http, base, alice.name, PASSWORD))[0] == 200
    await whole_again(gate, lost)
