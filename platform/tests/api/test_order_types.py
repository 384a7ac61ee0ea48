"""Every kind of order through the running platform, in the words of Alpaca's API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from tests.client import Client, limit_order

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]

SYMBOL = "SHO"  # fractions of it are traded; the other tests trade elsewhere


def order(side: str, order_type: str, qty: str | None, **more: Any) -> dict[str, Any]:
    quantity = {} if qty is None else {"qty": qty}
    plain = {"symbol": SYMBOL, "side": side, "type": order_type, "time_in_force": "day", **quantity}
    return {**plain, "client_order_id": uuid4().hex, **more}


def limit(side: str, qty: int, price: str, **more: Any) -> dict[str, Any]:
    return limit_order(side, qty, price, symbol=SYMBOL, **more)


async def placed(client: Client, body: dict[str, Any], account: int = 0) -> dict[str, Any]:
    status, answer = await client.place(body, account=account)
    assert status == 200, answer
    return dict(answer)


async def read(client: Client, shown: dict[str, Any], account: int = 0, **query: str) -> dict[str, Any]:
    status, answer = await client.request("GET", f"/v2/orders/{shown['id']}", account=account, params=query)
    assert status == 200, answer
    return dict(answer)


@pytest_asyncio.fixture(autouse=True, loop_scope="session")
async def empty_book(client: Client) -> AsyncIterator[None]:
    """No test leaves an order to the next."""
    yield
    for account in (0, 1, 2, 6):
        await client.request("DELETE", "/v2/orders", account=account)


async def test_a_stop_waits_for_its_price_and_shows_it(client: Client) -> None:
    stop = await placed(client, order("sell", "stop_limit", "2", stop_price="95.00", limit_price="94.00"))
    assert (stop["status"], stop["stop_price"], stop["limit_price"]) == ("new", "95.00", "94.00")
    await placed(client, limit("buy", 5, "95.00"), account=1)
    await placed(client, limit("sell", 1, "95.00"), account=2)
    assert (await read(client, stop))["filled_avg_price"] == "95.00"


async def test_a_trailing_stop_keeps_its_percentage_and_is_replaced_with_another(client: Client) -> None:
    stop = await placed(client, order("sell", "trailing_stop", "1", trail_percent="1.5"))
    assert (stop["trail_percent"], stop["trail_price"], stop["qty"]) == ("1.5", None, "1")
    status, wider = await client.request("PATCH", f"/v2/orders/{stop['id']}", json={"trail": "2.25"})
    assert (status, wider["trail_percent"], wider["replaces"]) == (200, "2.25", stop["id"])


async def test_an_order_for_dollars_buys_a_fraction_of_a_share(client: Client) -> None:
    await placed(client, limit("sell", 1, "80.00"), account=1)
    bought = await placed(client, order("buy", "market", None, notional="10.00"))
    assert (bought["notional"], bought["qty"], bought["filled_qty"]) == ("10.00", None, "0.125")
    assert (bought["status"], bought["filled_avg_price"]) == ("filled", "80.00")
    fraction = await placed(client, order("buy", "limit", "0.000001", limit_price="81.00"))
    assert (fraction["qty"], fraction["status"]) == ("0.000001", "filled")


async def test_a_brackets_legs_are_shown_below_it_and_live_once_it_is_filled(client: Client) -> None:
    exits = {"take_profit": {"limit_price": "110.00"}, "stop_loss": {"stop_price": "90.00", "limit_price": "89.00"}}
    bracket = await placed(client, limit("buy", 3, "97.00", order_class="bracket", **exits))
    assert [leg["status"] for leg in bracket["legs"]] == ["held", "held"]
    assert {leg["order_class"] for leg in bracket["legs"]} == {"bracket"}
    await placed(client, limit("sell", 3, "97.00"), account=1)
    nested = await read(client, bracket, nested="true")
    assert (nested["status"], [leg["status"] for leg in nested["legs"]]) == ("filled", ["new", "new"])
    assert (await read(client, bracket))["legs"] is None
    take_profit, stop_loss = nested["legs"]
    assert (take_profit["limit_price"], stop_loss["stop_price"], stop_loss["limit_price"]) == (
        *("110.00", "90.00"),
        "89.00",
    )
    await placed(client, limit("buy", 3, "110.00"), account=2)
    statuses = [leg["status"] for leg in (await read(client, bracket, nested="true"))["legs"]]
    assert statuses == ["filled", "canceled"]


async def test_a_nested_list_has_each_order_once(client: Client) -> None:
    exits = {"take_profit": {"limit_price": "120.00"}, "stop_loss": {"stop_price": "90.00"}}
    pair = await placed(client, order("sell", "limit", "4", order_class="oco", **exits))
    single = await placed(client, limit("buy", 1, "50.00"))
    assert (pair["limit_price"], pair["legs"][0]["stop_price"]) == ("120.00", "90.00")
    _, flat = await client.request("GET", "/v2/orders", params={"symbols": SYMBOL})
    assert [shown["id"] for shown in flat] == [single["id"], pair["legs"][0]["id"], pair["id"]]
    _, nested = await client.request("GET", "/v2/orders", params={"symbols": SYMBOL, "nested": "true"})
    assert [shown["id"] for shown in nested] == [single["id"], pair["id"]]
    assert [leg["id"] for leg in nested[1]["legs"]] == [pair["legs"][0]["id"]]


async def test_a_leg_whose_parent_is_not_listed_stays_in_the_list(client: Client) -> None:
    await placed(client, limit("sell", 1, "96.00"), account=1)
    exit_ = {"take_profit": {"limit_price": "111.00"}}
    entry = await placed(client, limit("buy", 1, "96.00", order_class="oto", **exit_))
    assert entry["status"] == "filled"
    _, open_orders = await client.request("GET", "/v2/orders", params={"symbols": SYMBOL, "nested": "true"})
    assert [shown["id"] for shown in open_orders] == [entry["legs"][0]["id"]]
    assert open_orders[0]["parent_id"] == entry["id"]


async def test_a_replacement_is_a_new_order_and_the_old_one_says_so(client: Client) -> None:
    old = await placed(client, limit("buy", 5, "70.00"))
    change = {"qty": "3", "client_order_id": uuid4().hex}
    status, new = await client.request("PATCH", f"/v2/orders/{old['id']}", json=change)
    assert (status, new["qty"], new["limit_price"], new["replaces"]) == (200, "3", "70.00", old["id"])
    old = await read(client, old)
    assert (old["status"], old["replaced_by"]) == ("replaced", new["id"])
    assert await client.request("PATCH", f"/v2/orders/{old['id']}", json=change, api=1) == (200, new)
    status, error = await client.request("PATCH", f"/v2/orders/{old['id']}", json={"qty": "2"})
    assert (status, error["message"]) == (422, 'order is already in "replaced" state')
    assert (await client.request("PATCH", f"/v2/orders/{new['id']}", json={"qty": "2"}, account=1))[0] == 404
    assert (await client.request("PATCH", f"/v2/orders/{new['id']}", json={"stop_price": "2"}))[0] == 422
    _, closed = await client.request("GET", "/v2/orders", params={"symbols": SYMBOL, "status": "closed"})
    assert old["id"] in [shown["id"] for shown in closed]


async def test_all_orders_of_the_account_are_canceled_and_no_others(client: Client) -> None:
    own = [await placed(client, limit("buy", 1, "60.00")) for _ in range(2)]
    own.append(await placed(client, limit_order("buy", 1, "60.00", symbol="AAA")))
    other = await placed(client, limit("buy", 1, "60.00"), account=1)
    status, canceled = await client.request("DELETE", "/v2/orders")
    assert status == 207
    mine = {one["id"]: one["status"] for one in canceled}
    assert {shown["id"]: 200 for shown in own}.items() <= mine.items()
    assert [(await read(client, shown))["status"] for shown in own] == ["canceled"] * 3
    assert (await read(client, other, account=1))["status"] == "new"
    assert await client.request("DELETE", "/v2/orders") == (207, [])


async def test_a_post_only_order_never_takes(client: Client) -> None:
    await placed(client, limit("sell", 1, "99.00"), account=1)
    status, error = await client.place(limit("buy", 1, "99.00", post_only=True))
    assert (status, error["code"]) == (422, 42210000)
    maker = await placed(client, limit("buy", 1, "98.00", post_only=True))
    assert (maker["post_only"], maker["status"]) == (True, "new")


async def test_what_waits_for_the_opening_auction_is_refused_in_continuous_trading(client: Client) -> None:
    status, error = await client.place(limit("buy", 1, "98.00", time_in_force="opg"))
    assert (status, "opg" in error["message"]) == (422, True)
    closing = await placed(client, limit("buy", 1, "98.00", time_in_force="cls"))
    assert closing["status"] == "new"
    _, clock = await client.request("GET", "/v2/clock")
    assert clock["is_open"] is True


async def test_a_margin_account_sells_short_and_its_position_says_what_it_brought(client: Client) -> None:
    _, before = await client.request("GET", "/v2/account", account=6)
    assert (before["multiplier"], before["shorting_enabled"], before["buying_power"]) == ("2", True, "2000.00")
    await placed(client, limit("buy", 4, "100.00"), account=1)
    await placed(client, limit("sell", 4, "100.00"), account=6)
    _, after = await client.request("GET", "/v2/account", account=6)
    assert (after["cash"], after["equity"], after["short_market_value"]) == ("1400.00", "1000.00", "-400.00")
    assert after["buying_power"] == "1600.00"
    _, (position,) = await client.request("GET", "/v2/positions", account=6)
    assert (position["side"], position["qty"], position["avg_entry_price"]) == ("short", "-4", "100.00")
    status, error = await client.place(limit("sell", 17, "100.00"), account=6)
    assert (status, error["code"]) == (403, 40310000)
    await placed(client, limit("sell", 4, "90.00"), account=2)
    await placed(client, limit("buy", 4, "90.00"), account=6)
    _, after = await client.request("GET", "/v2/account", account=6)
    assert (after["cash"], (await client.request("GET", "/v2/positions", account=6))[1]) == ("1040.00", [])


async def test_a_cash_accounts_position_knows_its_average_price(client: Client) -> None:
    _, positions = await client.request("GET", "/v2/positions", account=2)
    (before,) = [position for position in positions if position["symbol"] == SYMBOL]
    await placed(client, limit("sell", 2, "100.00"), account=1)
    await placed(client, limit("buy", 2, "100.00"), account=2)
    _, positions = await client.request("GET", "/v2/positions", account=2)
    (after,) = [position for position in positions if position["symbol"] == SYMBOL]
    assert float(after["cost_basis"]) - float(before["cost_basis"]) == pytest.approx(200)
    assert float(after["avg_entry_price"]) == pytest.approx(float(after["cost_basis"]) / float(after["qty"]), abs=1e-5)
    assert after["current_price"] == "100.00"
