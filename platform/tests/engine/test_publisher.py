"""The journal's way to Redis: nothing is skipped or stands there twice, whatever happens to Redis."""

from __future__ import annotations

import asyncio
import re

import pytest

from stack.embedded import EmbeddedStack
from tests.client import Client, limit_order
from trading.infra import redis

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]


async def test_the_stream_is_whole_again_after_redis_was_away_and_came_back_empty(own_platform: EmbeddedStack) -> None:
    async with Client(own_platform.status()) as client:
        url = f"redis://{own_platform.wiring.address('redis:primary')}/0"

        async def lag() -> float:
            (active,) = await own_platform.resolve("engine:active")
            async with client.http.get(own_platform.base_url(active.name) + "/metrics") as answer:
                found = re.search(r"^engine_publisher_lag_records (\S+)$", await answer.text(), re.MULTILINE)
            assert found
            return float(found[1])

        async def stream_is_whole() -> None:
            async with asyncio.timeout(10):
                while await lag() > 0:
                    await asyncio.sleep(0.05)
            last = (await client.active_state())["sequence"]
            reader = redis.connect(url)
            published = [sequence for sequence, _ in await redis.read_after(reader, 0, wait_ms=100)]
            await reader.aclose()
            assert published == list(range(1, last + 1))

        async def trade_while_away() -> None:
            for _ in range(5):
                assert (await client.place(limit_order("buy", 1, "10.00")))[0] == 200
            assert await lag() > 0

        await client.place(limit_order("buy", 1, "10.00"))
        await stream_is_whole()
        await own_platform.kill("redis:primary")
        await trade_while_away()
        await own_platform.restart("redis:primary")
        await stream_is_whole()
        await own_platform.freeze("redis:primary")
        await trade_while_away()
        await own_platform.resume("redis:primary")
        await stream_is_whole()
