"""The journal's way to Redis: nothing is skipped or stands there twice, whatever happens to Redis."""

from __future__ import annotations

import asyncio
import re

import pytest

from stack.embedded import EmbeddedStack
from tests.client import Client, limit_order
from tests.redis_pair import cut_replication
from trading.infra import redis

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]


async def test_the_stream_is_whole_again_on_an_emptied_redis_and_on_one_that_lacks_the_newest(
    own_platform: EmbeddedStack,
) -> None:
    async with Client(own_platform.status()) as client:

        async def lag() -> float:
            (active,) = await own_platform.resolve("engine:active")
            async with client.http.get(own_platform.base_url(active.name) + "/metrics") as answer:
                found = re.search(r"^engine_publisher_lag_records (\S+)$", await answer.text(), re.MULTILINE)
            assert found
            return float(found[1])

        async def stream() -> list[int]:
            reader = redis.connect(own_platform.redis_url)
            try:
                return [sequence for sequence, _ in await redis.read_after(reader, 0, wait_ms=100)]
            except redis.StreamError:
                return []
            finally:
                await reader.aclose()

        async def stream_is_whole() -> None:
            last, published = (await client.active_state())["sequence"], list[int]()
            async with asyncio.timeout(10):
                while published != list(range(1, last + 1)):
                    await asyncio.sleep(0.05)
                    published = await stream()

        async def trade_while_away() -> None:
            for _ in range(5):
                assert (await client.place(limit_order("buy", 1, "10.00")))[0] == 200
            assert await lag() > 0

        async def kill_both() -> None:
            await asyncio.gather(own_platform.kill("redis:1"), own_platform.kill("redis:2"))

        await client.place(limit_order("buy", 1, "10.00"))
        await stream_is_whole()
        await kill_both()
        await trade_while_away()
        await asyncio.gather(own_platform.restart("redis:1"), own_platform.restart("redis:2"))
        await stream_is_whole()

        primary = own_platform.node("redis:primary").name
        await cut_replication(own_platform)
        await client.place(limit_order("buy", 1, "10.00"))
        await stream_is_whole()  # but the replica has not heard
        await own_platform.kill(primary)
        await stream_is_whole()
        async with asyncio.timeout(10):
            while own_platform.node("redis:primary").name == primary:
                await asyncio.sleep(0.05)
        await stream_is_whole()
        await own_platform.restart(primary)
