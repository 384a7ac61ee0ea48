"""PostgreSQL fails over under the running engines: they find the promoted standby by themselves."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stack.embedded import EmbeddedStack
from stack.postgres.sessions import connection
from tests.client import Client, limit_order

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]

ORDERS = 60
PATIENCE_S = 30.0


async def place_until_answered(client: Client, order: dict[str, Any], api: int) -> int:
    """Repeats the same order, as a client must that was told nothing certain; returns the final status."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            status, _ = await client.place(order, api=api)
            if status not in (503, 504):
                return status
            await asyncio.sleep(0.05)


async def test_orders_go_on_exactly_once_on_the_promoted_server(healed_platform: EmbeddedStack) -> None:
    primary, standby = (healed_platform.node(f"postgres:{role}").name for role in ("primary", "standby"))
    orders = [limit_order("buy", 1, "10.00") for _ in range(ORDERS)]
    async with Client(healed_platform.status()) as client:
        statuses = [await place_until_answered(client, order, 0) for order in orders[:10]]
        under_way = [
            asyncio.create_task(place_until_answered(client, order, n % 2)) for n, order in enumerate(orders[10:40])
        ]
        await asyncio.sleep(0.005)
        await healed_platform.kill(primary)
        statuses += await asyncio.gather(*under_way)
        statuses += [await place_until_answered(client, order, n % 2) for n, order in enumerate(orders[40:])]
        assert statuses == [200] * ORDERS
        assert healed_platform.node("postgres:primary").name == standby
        await healed_platform.restart(primary)
        assert healed_platform.node(primary).role == "standby"
        placed = [order["client_order_id"] for order in orders]
        async with connection(healed_platform.postgres_dsn()) as database:
            count = "SELECT count(*) FROM orders WHERE client_order_id = ANY($1)"
            assert await database.fetchval(count, placed) == ORDERS
            gaps = "SELECT max(sequence) - count(*) FROM journal"
            assert await database.fetchval(gaps) == 0
        async with asyncio.timeout(PATIENCE_S):
            while True:
                states = [state for state in await client.full_states() if state]
                if len(states) == 2 and states[0] == states[1]:
                    break
                await asyncio.sleep(0.1)
