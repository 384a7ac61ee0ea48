"""PostgreSQL fails over under the running engines: the standby is promoted, and answers where the primary did."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from stack.embedded import EmbeddedStack
from tests.client import Client, limit_order
from trading.infra.database import connect

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]

ORDERS = 60
PATIENCE_S = 30.0


@asynccontextmanager
async def forwarding(port: int, to_port: int) -> AsyncIterator[None]:
    """Whoever connects to ``port`` talks to ``to_port``, as through a service address that has moved."""

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward = await asyncio.open_connection("127.0.0.1", to_port)
        await asyncio.gather(carry(reader, onward[1]), carry(onward[0], writer))

    async with await asyncio.start_server(accept, "127.0.0.1", port):
        yield


async def promote(stack: EmbeddedStack) -> None:
    standby = await connect(stack.postgres_dsn("postgres:standby"), "test")
    assert await standby.fetchval("SELECT pg_promote()")
    standby.terminate()


async def place_until_answered(client: Client, order: dict[str, Any], api: int) -> int:
    """Repeats the same order, as a client must that was told nothing certain; returns the final status."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            status, _ = await client.place(order, api=api)
            if status not in (503, 504):
                return status
            await asyncio.sleep(0.05)


async def test_orders_go_on_exactly_once_on_the_promoted_server(own_platform: EmbeddedStack) -> None:
    primary, standby = own_platform.node("postgres:primary"), own_platform.node("postgres:standby")
    orders = [limit_order("buy", 1, "10.00") for _ in range(ORDERS)]
    async with Client(own_platform.status()) as client:
        statuses = [await place_until_answered(client, order, 0) for order in orders[:10]]
        under_way = [
            asyncio.create_task(place_until_answered(client, order, n % 2)) for n, order in enumerate(orders[10:40])
        ]
        await asyncio.sleep(0.005)
        await own_platform.kill("postgres:primary")
        await promote(own_platform)
        async with forwarding(primary.port, standby.port):
            statuses += await asyncio.gather(*under_way)
            statuses += [await place_until_answered(client, order, n % 2) for n, order in enumerate(orders[40:])]
            assert statuses == [200] * ORDERS
            placed = [order["client_order_id"] for order in orders]
            database = await connect(own_platform.postgres_dsn("postgres:standby"), "test")
            count = "SELECT count(*) FROM orders WHERE client_order_id = ANY($1)"
            assert await database.fetchval(count, placed) == ORDERS
            gaps = "SELECT max(sequence) - count(*) FROM journal"
            assert await database.fetchval(gaps) == 0
            database.terminate()
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    states = [state for state in await client.full_states() if state]
                    if len(states) == 2 and states[0] == states[1]:
                        break
                    await asyncio.sleep(0.1)
