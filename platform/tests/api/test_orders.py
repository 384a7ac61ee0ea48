"""Placing, reading and cancelling orders through the running platform."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.client import Client, limit_order

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]


async def test_an_order_is_answered_with_what_was_asked_and_can_be_read_back(client: Client) -> None:
    order = limit_order("buy", 7, "50.25")
    status, placed = await client.place(order)
    assert status == 200
    asked = {name: placed[name] for name in ("symbol", "qty", "side", "type", "time_in_force", "limit_price")}
    assert asked == {name: order[name] for name in asked}
    assert (placed["status"], placed["filled_qty"]) == ("new", "0")
    assert await client.request("GET", f"/v2/orders/{placed['id']}", api=1) == (200, placed)
    by_client_id = f"/v2/orders:by_client_order_id?client_order_id={order['client_order_id']}"
    assert await client.request("GET", by_client_id) == (200, placed)
    _, listed = await client.request("GET", "/v2/orders?status=open&limit=500")
    assert placed in listed


async def test_two_crossing_orders_trade_at_the_resting_price_and_move_cash_and_shares(client: Client) -> None:
    before = [await _holdings(client, account) for account in (2, 3)]
    _, resting = await client.place(limit_order("sell", 10, "60.00", symbol="BBB"), account=2)
    status, taking = await client.place(limit_order("buy", 4, "61.00", symbol="BBB"), account=3)
    assert (status, taking["status"], taking["filled_avg_price"]) == (200, "filled", "60.00")
    _, resting = await client.request("GET", f"/v2/orders/{resting['id']}", account=2)
    assert (resting["status"], resting["filled_qty"]) == ("partially_filled", "4")
    after = [await _holdings(client, account) for account in (2, 3)]
    assert [(a[0] - b[0], a[1] - b[1]) for a, b in zip(after, before, strict=True)] == [(240, -4), (-240, 4)]
    assert (await client.request("DELETE", f"/v2/orders/{resting['id']}", account=2))[0] == 204


async def test_a_repetition_through_the_other_api_gets_the_first_answer(client: Client) -> None:
    order = limit_order("buy", 3, "41.00")
    first = await client.place(order, api=0)
    assert first[0] == 200
    assert await client.place(order, api=1) == first
    await client.request("DELETE", f"/v2/orders/{first[1]['id']}")
    assert await client.place(order, api=1) == first


async def test_a_client_order_id_cannot_name_a_second_order(client: Client) -> None:
    order = limit_order("buy", 3, "41.00")
    await client.place(order)
    status, error = await client.place({**order, "qty": "4"})
    assert (status, error["code"]) == (422, 40010001)


async def test_a_canceled_order_is_canceled_once(client: Client) -> None:
    _, placed = await client.place(limit_order("buy", 5, "40.00"))
    assert await client.request("DELETE", f"/v2/orders/{placed['id']}", api=1) == (204, None)
    status, error = await client.request("DELETE", f"/v2/orders/{placed['id']}")
    assert (status, error["message"]) == (422, 'order is already in "canceled" state')


async def test_nobody_sees_or_cancels_anothers_order(client: Client) -> None:
    _, placed = await client.place(limit_order("buy", 5, "40.00"))
    path = f"/v2/orders/{placed['id']}"
    assert (await client.request("GET", path, account=1))[0] == 404
    assert (await client.request("DELETE", path, account=1))[0] == 404
    assert (await client.request("GET", path))[1]["status"] == "new"


async def test_an_order_beyond_the_buying_power_is_refused_with_the_numbers(client: Client) -> None:
    status, error = await client.place(limit_order("buy", 900_000, "190.00"))
    assert (status, error["code"]) == (403, 40310000)
    assert "171000000000000" in error["message"]


async def test_a_wrong_key_gets_nowhere(client: Client) -> None:
    for headers in (
        {},
        {"APCA-API-KEY-ID": "nobody", "APCA-API-SECRET-KEY": "x"},
        {**client.headers(), "APCA-API-SECRET-KEY": "wrong"},
    ):
        status, error = await client.request("GET", "/v2/account", headers=headers)
        assert (status, error["code"]) == (401, 40110000)


def exits(take_profit: str, stop_loss: str, **more: str) -> dict[str, Any]:
    return {"take_profit": {"limit_price": take_profit}, "stop_loss": {"stop_price": stop_loss, **more}}


VALID = limit_order("buy", 1, "10.00")
PLAIN_MARKET = {key: value for key, value in VALID.items() if key != "limit_price"} | {"type": "market"}
MALFORMED: dict[str, Any] = {
    "no body": b"",
    "no object": b"[1, 2]",
    "broken JSON": b'{"symbol": "AAA"',
    "not a number": b'{"symbol":"AAA","qty":NaN,"side":"buy","type":"market","time_in_force":"day"}',
    "infinite": b'{"symbol":"AAA","qty":1e400,"side":"buy","type":"market","time_in_force":"day"}',
    "too deep": b"[" * 50_000,
    "not UTF-8": b'{"symbol": "\xff\xfe"}',
    "unknown field": {**VALID, "quantity": "1"},
    "negative quantity": {**VALID, "qty": "-1"},
    "zero quantity": {**VALID, "qty": "0"},
    "fraction of a share": {**VALID, "qty": "0.5"},
    "huge quantity": {**VALID, "qty": "1e400"},
    "quantity beyond the wire": {**VALID, "qty": "9999999999999.5"},
    "price beyond the wire": {**VALID, "limit_price": "999999999999999"},
    "quantity finer than a millionth": {**VALID, "qty": "1.0000001"},
    "neither quantity nor dollars": {key: value for key, value in VALID.items() if key != "qty"},
    "quantity and dollars": {**VALID, "notional": "10"},
    "stop without a price": {**PLAIN_MARKET, "type": "stop"},
    "market with a stop price": {**PLAIN_MARKET, "stop_price": "10"},
    "two trails": {**PLAIN_MARKET, "type": "trailing_stop", "trail_price": "1", "trail_percent": "1"},
    "trail finer than a millionth": {**PLAIN_MARKET, "type": "trailing_stop", "trail_percent": "1.00001"},
    "bracket without a stop": {**VALID, "order_class": "bracket", "take_profit": {"limit_price": "20"}},
    "exits the wrong way round": {**VALID, "order_class": "bracket", **exits("5.00", "20.00")},
    "exits of a simple order": {**VALID, **exits("20.00", "5.00")},
    "unknown field of an exit": {**VALID, "order_class": "oto", "stop_loss": {"price": "5.00"}},
    "post_only market order": {**PLAIN_MARKET, "post_only": True},
    "extended hours": {**VALID, "extended_hours": True},
    "quantity beyond a bigint": {**VALID, "qty": "99999999999999999"},
    "wrong type of quantity": {**VALID, "qty": {"a": 1}},
    "price between ticks": {**VALID, "limit_price": "10.001"},
    "price beyond a micro-dollar": {**VALID, "limit_price": "10.0000001"},
    "negative price": {**VALID, "limit_price": "-10"},
    "limit without a price": {key: value for key, value in VALID.items() if key != "limit_price"},
    "market with a price": {**VALID, "type": "market"},
    "unknown symbol": {**VALID, "symbol": "NOPE"},
    "unknown side": {**VALID, "side": "hold"},
    "client_order_id too long": {**VALID, "client_order_id": "x" * 49},
    "quantity in other digits": {**VALID, "qty": "１０"},
    "quantity with an underscore": {**VALID, "qty": "1_0"},
    "quantity with a space": {**VALID, "qty": " 10 "},
    "price as a word": {**VALID, "limit_price": "Infinity"},
    "client_order_id with a NUL": {**VALID, "client_order_id": "a\x00b"},
}


@pytest.mark.parametrize("case", MALFORMED)
async def test_a_malformed_order_is_refused_clearly_and_changes_nothing(client: Client, case: str) -> None:
    before = await client.active_state()
    body = MALFORMED[case]
    more = {"data": body} if isinstance(body, bytes) else {"json": body}
    headers = {**client.headers(), "Content-Type": "application/json"}
    status, error = await client.request("POST", "/v2/orders", headers=headers, **more)
    assert 400 <= status < 500
    assert set(error) == {"code", "message"}
    assert error["code"] // 100_000 in (status, 400)  # Alpaca's for a wrong parameter is 40010001, and its status 422
    assert error["message"]
    assert await client.active_state() == before


async def test_a_body_of_undeclared_length_is_limited_too(client: Client) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"x" * 10_000

    status, error = await client.request("POST", "/v2/orders", data=chunks())
    assert (status, error["code"]) == (413, 41310000)


async def test_a_body_of_ten_megabytes_is_refused_unread(client: Client) -> None:
    status, error = await client.request("POST", "/v2/orders", data=io.BytesIO(b"x" * 10_000_000))
    assert (status, error["code"]) == (413, 41310000)


@pytest.mark.parametrize(
    "query",
    ["status=none", "limit=0", "limit=501", "after=yesterday", "colour=red", "symbols=%00", "symbols=%F0%9F%98%80"],
)
async def test_a_malformed_query_is_refused(client: Client, query: str) -> None:
    status, error = await client.request("GET", f"/v2/orders?{query}")
    assert (status, error["code"]) == (422, 40010001)


async def test_a_client_order_id_no_order_can_have_is_refused(client: Client) -> None:
    for client_order_id in ("%00", "a%00b", "%ED%A0%80", ""):
        status, error = await client.request("GET", f"/v2/orders:by_client_order_id?client_order_id={client_order_id}")
        assert (status, error["code"]) == (422, 40010001)


async def test_a_list_is_bounded_by_any_moment_with_or_without_an_offset(client: Client) -> None:
    await client.place(limit_order("buy", 1, "10.00"))
    for query, found in (
        ("after=0001-01-01", True),
        ("after=9999-12-31", False),
        ("until=9999-12-31T23:59:59-12:00", True),
        ("until=0001-01-01T00:00:00", False),
    ):
        status, orders = await client.request("GET", f"/v2/orders?status=all&{query}")
        assert (status, bool(orders)) == (200, found)


@pytest.mark.parametrize(
    "order_id", ["1", "x", "00000000-0000-8000-8000-0000ffffffff", "7ed974fe-a0cf-5cd9-af3d-47043d6a9520"]
)
async def test_an_unknown_order_id_is_not_found(client: Client, order_id: str) -> None:
    for method in ("GET", "DELETE"):
        status, error = await client.request(method, f"/v2/orders/{order_id}")
        assert (status, error["code"]) == (404, 40410000)


async def _holdings(client: Client, account: int) -> tuple[int, int]:
    """Cash in dollars and shares of BBB."""
    _, body = await client.request("GET", "/v2/account", account=account)
    _, positions = await client.request("GET", "/v2/positions", account=account)
    shares = next(int(position["qty"]) for position in positions if position["symbol"] == "BBB")
    return int(float(body["cash"])), shares
