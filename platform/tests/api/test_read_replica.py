"""What tolerates age is read from the replica and says so; nothing that decides about money ever is."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from stack.embedded import EmbeddedStack
from tests.api.extra import api_process
from tests.client import Client, limit_order

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]

AGED = (
    "/v2/account/activities",
    "/v2/account/activities/FILL",
    "/v2/account/portfolio/history",
    "/v2/stocks/AAA/trades",
)
EXACT = ("/v2/account", "/v2/positions", "/v2/orders?status=all", "/v2/orders:by_client_order_id?client_order_id={}")


async def sources(url: str, client: Client, paths: tuple[str, ...], order: str = "") -> dict[str, str | None]:
    """What each answer says it was read from."""
    found: dict[str, str | None] = {}
    async with aiohttp.ClientSession(url, headers=client.headers()) as http:
        for path in paths:
            async with http.get(path.format(order)) as answer:
                assert answer.status == 200, await answer.text()
                found[path] = answer.headers.get("X-Read-From")
    return found


async def health(url: str) -> tuple[str, dict[str, Any], int]:
    async with aiohttp.ClientSession(url) as http, http.get("/health") as told, http.get("/health/ready") as ready:
        body = await told.json()
        return body["status"], body["dependencies"]["postgres_replica"], ready.status


async def test_history_comes_from_the_replica_and_says_how_far_it_is_behind(
    platform: EmbeddedStack, client: Client
) -> None:
    status, order = await client.place(limit_order("buy", 1, "4.00"))
    assert status == 200
    async with api_process(platform, ELSON_POSTGRES_READ_DSN=platform.postgres_dsn("postgres:standby")) as url:
        aged = await sources(url, client, AGED)
        assert all(source and source.startswith("replica; lag_ms=") for source in aged.values()), aged
        assert set((await sources(url, client, EXACT, order["client_order_id"])).values()) == {None}
        _, replica, _ = await health(url)
        assert (replica["state"], replica["role"]) == ("ok", "replica")


async def test_the_primary_stands_in_for_a_replica_that_is_away(platform: EmbeddedStack, client: Client) -> None:
    async with api_process(platform, ELSON_POSTGRES_READ_DSN="postgresql://nobody@127.0.0.1:1/elson") as url:
        assert set((await sources(url, client, AGED)).values()) == {"primary"}
        status, replica, ready = await health(url)
        assert (status, replica["state"], ready) == ("degraded", "down", 200)
