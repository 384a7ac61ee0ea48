"""How long a request may take is its client's word; what is not known by then is said to be unknown."""

from __future__ import annotations

import asyncio

import pytest

from stack.embedded import EmbeddedStack
from tests.client import Client, limit_order

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]


@pytest.mark.parametrize("insane", ["0", "-1", "31", "1e9", "nan", "soon", "0.001"])
async def test_a_time_limit_that_is_none_is_refused(client: Client, insane: str) -> None:
    headers = {**client.headers(), "X-Request-Timeout": insane}
    order = limit_order("buy", 1, "10.00")
    status, error = await client.place(order, headers=headers)
    assert status == 422
    assert "X-Request-Timeout" in error["message"]


async def test_orders_under_way_in_a_failover_are_answered_once_inside_their_time_or_unknown_after_it(
    healed_platform: EmbeddedStack,
) -> None:
    async with Client(healed_platform.status()) as client:
        impatient = {**client.headers(), "X-Request-Timeout": "0.1"}
        patient = {**client.headers(), "X-Request-Timeout": "15"}
        assert (await client.place(limit_order("buy", 1, "10.00")))[0] == 200
        hasty, calm = limit_order("buy", 1, "10.00"), [limit_order("buy", 1, "10.00") for _ in range(20)]
        (active,) = await healed_platform.resolve("engine:active")
        await healed_platform.freeze(active.name)
        answers = [asyncio.create_task(client.place(order, headers=patient)) for order in calm]
        status, error = await client.place(hasty, headers=impatient)
        assert (status, error["code"]) == (504, 50410000)
        assert "unknown" in error["message"]
        assert f"look the order up by client_order_id {hasty['client_order_id']}" in error["message"]
        assert [status for status, _ in await asyncio.gather(*answers)] == [200] * 20
        _, listed = await client.request("GET", "/v2/orders?status=all&limit=500")
        placed = [order["client_order_id"] for order in listed]
        assert all(placed.count(order["client_order_id"]) == 1 for order in calm)
        assert placed.count(hasty["client_order_id"]) <= 1
