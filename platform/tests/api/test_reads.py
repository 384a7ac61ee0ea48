"""Reads that share a query are answered alike however they come in, and never older than they were asked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from tests.client import Client, limit_order
from trading.api.together import Together
from trading.infra.database import DatabaseError

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]


async def test_the_short_way_and_the_long_one_give_the_same_answer(client: Client) -> None:
    _, placed = await client.place(limit_order("buy", 1, "10.00"))
    for path in ("/v2/account", f"/v2/orders/{placed['id']}"):
        status, shown = await client.request("GET", path)
        assert (status, shown) == await client.request("GET", f"{path}?")
        if path != "/v2/account":
            assert (status, shown) == await client.request("GET", f"{path}?nested=false")
            assert (await client.request("GET", path, account=1))[0] == 404
        for headers in ({}, {**client.headers(), "APCA-API-SECRET-KEY": "wrong"}):
            assert (await client.request("GET", path, headers=headers))[0] == 401


async def test_an_order_is_read_as_it_was_answered_however_many_read_at_once(client: Client) -> None:
    for _ in range(20):
        _, placed = await client.place(limit_order("buy", 1, "10.00"))
        path = f"/v2/orders/{placed['id']}"
        answers = await asyncio.gather(*(client.request("GET", path, api=n % 2) for n in range(10)))
        assert answers == [(200, placed)] * 10


async def test_who_comes_while_a_query_is_under_way_waits_for_the_next() -> None:
    asked: list[list[int]] = []
    value = 0

    async def read(keys: Sequence[int]) -> dict[int, int]:
        asked.append(sorted(keys))
        seen = value
        await asyncio.sleep(0.01)
        return {key: seen for key in keys if key < 9}

    together = Together(read)
    first = asyncio.create_task(together.get(1))
    await asyncio.sleep(0.005)
    value = 1
    later = await asyncio.gather(together.get(1), together.get(2), together.get(1), together.get(9))
    assert (await first, later) == (0, [1, 1, 1, None])
    assert asked == [[1], [1, 2, 9]]


async def test_a_failed_query_fails_those_who_shared_it_and_nobody_after() -> None:
    failures = [DatabaseError("away")]

    async def read(keys: Sequence[int]) -> dict[int, int]:
        if failures:
            raise failures.pop()
        return dict.fromkeys(keys, 7)

    together = Together(read)
    answers = await asyncio.gather(together.get(1), together.get(2), return_exceptions=True)
    assert [type(answer) for answer in answers] == [DatabaseError, DatabaseError]
    gone = asyncio.create_task(together.get(3))
    await asyncio.sleep(0)
    gone.cancel()
    assert await together.get(3) == 7
