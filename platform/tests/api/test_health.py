"""The probes of a healthy platform and of one that has lost a part."""

from __future__ import annotations

import asyncio
from datetime import datetime

import pytest

from stack.embedded import EmbeddedStack
from tests.client import Client, limit_order

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]


async def test_a_healthy_api_names_every_dependency(client: Client) -> None:
    status, report = await client.request("GET", "/health")
    assert (status, report["status"]) == (200, "ok")
    found = report["dependencies"]
    assert {name: dependency["state"] for name, dependency in found.items()} == {
        "engine": "ok",
        "postgres": "ok",
        "postgres_replica": "ok",
        "redis": "ok",
    }
    assert all(dependency["latency_ms"] > 0 for dependency in found.values())
    assert {name: dependency["role"] for name, dependency in found.items()} == {
        "engine": "active",
        "postgres": "primary",
        "postgres_replica": "replica",
        "redis": "master",
    }
    assert (await client.request("GET", "/health/ready"))[0] == 200
    assert (await client.request("GET", "/health/live"))[0] == 200


async def test_health_tells_how_far_the_standbys_are_behind(client: Client) -> None:
    await client.place(limit_order("buy", 1, "10.00"))
    found = (await client.request("GET", "/health"))[1]["dependencies"]
    (engine,) = found["engine"]["standbys"]
    assert engine["node"] != found["engine"]["node"]
    assert engine["lag_records"] >= 0
    followers = found["postgres"]["standbys"]
    assert sorted(follower["sync"] for follower in followers) == ["async", "potential", "sync"]
    assert all(follower["state"] == "streaming" and follower["lag_bytes"] >= 0 for follower in followers)


async def test_requests_are_counted_by_their_routes_template(client: Client) -> None:
    await client.request("GET", "/v2/orders/00000000-0000-8000-8000-00000000002a")
    base = client.status.endpoints["api"][0]
    async with client.http.get(f"{base}/metrics") as response:
        text = await response.text()
    assert 'api_requests_total{method="GET",route="/v2/orders/{order_id}",status="404"}' in text
    assert "api_requests_in_flight 1.0" in text  # the one that asks


async def test_orders_do_not_need_redis_and_a_frozen_dependency_cannot_hang_a_probe(
    healed_platform: EmbeddedStack,
) -> None:
    async with Client(healed_platform.status()) as client:
        before = (await client.request("GET", "/health"))[1]["dependencies"]["redis"]
        primary = healed_platform.node("redis:primary").name
        await healed_platform.freeze(primary)
        async with asyncio.timeout(5):  # a probe that hangs would never be answered
            status, report = await client.request("GET", "/health")
        assert (status, report["status"]) == (200, "degraded")
        redis = report["dependencies"]["redis"]
        assert redis["state"] == "down"
        assert datetime.fromisoformat(redis["since"]) > datetime.fromisoformat(before["since"])
        assert (await client.request("GET", "/health"))[1]["dependencies"]["redis"]["since"] == redis["since"]
        assert (await client.place(limit_order("buy", 1, "10.00")))[0] == 200
        await healed_platform.resume(primary)  # which has stood still too long: the other one leads, and it follows
        assert primary == healed_platform.node("redis:replica").name
        async with asyncio.timeout(10):
            while (redis := (await client.request("GET", "/health"))[1]["dependencies"]["redis"])["state"] != "ok":
                await asyncio.sleep(0.1)
        assert (redis["role"], redis["replicas"]) == ("master", 1)
        assert redis["server"] != before["server"]
        assert redis["since"] > before["since"]

        (standby,) = await healed_platform.resolve("engine:standby")
        await healed_platform.freeze(standby.name)
        status, report = await client.request("GET", "/health")
        assert (status, report["status"]) == (200, "degraded")
        assert report["dependencies"]["engine"]["state"] == "degraded"
        assert (await client.request("GET", "/health/ready"))[0] == 200
        (active,) = await healed_platform.resolve("engine:active")
        await healed_platform.freeze(active.name)
        status, report = await client.request("GET", "/health/ready")
        assert (status, report["down"]) == (503, ["engine"])
        await healed_platform.freeze("postgres:primary")
        async with asyncio.timeout(5):
            status, report = await client.request("GET", "/health")
        assert (status, report["status"]) == (503, "down")
        assert report["dependencies"]["postgres"]["state"] == "down"
