"""An order takes the same answers on the short way and on the framework's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.client import Client, limit_order

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]


async def test_an_order_is_answered_alike_however_its_request_is_written(client: Client) -> None:
    order = limit_order("buy", 2, "12.00")
    first = await client.place(order)
    assert first[0] == 200
    body, typed = json.dumps(order).encode(), {**client.headers(), "Content-Type": "application/json; charset=utf-8"}
    assert await client.request("POST", "/v2/orders", data=body, headers=typed) == first

    async def in_parts() -> Any:
        yield body[:10]
        yield body[10:]

    plain = {**client.headers(), "Content-Type": "application/json"}
    assert await client.request("POST", "/v2/orders", data=in_parts(), headers=plain) == first


async def test_a_wrong_key_places_nothing(client: Client) -> None:
    before = await client.active_state()
    for headers in ({}, {**client.headers(), "APCA-API-SECRET-KEY": "wrong"}):
        status, error = await client.place(limit_order("buy", 1, "10.00"), headers=headers)
        assert (status, error) == (401, {"code": 40110000, "message": "request is not authorized"})
    assert await client.active_state() == before


async def test_placed_and_refused_orders_are_counted_by_their_route(client: Client) -> None:
    await client.place(limit_order("buy", 1, "10.00"))
    await client.place(limit_order("buy", 900_000, "190.00"))
    await client.place({**limit_order("buy", 1, "10.00"), "qty": "-1"})
    async with client.http.get(f"{client.status.endpoints['api'][0]}/metrics") as response:
        text = await response.text()
    for status in (200, 403, 422):
        assert f'api_requests_total{{method="POST",route="/v2/orders",status="{status}"}}' in text


async def test_the_openapi_document_describes_how_an_order_is_placed(client: Client) -> None:
    _, document = await client.request("GET", "/openapi.json")
    placing = document["paths"]["/v2/orders"]["post"]
    assert placing["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("/OrderRequest")
    schemes = document["components"]["securitySchemes"]
    assert [schemes[name]["name"] for name in placing["security"][0]] == ["APCA-API-KEY-ID", "APCA-API-SECRET-KEY"]
