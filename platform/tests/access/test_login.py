"""Guessing passwords is slow, bounded and tells nothing; knowing one lets it be changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import aiohttp
import argon2
import pytest
import pytest_asyncio

from stack.embedded import EmbeddedStack
from tests.access.conftest import PASSWORD
from tests.access.own_api import own_api
from tests.access.people import log_in, session_headers, try_login
from trading.api.cookies import COOKIE
from trading.core.orders import AccountId
from trading.infra.database import Pool
from trading.infra.identity import Role
from trading.infra.passwords import Passwords, PasswordsBusyError, hash_password, nobodys_hash
from trading.infra.people import create_person, delete_person, password_hash_of

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]

WEAK = argon2.PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1)
WRONG = (401, {"code": 40110000, "message": "name or password is wrong"}, None)


@pytest_asyncio.fixture(loop_scope="session")
async def pool(gate: EmbeddedStack) -> AsyncIterator[Pool]:
    pool = Pool(gate.postgres_dsn(), "test")
    yield pool
    await pool.close()


@pytest_asyncio.fixture(loop_scope="session")
async def bob(pool: Pool) -> AsyncIterator[str]:
    """The name of somebody new whose password was hashed long ago, with weaker terms."""
    name = f"bob-{uuid4().hex[:8]}"
    await create_person(pool, name, Role.TRADER, AccountId(1), password_hash=WEAK.hash(PASSWORD))
    yield name
    await delete_person(pool, name)


async def test_a_wrong_password_and_an_unknown_name_are_refused_alike(
    gate: EmbeddedStack, http: aiohttp.ClientSession, bob: str
) -> None:
    base = gate.status().endpoints["api"][0]
    for name, password in ((bob, "wrong"), (bob, ""), ("nobody", PASSWORD), ("", PASSWORD), ("\0", PASSWORD)):
        assert await try_login(http, base, name, password) == WRONG


async def test_who_has_no_password_is_compared_with_one_that_takes_as_long() -> None:
    assert argon2.extract_parameters(nobodys_hash()) == argon2.extract_parameters(hash_password(PASSWORD))
    assert argon2.extract_parameters(nobodys_hash()) == argon2.profiles.RFC_9106_LOW_MEMORY


async def test_a_password_is_one_however_its_letters_are_written() -> None:
    passwords = Passwords()
    assert await passwords.verify(hash_password("cafe\u0301 \ufb01ve"), "caf\u00e9 five")
    assert not await passwords.verify(None, PASSWORD)
    passwords.close()


async def test_more_than_a_few_waiting_passwords_are_refused() -> None:
    passwords = Passwords()
    waiting = [asyncio.create_task(passwords.verify(WEAK.hash(PASSWORD), PASSWORD)) for _ in range(20)]
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert outcomes[:16] == [True] * 16
    assert [type(outcome) for outcome in outcomes[16:]] == [PasswordsBusyError] * 4
    assert await passwords.verify(WEAK.hash(PASSWORD), PASSWORD)
    passwords.close()


async def test_guessing_one_name_is_stopped_before_anything_is_hashed(
    gate: EmbeddedStack, http: aiohttp.ClientSession, bob: str
) -> None:
    async with own_api(gate, rate_limits={"names": [0.01, 2]}, password_queue_capacity=1) as (base, app):
        for _ in range(2):
            assert await try_login(http, base, bob, "wrong") == WRONG
        passwords: Passwords = app.state.context.passwords
        busy = asyncio.create_task(passwords.verify(nobodys_hash().replace("t=3", "t=30"), PASSWORD))
        await asyncio.sleep(0)
        assert (await try_login(http, base, "carol", PASSWORD))[0] == 503  # nothing more can be hashed now
        assert (await try_login(http, base, bob, PASSWORD))[0] == 429  # and this did not have to be
        async with http.get(f"{base}/metrics") as metrics:
            assert "api_password_checks 1.0" in await metrics.text()
        assert not busy.done()
        await busy
        assert (await try_login(http, base, bob, PASSWORD))[0] == 429


async def test_a_hash_of_older_terms_is_made_anew_when_its_password_is_shown(
    gate: EmbeddedStack, http: aiohttp.ClientSession, pool: Pool, bob: str
) -> None:
    base = gate.status().endpoints["api"][0]
    await log_in(http, base, bob, PASSWORD)
    renewed = await password_hash_of(pool, bob)
    assert renewed is not None
    assert argon2.extract_parameters(renewed) == argon2.profiles.RFC_9106_LOW_MEMORY
    await log_in(http, base, bob, PASSWORD)


async def test_a_changed_password_ends_all_sessions_but_the_one_it_begins(
    gate: EmbeddedStack, http: aiohttp.ClientSession, bob: str
) -> None:
    async def change(token: str, password: str, new_password: str) -> tuple[int, str | None]:
        body = {"password": password, "new_password": new_password}
        headers = session_headers(base, token)
        async with http.post(f"{base}/auth/v1/password", json=body, headers=headers) as response:
            cookie = response.cookies.get(COOKIE)
            return response.status, cookie.value if cookie else None

    async def session_status(token: str | None) -> int:
        async with http.get(f"{base}/auth/v1/session", headers=session_headers(base, token or "")) as response:
            return response.status

    base = gate.status().endpoints["api"][0]
    first, second = await log_in(http, base, bob, PASSWORD), await log_in(http, base, bob, PASSWORD)
    assert await change(first, "wrong", "another one that is long") == (401, None)
    assert await change(first, PASSWORD, "short") == (422, None)
    status, fresh = await change(first, PASSWORD, "another one that is long")
    assert status == 200
    assert [await session_status(token) for token in (first, second, fresh)] == [401, 401, 200]
    assert await try_login(http, base, bob, PASSWORD) == WRONG
    await log_in(http, base, bob, "another one that is long")


async def test_no_answer_repeats_a_password(gate: EmbeddedStack, http: aiohttp.ClientSession) -> None:
    base = gate.status().endpoints["api"][0]
    for body in ({"name": "bob", "password": "x" * 200}, {"name": "bob", "password": "secret thing", "more": 1}):
        async with http.post(f"{base}/auth/v1/login", json=body) as response:
            assert response.status == 422
            assert str(body["password"]) not in await response.text()
