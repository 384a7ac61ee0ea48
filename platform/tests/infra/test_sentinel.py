"""A client of the Redis pair: it finds who leads, believes no one else, and goes on when that changes."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis

from stack.embedded import EmbeddedStack
from stack.options import StackOptions
from stack.topology import Role, platform_topology
from tests.redis_pair import client_of, hit, whole_again
from trading.infra import redis
from trading.infra.sentinel import LIMIT_S

pytestmark = pytest.mark.stack
CLIENT = "api:1"  # its links to Redis are proxied


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[EmbeddedStack]:
    topology = platform_topology(instruments=(), accounts=(), proxied=[f"{CLIENT}->redis"])
    roles = frozenset({Role.REDIS, Role.SENTINEL, Role.TOXIPROXY})
    async with EmbeddedStack(topology, StackOptions(tmp_path, roles=roles)) as stack:
        yield stack


@asynccontextmanager
async def connected(servers: EmbeddedStack, addresses: dict[str, str] | None = None) -> AsyncIterator[Redis]:
    client = redis.connect(servers.redis_url, addresses)
    try:
        yield client
    finally:
        await client.aclose()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_client_goes_on_with_the_next_primary_and_repeats_nothing_by_itself(
    servers: EmbeddedStack, number: signal.Signals
) -> None:
    async with connected(servers) as client:
        assert await asyncio.gather(*(client.ping() for _ in range(8))) == [True] * 8  # as many connections
        await client.incr("counted")
        await has_replicated(servers)
        counted: int | None = 1
        lost, answered, failed = hit(servers, "redis:primary", number), 1, False
        async with asyncio.timeout(10):
            while not failed or counted is None:
                counted = await _counted(client)
                failed, answered = failed or counted is None, answered + (counted is not None)
        # One by one the idle connections would each cost a time-out more; they are of the old primary no longer.
        assert await asyncio.gather(*(client.ping() for _ in range(8))) == [True] * 8
        assert counted == answered, "what failed was never tried again"
        await whole_again(servers, lost)


async def test_sentinels_that_hang_hold_up_nobody_and_without_any_the_known_primary_still_counts(
    servers: EmbeddedStack,
) -> None:
    async with connected(servers) as client, connected(servers) as stranger:
        for count, name in enumerate(("sentinel:1", "sentinel:2", "sentinel:3"), start=1):
            await servers.freeze(name)
            async with asyncio.timeout(0.2 if count == 1 else 2):  # one asked after the other would take 0.25 s each
                assert await client.ping()
            await client.connection_pool.disconnect()
        with pytest.raises(redis.StreamError, match="none of 3 sentinels knows who leads elson"):
            await stranger.ping()
        asking = asyncio.create_task(stranger.ping())  # knows nobody yet, so it has time for late answers
        await asyncio.sleep(2 * LIMIT_S)
        for name in ("sentinel:1", "sentinel:2", "sentinel:3"):
            await servers.resume(name)
        assert await asking


async def test_a_server_that_does_not_say_that_it_leads_is_not_used(servers: EmbeddedStack) -> None:
    async with client_of(servers, "redis:primary") as primary:
        await primary.replicaof("127.0.0.1", 1)
    async with connected(servers) as client:
        with pytest.raises(redis.StreamError, match="does not lead yet, or no longer"):
            await client.set("key", "value")


async def test_servers_behind_proxies_are_reached_through_them(servers: EmbeddedStack) -> None:
    links = [link for link in servers.status().links if link.from_ == CLIENT and link.to.startswith("redis:")]
    assert all(link.proxied and link.listen != link.upstream for link in links)
    listens = {link.to: link.listen for link in links}
    async with connected(servers, {link.upstream: link.listen for link in links}) as client:
        assert await reached(client) == ("master", listens["redis:1"])
        await whole_again(servers, hit(servers, "redis:primary"))
        async with asyncio.timeout(5):
            while not await _counted(client):
                await asyncio.sleep(0.05)
        assert await reached(client) == ("master", listens["redis:2"])


async def reached(client: Redis) -> tuple[str, str | None]:
    found = await redis.replication(client)
    return found.role, found.server


async def has_replicated(servers: EmbeddedStack) -> None:
    async with client_of(servers, "redis:primary") as client:
        assert await client.wait(1, 5000)


async def _counted(client: Redis) -> int | None:
    try:
        return int(await client.incr("counted"))
    except redis.StreamError:
        return None


@pytest.mark.parametrize(
    ("url", "addresses", "message"),
    [
        ("redis+sentinel://127.0.0.1/elson/0", {}, "'127.0.0.1' is no address"),
        ("redis+sentinel://127.0.0.1:1,there/elson/0", {}, "'there' is no address"),
        ("redis+sentinel://127.0.0.1:1/elson/none", {}, "none"),
        ("redis+sentinel://127.0.0.1:1", {}, "names no pair"),
        ("redis+sentinel://127.0.0.1:1/elson/0", {"127.0.0.1:1": "proxy"}, "'proxy' is no address"),
        ("http://127.0.0.1:1", {}, "scheme"),
    ],
)
def test_an_address_that_cannot_be_is_refused(url: str, addresses: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        redis.connect(url, addresses)
