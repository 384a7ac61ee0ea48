"""Keys are made, shown once, and refused everywhere within a second of being revoked."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from stack.embedded import EmbeddedStack
from tests.access.people import key_headers
from trading.core.orders import AccountId
from trading.infra.database import DatabaseError, Pool
from trading.infra.identity import Identity, Role
from trading.infra.keys import KeyRing, create_key, list_keys, revoke_key
from trading.infra.remembered import FRESH_S

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]

ACCOUNT = AccountId(1)


@pytest_asyncio.fixture(loop_scope="session")
async def pool(gate: EmbeddedStack) -> AsyncIterator[Pool]:
    pool = Pool(gate.postgres_dsn(), "test")
    yield pool
    await pool.close()


async def new_key(gate: EmbeddedStack, pool: Pool, role: Role = Role.TRADER) -> tuple[str, str]:
    return await create_key(pool, gate.key_pepper, ACCOUNT, role, "a test's")


async def api_statuses(gate: EmbeddedStack, http: aiohttp.ClientSession, pair: tuple[str, str]) -> list[int]:
    """What each api answers to the key."""
    statuses = []
    for base in gate.status().endpoints["api"]:
        async with http.get(f"{base}/v2/orders", headers=key_headers(*pair)) as response:
            statuses.append(response.status)
    return statuses


async def feed_lets_in(gate: EmbeddedStack, http: aiohttp.ClientSession, pair: tuple[str, str]) -> bool:
    async with http.ws_connect(f"{gate.status().endpoints['feed'][0]}/v2/iex") as socket:
        await socket.receive()  # connected
        await socket.send_str(json.dumps({"action": "auth", "key": pair[0], "secret": pair[1]}))
        (answer,) = json.loads((await socket.receive()).data)
        return bool(answer["T"] == "success")


async def test_two_keys_open_one_account_and_revoking_one_leaves_the_other(
    gate: EmbeddedStack, http: aiohttp.ClientSession, pool: Pool
) -> None:
    revoked, kept = await new_key(gate, pool), await new_key(gate, pool)
    for pair in (revoked, kept):
        assert await api_statuses(gate, http, pair) == [200, 200]
        assert await feed_lets_in(gate, http, pair)
    await revoke_key(pool, revoked[0])
    await asyncio.sleep(FRESH_S)
    assert await api_statuses(gate, http, revoked) == [401, 401]
    assert not await feed_lets_in(gate, http, revoked)
    assert await api_statuses(gate, http, kept) == [200, 200]
    assert await feed_lets_in(gate, http, kept)


async def refused_after_revocation(ring: KeyRing, pool: Pool, pair: tuple[str, str]) -> bool:
    """Whether a key that was in use is refused a second after it was revoked."""
    assert await ring.identify(*pair) == Identity(f"key {pair[0]}", Role.TRADER, ACCOUNT)
    await revoke_key(pool, pair[0])
    await asyncio.sleep(FRESH_S)
    return await ring.identify(*pair) is None


async def test_a_key_ring_refuses_a_revoked_key(gate: EmbeddedStack, pool: Pool) -> None:
    assert await refused_after_revocation(KeyRing(pool, gate.key_pepper), pool, await new_key(gate, pool))


async def test_a_key_ring_that_never_forgets_is_found(gate: EmbeddedStack, pool: Pool) -> None:
    ring = KeyRing(pool, gate.key_pepper, fresh_s=math.inf)
    assert not await refused_after_revocation(ring, pool, await new_key(gate, pool))


async def test_a_connection_that_proved_its_key_is_told_when_that_is_revoked(gate: EmbeddedStack, pool: Pool) -> None:
    ring, (key_id, _) = KeyRing(pool, gate.key_pepper, fresh_s=0.05), await new_key(gate, pool)
    identity = await ring.identity_of(key_id)
    assert identity is not None
    assert identity.account_id == ACCOUNT
    await revoke_key(pool, key_id)
    await asyncio.sleep(0.06)
    assert await ring.identity_of(key_id) is None


async def test_ids_and_secrets_have_alpacas_shape_and_only_a_keyed_hash_is_stored(
    gate: EmbeddedStack, pool: Pool
) -> None:
    key_id, secret = await new_key(gate, pool)
    assert (len(key_id), len(secret)) == (20, 40)
    (row,) = await pool.fetch("SELECT * FROM api_keys WHERE key_id = $1", key_id)
    assert len(row["secret_hash"]) == 32
    assert secret not in str(dict(row))
    assert await KeyRing(pool, "another pepper").identify(key_id, secret) is None


async def test_wrong_unknown_and_impossible_pairs_are_nobodys(gate: EmbeddedStack, pool: Pool) -> None:
    ring, (key_id, secret) = KeyRing(pool, gate.key_pepper), await new_key(gate, pool)
    for pair in (
        *((key_id, "wrong"), (key_id, ""), ("PKUNKNOWN", secret), (key_id.lower(), secret)),
        *(("", ""), ("\0", secret), ("é" * 20, secret), (key_id, "\0"), ("K" * 10_000, secret)),
    ):
        assert await ring.identify(*pair) is None
    assert await ring.identify(key_id, secret) is not None


async def test_revoked_keys_stay_listed_with_the_moment_of_their_end(gate: EmbeddedStack, pool: Pool) -> None:
    key_id, _ = await new_key(gate, pool, Role.ANALYST)
    revoked = await revoke_key(pool, key_id)
    assert revoked is not None
    assert revoked.revoked_at is not None
    assert await revoke_key(pool, key_id) == revoked
    assert revoked in await list_keys(pool, ACCOUNT)
    assert revoked not in await list_keys(pool, AccountId(2))
    assert await revoke_key(pool, "PKUNKNOWN") is None


@pytest.mark.parametrize(("role", "account_id"), [(Role.OPERATOR, ACCOUNT), (Role.TRADER, None)])
async def test_officers_have_no_account_and_everybody_else_has_one(
    gate: EmbeddedStack, pool: Pool, role: Role, account_id: AccountId | None
) -> None:
    with pytest.raises(DatabaseError, match="ck_api_keys_account"):
        await create_key(pool, gate.key_pepper, account_id, role, "impossible")
