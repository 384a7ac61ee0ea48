"""An api that is told to end says so, goes on serving for a while, and answers what it has begun."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from stack.embedded import EmbeddedStack
from tests.api.extra import started
from tests.api.raw import Raw
from tests.client import Client, limit_order

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]


async def readiness(http: aiohttp.ClientSession, url: str) -> tuple[int, Any]:
    async with http.get(f"{url}/health/ready") as answer:
        return answer.status, await answer.json()


class Balancer:
    """Sends orders to an api as long as it says that it is ready, as whoever stands in front of several does."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        self._url, self._headers = url, headers
        self._ready = True
        self.answered: dict[str, int] = {}

    async def run(self) -> None:
        async with aiohttp.ClientSession() as http:
            await asyncio.gather(self._watch(http), *(self._place(http) for _ in range(8)))

    async def _watch(self, http: aiohttp.ClientSession) -> None:
        while self._ready:
            self._ready = (await readiness(http, self._url))[0] == 200
            await asyncio.sleep(0.02)

    async def _place(self, http: aiohttp.ClientSession) -> None:
        while self._ready:
            order = limit_order("buy", 1, "10.00", client_order_id=uuid4().hex)
            async with http.post(f"{self._url}/v2/orders", json=order, headers=self._headers) as answer:
                await answer.read()
                self.answered[order["client_order_id"]] = answer.status


async def test_every_request_sent_to_an_api_that_ends_is_answered(platform: EmbeddedStack, client: Client) -> None:
    async with started(platform, ELSON_DRAIN_GRACE_MS="1500") as (url, process):
        balancer = Balancer(url, client.headers())
        running = asyncio.create_task(balancer.run())
        while len(balancer.answered) < 50:
            await asyncio.sleep(0.01)
        process.terminate()
        await running
        assert set(balancer.answered.values()) == {200}
        async with asyncio.timeout(10):
            assert await process.wait() == 0
    placed, _ = balancer.answered.popitem()
    assert (await client.request("GET", f"/v2/orders:by_client_order_id?client_order_id={placed}"))[0] == 200


async def test_a_request_that_has_begun_is_answered_after_the_last_connection_was_taken(
    platform: EmbeddedStack, client: Client
) -> None:
    async with started(platform, ELSON_DRAIN_GRACE_MS="0") as (url, process):
        begun = await Raw.to(url)
        body = json.dumps(limit_order("buy", 1, "10.00")).encode()
        fields = {**client.headers(), "Content-Type": "application/json", "Content-Length": str(len(body))}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        await begun.send(f"POST /v2/orders HTTP/1.1\r\nHost: x\r\n{head}\r\n".encode() + body[:20])
        await asyncio.sleep(0.1)
        process.terminate()
        with suppress(ConnectionRefusedError):
            while True:
                await (await Raw.to(url)).close()
                await asyncio.sleep(0.01)
        await begun.send(body[20:])
        assert (await begun.answer())[0] == 200
        await begun.close()


async def test_readiness_ends_first_and_clients_are_sent_elsewhere(platform: EmbeddedStack, client: Client) -> None:
    async with started(platform, ELSON_DRAIN_GRACE_MS="60000") as (url, process), aiohttp.ClientSession() as http:
        process.terminate()
        async with asyncio.timeout(10):
            while (answered := await readiness(http, url))[0] == 200:
                pass
        assert answered == (503, {"status": "not ready", "down": [], "draining": True})
        order = limit_order("buy", 1, "10.00")
        async with http.post(f"{url}/v2/orders", json=order, headers=client.headers()) as placed:
            assert placed.status == 200
            assert placed.headers["Connection"] == "close"
        async with http.get(f"{url}/health/live") as live:
            assert live.status == 200
