"""Token buckets against a real Redis: shared by processes, exact at the edge, and standing in when it is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis

from stack.embedded import EmbeddedStack
from stack.options import StackOptions
from stack.topology import Role, platform_topology
from trading.infra import redis
from trading.infra.rate_limits import DEFAULT_RATES, LimitClass, Limiter, Rate, source_of

SLOW = Rate(0.001, 3)  # no token comes back during a test
PATIENT_S = 5.0
READS, ORDERS = LimitClass.READS, LimitClass.ORDERS


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[EmbeddedStack]:
    topology = platform_topology(instruments=(), accounts=())
    async with EmbeddedStack(topology, StackOptions(tmp_path, roles=frozenset({Role.REDIS}))) as stack:
        yield stack


def url_of(servers: EmbeddedStack) -> str:
    return servers.redis_url


@asynccontextmanager
async def limiter(servers: EmbeddedStack, rate: Rate = SLOW, patience_s: float = PATIENT_S) -> AsyncIterator[Limiter]:
    """One process's own."""
    client = redis.connect(url_of(servers))
    limiter = Limiter(client, {READS: rate}, patience_s=patience_s)
    try:
        yield limiter
    finally:
        await limiter.close()
        await client.aclose()


async def commands(servers: EmbeddedStack) -> int:
    """Calls of the script that Redis has seen so far."""
    client = Redis.from_url(url_of(servers))
    try:
        return int((await client.info("commandstats")).get("cmdstat_evalsha", {"calls": 0})["calls"])
    finally:
        await client.aclose()


async def allowed(limiter: Limiter, count: int, name: str = "a") -> int:
    decisions = await asyncio.gather(*(limiter.take(READS, name) for _ in range(count)))
    return sum(decision.allowed for decision in decisions)


pytestmark = pytest.mark.stack


async def test_a_full_bucket_grants_its_burst_and_not_one_more(servers: EmbeddedStack) -> None:
    async with limiter(servers) as own:
        decisions = [await own.take(READS, "a") for _ in range(4)]
    assert [decision.allowed for decision in decisions] == [True, True, True, False]
    assert [decision.remaining for decision in decisions] == [2, 1, 0, 0]
    assert {decision.limit for decision in decisions} == {3}
    assert 999 < decisions[3].retry_after_s <= 1000


async def test_processes_share_a_bucket_and_names_do_not(servers: EmbeddedStack) -> None:
    async with limiter(servers) as one, limiter(servers) as other:
        assert await allowed(one, 2) + await allowed(other, 2) == 3
        assert await allowed(other, 4, "b") == 3


async def test_tokens_come_back_with_time(servers: EmbeddedStack) -> None:
    async with limiter(servers, Rate(20, 2)) as own:
        assert await allowed(own, 5) == 2
        refused = await own.take(READS, "a")
        await asyncio.sleep(refused.retry_after_s)
        assert (await own.take(READS, "a")).allowed


async def test_what_waits_in_a_process_goes_in_one_call(servers: EmbeddedStack) -> None:
    async with limiter(servers) as own:
        await own.take(READS, "first")
        before = await commands(servers)
        checks = [own.take(READS, f"caller {number % 50}") for number in range(500)]
        decisions = await asyncio.gather(*checks)
        assert sum(decision.allowed for decision in decisions) == 50 * 3
        assert await commands(servers) - before <= 2


async def test_a_busy_caller_far_from_the_limit_hardly_ever_asks_redis(servers: EmbeddedStack) -> None:
    assert DEFAULT_RATES[ORDERS].per_s >= 5_000
    async with limiter(servers) as own:
        before = await commands(servers)
        for _ in range(500):
            assert (await own.take(ORDERS, "a")).allowed
        assert await commands(servers) - before <= 25


async def test_what_is_fetched_ahead_is_still_counted_once(servers: EmbeddedStack) -> None:
    async with limiter(servers, Rate(1, 1_000)) as one, limiter(servers, Rate(1, 1_000)) as other:
        granted = sum([(await each.take(READS, "a")).allowed for _ in range(600) for each in (one, other)])
    assert 990 <= granted <= 1_010


async def test_an_empty_bucket_refuses_without_asking(servers: EmbeddedStack) -> None:
    async with limiter(servers) as own:
        await allowed(own, 4)
        before = await commands(servers)
        assert await allowed(own, 100) == 0
        assert await commands(servers) == before


async def test_this_process_counts_while_redis_is_dead_and_asks_it_again_when_it_is_back(
    servers: EmbeddedStack,
) -> None:
    async with limiter(servers) as own:
        assert await allowed(own, 1) == 1
        await servers.kill("redis:primary")
        assert await allowed(own, 5) == 2  # it goes on from what it knew
        assert own.away
        assert await allowed(own, 5, "b") == 3
        await servers.restart("redis:primary")
        while own.away:
            await own.take(READS, "c")
            await asyncio.sleep(0.05)
        async with limiter(servers) as other:
            assert await allowed(own, 1, "d") + await allowed(other, 3, "d") == 3


async def test_a_frozen_redis_holds_up_the_first_checks_at_most(servers: EmbeddedStack) -> None:
    async with limiter(servers, patience_s=0.02) as own:
        await allowed(own, 1)
        await servers.freeze("redis:primary")
        async with asyncio.timeout(5):  # a frozen server never answers
            assert await allowed(own, 5, "b") == 3
        before = own.away
        # Known to be away: not even a turn of the loop is waited for.
        check = own.take(READS, "c")
        with pytest.raises(StopIteration):
            check.send(None)
        assert before
        await servers.resume("redis:primary")


async def test_checks_given_up_do_not_hurt_the_others(servers: EmbeddedStack) -> None:
    async with limiter(servers) as own:
        given_up = asyncio.create_task(own.take(READS, "a"))
        others = [asyncio.create_task(own.take(READS, "a")) for _ in range(2)]
        await asyncio.sleep(0)
        given_up.cancel()
        assert [(await other).allowed for other in others] == [True, True]


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("not an address", "not an address"),
    ],
)
def test_a_source_is_an_address_or_the_network_of_one_ipv6_user(address: str, source: str) -> None:
    assert source_of(address) == source
