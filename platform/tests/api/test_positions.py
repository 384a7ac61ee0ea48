"""What is held, at which profit, and how it is closed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.admin.office import Office, Trader
from tests.api.venue import Venue
from trading.api.holdings import Holding
from trading.api.positions import Day, public_position
from trading.wire.orders import asset_uuid

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]


async def position(who: Trader, symbol: str) -> dict[str, Any]:
    status, found = await who.ask("GET", f"/v2/positions/{symbol}")
    assert status == 200, found
    shown: dict[str, Any] = found
    return shown


def chosen(shown: dict[str, Any], *names: str) -> tuple[Any, ...]:
    return tuple(shown[name] for name in names)


_GAINS = ("cost_basis", "market_value", "unrealized_pl", "unrealized_plpc", "avg_entry_price")


async def test_a_long_position_gains_with_the_price(office: Office) -> None:
    """10 at 8 and 10 at 12 cost 200; at 11 the 15 that are left after a sale cost 150 and are worth 165."""
    venue, trader = await Venue.opened(office), await office.trader()
    await venue.trade(trader, "buy", 10, "8.00")
    await venue.trade(trader, "buy", 10, "12.00")
    await venue.trade(trader, "sell", 5, "11.00")
    shown = await position(trader, venue.symbol)
    assert chosen(shown, *_GAINS) == ("150.00", "165.00", "15.00", "0.1", "10.00")
    assert chosen(shown, "qty", "qty_available", "side", "current_price") == ("15", "15", "long", "11.00")
    assert chosen(shown, "lastday_price", "change_today") == ("10.00", "0.1")  # not traded before: as it was listed
    assert chosen(shown, "unrealized_intraday_pl", "unrealized_intraday_plpc") == ("15.00", "0.1")
    assert await trader.ask("GET", f"/v2/positions/{asset_uuid(venue.symbol)}") == (200, shown)
    assert await trader.ask("GET", "/v2/positions") == (200, [shown])


async def test_a_short_position_gains_when_the_price_falls(office: Office) -> None:
    """10 sold at 10 brought 100; at 9 they are owed for 90. What open purchases do not reserve is still available."""
    venue, trader = await Venue.opened(office), await office.trader(multiplier=2)
    await venue.trade(trader, "sell", 10, "10.00")
    await _print(venue, "9.00")
    shown = await position(trader, venue.symbol)
    assert chosen(shown, *_GAINS) == ("-100.00", "-90.00", "10.00", "0.1", "10.00")
    assert chosen(shown, "qty", "qty_available", "side") == ("-10", "-10", "short")


async def _print(venue: Venue, price: str) -> None:
    """Two others trade one share at the price."""
    await venue.trade(await venue.office.trader(), "buy", 1, price)


async def test_what_was_held_yesterday_came_in_at_yesterdays_close() -> None:
    """100 from yesterday's close at 10 and 100 bought today at 12 cost 11 each; 150 are left, at 13.

    Their basis today is 1,650, their value 1,950. That they were bought at 5 long ago counts only for the whole gain.
    """
    share = 10**6
    held = Holding("AAA", 150 * share, 0, 900 * 10**6, 13 * 10**6, 10 * 10**6)
    shown = public_position(held, Day(10 * 10**6, 1_650 * 10**6))
    assert chosen(shown, "unrealized_pl", "unrealized_intraday_pl") == ("1050.00", "300.00")
    assert chosen(shown, "unrealized_intraday_plpc", "change_today") == ("0.1818181818", "0.3")


async def test_an_account_without_a_position_is_told_so(office: Office) -> None:
    trader = await office.trader()
    missing = {"code": 40410000, "message": "position does not exist"}
    for method in ("GET", "DELETE"):
        for symbol in ("AAA", "NOPE", "7ed974fe-a0cf-5cd9-af3d-47043d6a9520", "%F0%9F%98%80"):
            assert await trader.ask(method, f"/v2/positions/{symbol}") == (404, missing)
    assert await trader.ask("GET", "/v2/positions") == (200, [])
    assert await trader.ask("DELETE", "/v2/positions") == (207, [])


async def _with_shares(office: Office, quantity: int | str, **terms: Any) -> tuple[Venue, Trader]:
    """Bought at 10, and a bid of 100 at 10 to sell them to."""
    venue, trader = await Venue.opened(office), await office.trader(**terms)
    await venue.trade(trader, "buy", quantity, "10.00")
    await venue.order(venue.maker, "buy", 100, "10.00")
    return venue, trader


@pytest.mark.parametrize(
    ("query", "sold", "left"),
    [
        ("", "12.5", None),
        ("?qty=2.25", "2.25", "10.25"),
        ("?percentage=40", "5", "7.5"),
        ("?percentage=33.333", "4.166625", "8.333375"),
        ("?percentage=100", "12.5", None),
    ],
)
async def test_a_position_is_closed_wholly_or_in_part(office: Office, query: str, sold: str, left: str | None) -> None:
    venue, trader = await _with_shares(office, "12.5")
    status, order = await trader.ask("DELETE", f"/v2/positions/{venue.symbol}{query}")
    assert (status, *chosen(order, "side", "type", "qty", "filled_qty")) == (200, "sell", "market", sold, sold)
    _, positions = await trader.ask("GET", "/v2/positions")
    assert [shown["qty"] for shown in positions] == ([left] if left else [])


async def test_a_part_in_whole_shares_is_rounded_down_where_only_those_are_traded(office: Office) -> None:
    venue, trader = await Venue.opened(office, fractionable=False), await office.trader()
    await venue.trade(trader, "buy", 5, "10.00")
    await venue.order(venue.maker, "buy", 100, "10.00")
    assert (await trader.ask("DELETE", f"/v2/positions/{venue.symbol}?percentage=50"))[1]["qty"] == "2"
    status, error = await trader.ask("DELETE", f"/v2/positions/{venue.symbol}?percentage=10")
    assert (status, error["code"]) == (422, 42210000)


async def test_what_was_sold_short_is_bought_back(office: Office) -> None:
    """3 of 10 by quantity; then the 7 that are left, but for the 4 that an open order is buying back already."""
    venue, trader = await Venue.opened(office), await office.trader(multiplier=2)
    await venue.trade(trader, "sell", 10, "10.00")
    await venue.order(venue.maker, "sell", 100, "10.00")
    _, order = await trader.ask("DELETE", f"/v2/positions/{venue.symbol}?qty=3")
    assert chosen(order, "side", "filled_qty") == ("buy", "3")
    await venue.order(trader, "buy", 4, "9.00")
    status, error = await trader.ask("DELETE", f"/v2/positions/{venue.symbol}")
    assert (status, error["code"], error["available"], error["held_for_orders"]) == (403, 40310000, "3", "4")
    status, (closed,) = await trader.ask("DELETE", "/v2/positions?cancel_orders=true")
    assert (status, closed["status"], closed["body"]["filled_qty"]) == (207, 200, "7")
    assert await trader.ask("GET", "/v2/positions") == (200, [])


async def test_shares_that_open_orders_hold_are_not_sold_twice(office: Office) -> None:
    venue, trader = await _with_shares(office, 10)
    await venue.order(trader, "sell", 4, "20.00")
    status, error = await trader.ask("DELETE", f"/v2/positions/{venue.symbol}")
    assert (status, error) == (
        403,
        {
            "code": 40310000,
            "message": "insufficient qty available for order (requested: 10, available: 6)",
            "symbol": venue.symbol,
            "existing_qty": "10",
            "held_for_orders": "4",
            "available": "6",
        },
    )
    status, (refused,) = await trader.ask("DELETE", "/v2/positions")
    assert (status, refused) == (207, {"symbol": venue.symbol, "status": 403, "body": error})
    status, (closed,) = await trader.ask("DELETE", "/v2/positions?cancel_orders=true")
    assert (closed["status"], closed["body"]["filled_qty"]) == (200, "10")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        *(("?qty=1&percentage=1", 422), ("?qty=0", 422), ("?qty=-1", 422), ("?percentage=101", 422)),
        *(("?qty=11", 403), ("?qty=1.0000001", 422), ("?qty=x", 422), ("?colour=red", 422), ("?percentage=0", 422)),
    ],
)
async def test_what_cannot_be_closed_is_refused_and_changes_nothing(office: Office, query: str, status: int) -> None:
    venue, trader = await _with_shares(office, 10)
    assert (await trader.ask("DELETE", f"/v2/positions/{venue.symbol}{query}"))[0] == status
    assert (await position(trader, venue.symbol))["qty_available"] == "10"


async def test_closing_twice_at_once_closes_once(office: Office) -> None:
    """Of a margin account, which a second sale would leave short."""
    venue, trader = await _with_shares(office, 10, multiplier=2)
    path = f"/v2/positions/{venue.symbol}"
    answers = await asyncio.gather(*(trader.ask("DELETE", path, api=n % 2) for n in range(8)))
    assert len({order["id"] for status, order in answers if status == 200}) == 1
    assert {status for status, _ in answers} <= {200, 403, 404}
    assert await trader.ask("GET", "/v2/positions") == (200, [])


async def test_a_position_in_a_halted_market_is_closed_when_it_trades_again(office: Office) -> None:
    venue, trader = await _with_shares(office, 10)
    await venue.phase("halted")
    status, order = await trader.ask("DELETE", f"/v2/positions/{venue.symbol}")
    assert (status, order["status"]) == (200, "new")
    assert (await trader.ask("DELETE", f"/v2/positions/{venue.symbol}"))[0] == 403
    await venue.phase("continuous")
    assert await trader.ask("GET", "/v2/positions") == (200, [])


async def test_nobody_is_there_to_close_with(office: Office) -> None:
    venue, trader = await Venue.opened(office), await office.trader()
    await venue.trade(trader, "buy", 10, "10.00")
    status, error = await trader.ask("DELETE", f"/v2/positions/{venue.symbol}")
    assert (status, error["code"]) == (422, 42210000)
    await venue.order(venue.maker, "buy", 4, "10.00")
    status, order = await trader.ask("DELETE", f"/v2/positions/{venue.symbol}")
    assert (status, order["status"], order["filled_qty"]) == (200, "canceled", "4")
    await venue.order(venue.maker, "buy", 6, "10.00")
    assert (await trader.ask("DELETE", f"/v2/positions/{venue.symbol}"))[1]["filled_qty"] == "6"
