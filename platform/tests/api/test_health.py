"""The probes of a healthy platform and of one that has lost a part."""

from __future__ import annotations

import pytest

from stack.embedded import EmbeddedStack
from tests.client import Client, limit_order

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]


async def test_a_healthy_api_names_every_dependency(client: Client) -> None:
    status, report = await client.request("GET", "/health")
    assert (status, report["status"]) == (200, "ok")
    assert {name: found["state"] for name, found in report["dependencies"].items()} == {
        "engine": "ok",
        "postgres": "ok",
        "redis": "ok",
    }
    assert all(found["latency_ms"] > 0 for found in report["dependencies"].values())
    assert (await client.request("GET", "/health/ready"))[0] == 200
    assert (await client.request("GET", "/health/live"))[0] == 200


async def test_requests_are_counted_by_their_routes_template(client: Client) -> None:
    await client.request("GET", "/v2/orders/00000000-0000-8000-8000-00000000002a")
    base = client.status.endpoints["api"][0]
    async with client.http.get(f"{base}/metrics") as response:
        text = await response.text()
    assert 'api_requests_total{method="GET",route="/v2/orders/{order_id}",status="404"}' in text


async def test_orders_do_not_need_redis_and_a_frozen_dependency_cannot_hang_a_probe(
    own_platform: EmbeddedStack,
) -> None:
    async with Client(own_platform.status()) as client:
        await own_platform.freeze("redis:primary")
        status, report = await client.request("GET", "/health")
        assert (status, report["status"]) == (200, "degraded")
        assert report["dependencies"]["redis"]["state"] == "down"
        assert (await client.place(limit_order("buy", 1, "10.00")))[0] == 200
        await own_platform.resume("redis:primary")
        for engine in ("engine:1", "engine:2"):
            await own_platform.freeze(engine)
        status, report = await client.request("GET", "/health/ready")
        assert (status, report["down"]) == (503, ["engine"])
