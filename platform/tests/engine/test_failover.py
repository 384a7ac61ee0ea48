"""The engine dies, freezes or comes back as a zombie; a client's order is still executed exactly once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from stack.embedded import EmbeddedStack
from stack.options import StackOptions
from tests.client import Client, limit_order
from tests.conftest import WITHOUT_FEEDS, small_platform
from trading.infra.database import connect

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]


async def test_an_order_sent_while_the_engine_dies_is_answered_by_its_successor(healed_platform: EmbeddedStack) -> None:
    async with Client(healed_platform.status()) as client:
        before = limit_order("buy", 1, "10.00")
        first = await client.place(before)
        active = await _active(healed_platform)
        await healed_platform.kill(active)
        orders = [limit_order("buy", 1, "11.00") for _ in range(20)]
        answers = await asyncio.gather(*(client.place(order, api=n % 2) for n, order in enumerate(orders)))
        assert [status for status, _ in answers] == [200] * 20
        assert await client.place(before, api=1) == first
        assert await _active(healed_platform) != active
        await _placed_once(client, [before, *orders])


async def test_a_frozen_engine_is_replaced_and_writes_nothing_when_it_wakes(healed_platform: EmbeddedStack) -> None:
    async with Client(healed_platform.status()) as client:
        zombie = await _active(healed_platform)
        pid = healed_platform.node(zombie).pid
        log = healed_platform.options.log_folder / f"{zombie}.log"
        before = len(log.read_text())
        await healed_platform.freeze(zombie)
        orders = [limit_order("buy", 1, "12.00") for _ in range(10)]
        answers = await asyncio.gather(*(client.place(order) for order in orders))
        assert [status for status, _ in answers] == [200] * 10
        leader = await client.full_state_of(await _active(healed_platform))
        await healed_platform.resume(zombie)
        async with asyncio.timeout(20):
            while healed_platform.node(zombie).pid == pid or healed_platform.node(zombie).state != "ready":
                await asyncio.sleep(0.05)
        assert await client.full_state_of(await _active(healed_platform)) == leader
        await _placed_once(client, orders)
        full = [state for state in await client.full_states() if state]
        assert full[0] == full[1]
        told = log.read_text()[before:]
        assert told.count('"event": "ended"') == 1  # one clear line, no trace
        assert "Traceback" not in told


async def test_an_engine_that_is_asked_to_end_hands_over_without_waiting_for_the_lease(tmp_path: Path) -> None:
    """The lease would last longer than any request waits."""
    async with (
        EmbeddedStack(small_platform(), StackOptions(tmp_path, roles=WITHOUT_FEEDS, lease_ttl_ms=30_000)) as stack,
        Client(stack.status()) as client,
    ):
        await client.place(limit_order("buy", 1, "10.00"))
        assert await stack.terminate(await _active(stack)) == 0
        assert (await client.place(limit_order("buy", 1, "10.00")))[0] == 200


async def test_a_leader_is_found_and_elected_over_slow_links(tmp_path: Path) -> None:
    topology = small_platform(proxied=("engine->postgres", "api->engine"))
    async with (
        EmbeddedStack(topology, StackOptions(tmp_path, roles=WITHOUT_FEEDS)) as stack,
        Client(stack.status()) as client,
    ):
        await client.place(limit_order("buy", 1, "10.00"))
        for link in stack.status().links:
            if link.proxied:
                delay = 150 if link.to.startswith("postgres") else 80
                toxic = {"type": "latency", "stream": "downstream", "attributes": {"latency": delay}}
                async with client.http.post(f"{stack.toxiproxy_url}/proxies/{link.name}/toxics", json=toxic) as answer:
                    assert answer.status == 200
        await stack.kill(await _active(stack))
        orders = [limit_order("buy", 1, "16.00") for _ in range(10)]
        answers = await asyncio.gather(*(client.place(order, api=n % 2) for n, order in enumerate(orders)))
        assert [status for status, _ in answers] == [200] * 10
        # Repetitions are read back together, not one by one.
        assert await asyncio.gather(*(client.place(order) for order in orders * 4)) == [*answers] * 4


async def test_a_cancel_whose_answer_was_lost_is_confirmed_not_refused(healed_platform: EmbeddedStack) -> None:
    async with Client(healed_platform.status()) as client:
        placed = [await client.place(limit_order("buy", 1, "13.00")) for _ in range(10)]
        cancels = [
            asyncio.create_task(client.request("DELETE", f"/v2/orders/{order['id']}", api=n % 2))
            for n, (_, order) in enumerate(placed)
        ]
        await healed_platform.kill(await _active(healed_platform))
        assert [status for status, _ in await asyncio.gather(*cancels)] == [204] * 10


async def test_without_any_engine_an_order_is_not_called_failed(healed_platform: EmbeddedStack) -> None:
    """Sent and unanswered is unknown (504); the message says how to find out."""
    async with Client(healed_platform.status()) as client:
        for engine in ("engine:1", "engine:2"):
            await healed_platform.freeze(engine)
        status, error = await client.place(limit_order("buy", 1, "14.00"))
        assert (status, error["code"]) == (504, 50410000)
        assert "client_order_id" in error["message"]


async def test_an_order_that_no_engine_can_have_taken_is_refused_for_certain(healed_platform: EmbeddedStack) -> None:
    async with Client(healed_platform.status()) as client:
        for engine in ("engine:1", "engine:2"):
            await healed_platform.kill(engine)
        while (await client.request("GET", "/health/ready"))[0] != 503:
            await asyncio.sleep(0.02)
        # An api that has not noticed yet writes into a connection that is dead, and then cannot be certain.
        status, error = await client.place(limit_order("buy", 1, "15.00"))
        assert status in (503, 504)
        order = limit_order("buy", 1, "15.00")
        status, error = await client.place(order)
        assert (status, error["code"]) == (503, 50310000)
        assert "not executed" in error["message"]
        path = f"/v2/orders:by_client_order_id?client_order_id={order['client_order_id']}"
        assert (await client.request("GET", path))[0] == 404


async def test_a_look_up_does_not_confirm_an_order_that_only_the_primary_has(healed_platform: EmbeddedStack) -> None:
    """Its commit was cut off while waiting for a second copy: the row is visible, and may be lost with the primary."""
    async with Client(healed_platform.status()) as client:
        for copy in ("postgres:standby", "wal:1"):
            await healed_platform.kill(copy)
        order = limit_order("buy", 1, "17.00")
        placing = asyncio.create_task(client.place(order))
        observer = await connect(healed_platform.postgres_dsn(), "test")
        end = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE wait_event = 'SyncRep' AND query LIKE 'WITH fence%'"""
        while not await observer.fetch(end):
            await asyncio.sleep(0.02)
        visible = "SELECT 1 FROM orders WHERE client_order_id = $1"
        while not await observer.fetch(visible, order["client_order_id"]):
            await asyncio.sleep(0.02)
        observer.terminate()
        path = f"/v2/orders:by_client_order_id?client_order_id={order['client_order_id']}"
        status, error = await client.request("GET", path)
        assert (status, error["code"]) == (503, 50310000)
        assert (await placing)[0] == 504


async def _active(stack: EmbeddedStack) -> str:
    (node,) = await stack.resolve("engine:active")
    return node.name


async def _placed_once(client: Client, orders: list[dict[str, Any]]) -> None:
    _, listed = await client.request("GET", "/v2/orders?status=all&limit=500")
    known = [order["client_order_id"] for order in listed]
    assert [known.count(order["client_order_id"]) for order in orders] == [1] * len(orders)
