"""Far more orders at once than an api lets in: some are done, all others refused, and it is as before afterwards."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import aiohttp
import psutil
import pytest

from stack.embedded import EmbeddedStack
from tests.api.extra import started
from tests.client import Client, limit_order

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]

AT_ONCE = 8
CLIENTS = 100
ORDERS = 2_000
MOST_GROWTH_BYTES = 48 * 2**20


class Crowd:
    """Clients that send one order after another, whatever they are answered."""

    def __init__(self, http: aiohttp.ClientSession, url: str, headers: dict[str, str]) -> None:
        self._http, self._url, self._headers = http, url, headers
        self.answers: Counter[int] = Counter()
        self.refused: list[tuple[str, Any, str | None]] = []
        self.placed: list[str] = []

    async def run(self) -> None:
        await asyncio.gather(*(self._client() for _ in range(CLIENTS)))

    async def _client(self) -> None:
        while self.answers.total() < ORDERS:
            order = limit_order("buy", 1, "10.00")
            async with self._http.post(f"{self._url}/v2/orders", json=order, headers=self._headers) as answer:
                error = await answer.json()
                self.answers[answer.status] += 1
                if answer.status == 200:
                    self.placed.append(order["client_order_id"])
                else:
                    self.refused.append((order["client_order_id"], error, answer.headers.get("Retry-After")))


async def test_what_is_too_much_is_refused_and_was_not_executed(platform: EmbeddedStack, client: Client) -> None:
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        started(platform, ELSON_REQUESTS_AT_ONCE=str(AT_ONCE)) as (url, process),
        aiohttp.ClientSession(connector=connector) as http,
    ):
        before = psutil.Process(process.pid).memory_info().rss
        crowd = Crowd(http, url, client.headers())
        flood = asyncio.create_task(crowd.run())
        while not crowd.placed or not crowd.refused:
            await asyncio.sleep(0.01)
        async with http.delete(f"{url}/v2/orders", headers=client.headers()) as canceled:
            assert canceled.status == 207  # cancels have room of their own
        await flood
        assert set(crowd.answers) == {200, 503}
        assert {error["code"] for _, error, _ in crowd.refused} == {50310000}
        assert {retry_after for _, _, retry_after in crowd.refused} == {"1"}
        assert psutil.Process(process.pid).memory_info().rss - before < MOST_GROWTH_BYTES
        async with http.post(f"{url}/v2/orders", json=limit_order("buy", 1, "10.00"), headers=client.headers()) as one:
            assert one.status == 200
        async with http.get(f"{url}/metrics") as scraped:
            assert f'api_shed_total{{limit="orders"}} {len(crowd.refused)}.0' in await scraped.text()
    look_up = "/v2/orders:by_client_order_id?client_order_id="
    for client_order_id, _, _ in crowd.refused[:10]:
        assert (await client.request("GET", look_up + client_order_id))[0] == 404
    for client_order_id in crowd.placed[:10]:
        assert (await client.request("GET", look_up + client_order_id))[0] == 200
