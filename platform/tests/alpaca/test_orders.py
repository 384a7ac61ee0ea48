"""Orders of every kind through alpaca-py's TradingClient."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from alpaca.common.enums import Sort
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import (
    AssetClass,
    OrderClass,
    OrderStatus,
    OrderType,
    PositionIntent,
    QueryOrderStatus,
    TimeInForce,
)
from alpaca.trading.models import Order
from alpaca.trading.requests import (
    GetOrdersRequest,
    LimitOrderRequest,
    ReplaceOrderRequest,
    StopLimitOrderRequest,
    StopLossRequest,
    StopOrderRequest,
    TakeProfitRequest,
    TrailingStopOrderRequest,
)

from stack.embedded import EmbeddedStack
from tests.alpaca.asking import BUY, DAY, SELL, limit, market, placed, read, refusal
from tests.conftest import ALPACA

pytestmark = pytest.mark.stack


def listed(client: TradingClient, **filters: Any) -> list[Order]:
    orders = client.get_orders(GetOrdersRequest(symbols=[ALPACA], **filters))
    assert isinstance(orders, list)
    return orders


# -- what an order says ----------------------------------------------------------------------------


def test_an_order_has_every_field_of_the_clients_model(trader: TradingClient) -> None:
    raw = trader.post("/orders", limit(BUY, 1, 50).to_request_fields())
    assert isinstance(raw, dict)
    assert set(Order.model_fields) - set(raw) == set()


def test_a_limit_order_rests_and_says_what_was_asked(trader: TradingClient) -> None:
    before = datetime.now(UTC)
    order = placed(trader, limit(BUY, 7, 50.25, client_order_id="ask-" + uuid4().hex, time_in_force=TimeInForce.GTC))
    assert (order.symbol, order.asset_class, order.side) == (ALPACA, AssetClass.US_EQUITY, BUY)
    assert (order.type, order.order_type, order.order_class) == (OrderType.LIMIT, OrderType.LIMIT, OrderClass.SIMPLE)
    assert (order.qty, order.filled_qty, order.limit_price, order.filled_avg_price) == ("7", "0", "50.25", None)
    assert (order.status, order.time_in_force, order.extended_hours) == (OrderStatus.NEW, TimeInForce.GTC, False)
    assert before - timedelta(seconds=60) < order.submitted_at < datetime.now(UTC) + timedelta(seconds=60)
    assert (order.created_at, order.updated_at) == (order.submitted_at, order.submitted_at)
    ended = (order.filled_at, order.canceled_at, order.expired_at, order.replaced_at, order.failed_at)
    assert ended == (None,) * 5
    assert order.asset_id == trader.get_asset(ALPACA).id  # type: ignore[union-attr]
    assert order.client_order_id.startswith("ask-")
    assert read(trader, order) == order
    assert trader.get_order_by_client_id(order.client_order_id) == order


def test_an_order_without_a_client_order_id_gets_one(trader: TradingClient) -> None:
    order = placed(trader, limit(BUY, 1, 50))
    assert trader.get_order_by_client_id(order.client_order_id) == order


def test_the_same_order_sent_again_is_the_same_order(trader: TradingClient) -> None:
    request = limit(BUY, 1, 50, client_order_id=uuid4().hex)
    assert placed(trader, request) == placed(trader, request)
    other_terms = limit(BUY, 2, 50, client_order_id=request.client_order_id)
    assert refusal(trader.submit_order, other_terms)[:2] == (422, 40010001)


# -- types and times in force ----------------------------------------------------------------------


def test_a_market_order_fills_at_the_resting_price(trader: TradingClient, other: TradingClient) -> None:
    resting = placed(other, limit(SELL, 5, 101.5))
    taken = placed(trader, market(BUY, qty=2))
    assert (taken.status, taken.filled_qty, taken.filled_avg_price) == (OrderStatus.FILLED, "2", "101.50")
    assert (taken.type, taken.limit_price, taken.filled_at) == (OrderType.MARKET, None, taken.updated_at)
    resting = read(other, resting)
    assert (resting.status, resting.filled_qty) == (OrderStatus.PARTIALLY_FILLED, "2")


def test_an_order_for_dollars_has_a_notional_and_no_quantity(trader: TradingClient, other: TradingClient) -> None:
    placed(other, limit(SELL, 1, 80))
    bought = placed(trader, market(BUY, notional=10))
    assert (bought.notional, bought.qty, bought.filled_qty) == ("10.00", None, "0.125")
    assert (bought.status, bought.filled_avg_price) == (OrderStatus.FILLED, "80.00")


def test_a_fraction_of_a_share_is_sold(trader: TradingClient, other: TradingClient) -> None:
    placed(other, limit(BUY, 1, 90))
    sold = placed(trader, market(SELL, qty=0.25))
    assert (sold.qty, sold.filled_qty, sold.filled_avg_price) == ("0.25", "0.25", "90.00")


def test_a_stop_becomes_a_market_order_when_its_price_trades(trader: TradingClient, other: TradingClient) -> None:
    stop = placed(trader, StopOrderRequest(symbol=ALPACA, side=SELL, qty=2, time_in_force=DAY, stop_price=95))
    assert (stop.type, stop.stop_price, stop.status) == (OrderType.STOP, "95.00", OrderStatus.NEW)
    placed(other, limit(BUY, 3, 95))
    placed(trader, limit(SELL, 1, 95))
    stop = read(trader, stop)
    assert (stop.status, stop.filled_avg_price) == (OrderStatus.FILLED, "95.00")


def test_a_stop_limit_order_has_both_prices(trader: TradingClient) -> None:
    request = StopLimitOrderRequest(
        symbol=ALPACA, side=SELL, qty=2, time_in_force=TimeInForce.GTC, stop_price=90, limit_price=89.5
    )
    order = placed(trader, request)
    assert (order.type, order.stop_price, order.limit_price) == (OrderType.STOP_LIMIT, "90.00", "89.50")


@pytest.mark.parametrize(("trail", "text"), [({"trail_price": 3.5}, "3.50"), ({"trail_percent": 1.5}, "1.5")])
def test_a_trailing_stop_follows_the_market_at_its_distance(
    trader: TradingClient, other: TradingClient, trail: dict[str, float], text: str
) -> None:
    placed(other, limit(BUY, 5, 100))
    placed(trader, limit(SELL, 1, 100))  # the mark
    stop = placed(trader, TrailingStopOrderRequest(symbol=ALPACA, side=SELL, qty=1, time_in_force=DAY, **trail))
    (field,) = trail
    assert (stop.type, getattr(stop, field)) == (OrderType.TRAILING_STOP, text)
    other.cancel_orders()
    placed(other, limit(BUY, 1, 110))
    placed(trader, limit(SELL, 1, 110))
    moved = read(trader, stop)
    distance = 3.5 if field == "trail_price" else 110 * 0.015
    assert (moved.hwm, moved.stop_price) == ("110.00", f"{110 - distance:.2f}")
    assert moved.status is OrderStatus.NEW


def test_ioc_and_fok_orders_leave_nothing_behind(trader: TradingClient, other: TradingClient) -> None:
    placed(other, limit(SELL, 3, 100))
    killed = placed(trader, limit(BUY, 5, 100, time_in_force=TimeInForce.FOK))
    assert (killed.status, killed.filled_qty, killed.time_in_force) == (OrderStatus.CANCELED, "0", TimeInForce.FOK)
    taken = placed(trader, limit(BUY, 5, 100, time_in_force=TimeInForce.IOC))
    assert (taken.status, taken.filled_qty, taken.canceled_at) == (OrderStatus.CANCELED, "3", taken.updated_at)


def test_an_order_for_the_close_waits_and_one_for_the_open_comes_too_late(trader: TradingClient) -> None:
    closing = placed(trader, limit(BUY, 1, 98, time_in_force=TimeInForce.CLS))
    assert (closing.status, closing.time_in_force) == (OrderStatus.NEW, TimeInForce.CLS)
    status, code, message = refusal(trader.submit_order, limit(BUY, 1, 98, time_in_force=TimeInForce.OPG))
    assert (status, code, "opg" in message) == (422, 42210000, True)


def test_what_is_meant_for_a_position_must_fit_the_side(trader: TradingClient) -> None:
    order = placed(trader, limit(BUY, 1, 50, position_intent=PositionIntent.BUY_TO_OPEN))
    assert (order.side, order.position_intent) == (BUY, None)
    contradiction = limit(BUY, 1, 50, position_intent=PositionIntent.SELL_TO_CLOSE)
    assert refusal(trader.submit_order, contradiction)[:2] == (422, 40010001)


# -- classes ---------------------------------------------------------------------------------------


def exits(**more: float) -> dict[str, Any]:
    return {
        "take_profit": TakeProfitRequest(limit_price=110),
        "stop_loss": StopLossRequest(stop_price=90, **more),
    }


def test_a_bracket_holds_its_exits_until_the_entry_is_filled(trader: TradingClient, other: TradingClient) -> None:
    bracket = placed(trader, limit(BUY, 3, 97, order_class=OrderClass.BRACKET, **exits(limit_price=89.5)))
    assert bracket.legs is not None
    take_profit, stop_loss = bracket.legs
    assert (take_profit.type, take_profit.limit_price, take_profit.side) == (OrderType.LIMIT, "110.00", SELL)
    assert (stop_loss.type, stop_loss.stop_price, stop_loss.limit_price) == (OrderType.STOP_LIMIT, "90.00", "89.50")
    assert [leg.status for leg in bracket.legs] == [OrderStatus.HELD] * 2
    assert {leg.order_class for leg in bracket.legs} == {OrderClass.BRACKET}
    placed(other, limit(SELL, 3, 97))
    legs = read(trader, bracket, nested=True).legs
    assert [leg.status for leg in legs or ()] == [OrderStatus.NEW] * 2
    placed(other, limit(BUY, 3, 110))
    legs = read(trader, bracket, nested=True).legs
    assert [leg.status for leg in legs or ()] == [OrderStatus.FILLED, OrderStatus.CANCELED]


def test_one_of_a_pair_of_exits_cancels_the_other(trader: TradingClient, other: TradingClient) -> None:
    pair = placed(
        trader,
        LimitOrderRequest(
            symbol=ALPACA, side=SELL, qty=2, time_in_force=TimeInForce.GTC, order_class=OrderClass.OCO, **exits()
        ),
    )
    assert (pair.order_class, pair.limit_price) == (OrderClass.OCO, "110.00")
    assert pair.legs is not None
    assert [(leg.type, leg.stop_price) for leg in pair.legs] == [(OrderType.STOP, "90.00")]
    placed(other, limit(BUY, 2, 110))
    pair = read(trader, pair, nested=True)
    assert (pair.status, [leg.status for leg in pair.legs or ()]) == (OrderStatus.FILLED, [OrderStatus.CANCELED])


def test_one_order_triggers_one_other(trader: TradingClient, other: TradingClient) -> None:
    entry = placed(trader, limit(BUY, 1, 96, order_class=OrderClass.OTO, stop_loss=StopLossRequest(stop_price=91)))
    assert (entry.order_class, len(entry.legs or ())) == (OrderClass.OTO, 1)
    placed(other, limit(SELL, 1, 96))
    legs = read(trader, entry, nested=True).legs or []
    assert [(leg.status, leg.stop_price, leg.side) for leg in legs] == [(OrderStatus.NEW, "91.00", SELL)]


# -- lists -----------------------------------------------------------------------------------------


def test_orders_are_listed_by_every_filter(trader: TradingClient, other: TradingClient) -> None:
    orders = [placed(trader, limit(side, 1, price)) for side, price in ((BUY, 50), (SELL, 150), (BUY, 51))]
    trader.cancel_order_by_id(orders[2].id)
    first, second, third = (order.id for order in orders)

    def ids(**filters: Any) -> list[Any]:
        found = [order.id for order in listed(trader, **filters)]
        return [one for one in found if one in (first, second, third)]

    assert ids() == [second, first]
    assert ids(status=QueryOrderStatus.OPEN, direction=Sort.ASC) == [first, second]
    assert ids(status=QueryOrderStatus.CLOSED) == [third]
    assert ids(status=QueryOrderStatus.ALL) == [third, second, first]
    assert ids(status=QueryOrderStatus.ALL, side=BUY) == [third, first]
    assert ids(status=QueryOrderStatus.ALL, limit=1) == [third]
    since = orders[0].submitted_at
    assert second in ids(after=since)
    assert ids(until=since - timedelta(seconds=1)) == []
    assert ids(status=QueryOrderStatus.ALL, after=datetime.now(UTC) + timedelta(hours=1)) == []
    assert other.get_orders() == []
    assert {order.symbol for order in trader.get_orders()} == {ALPACA}  # type: ignore[union-attr]
    assert trader.get_orders(GetOrdersRequest(symbols=["AAA", "BBB"])) == []


def test_a_nested_list_has_legs_below_their_parents(trader: TradingClient) -> None:
    pair = placed(
        trader,
        LimitOrderRequest(symbol=ALPACA, side=SELL, qty=2, time_in_force=DAY, order_class=OrderClass.OCO, **exits()),
    )
    (nested,) = listed(trader, nested=True)
    assert (nested.id, [leg.id for leg in nested.legs or ()]) == (pair.id, [leg.id for leg in pair.legs or ()])
    assert len(listed(trader, nested=False)) == 2


# -- replacing and canceling -----------------------------------------------------------------------


def test_a_replacement_is_a_new_order(trader: TradingClient) -> None:
    old = placed(trader, limit(BUY, 5, 70))
    change = ReplaceOrderRequest(
        qty=3, limit_price=70.5, time_in_force=TimeInForce.GTC, client_order_id="new-" + uuid4().hex
    )
    new = trader.replace_order_by_id(old.id, change)
    assert isinstance(new, Order)
    assert (new.qty, new.limit_price, new.time_in_force, new.replaces) == ("3", "70.50", TimeInForce.GTC, old.id)
    assert new.client_order_id == change.client_order_id
    old = read(trader, old)
    assert (old.status, old.replaced_by, old.replaced_at) == (OrderStatus.REPLACED, new.id, old.updated_at)
    status, code, message = refusal(trader.replace_order_by_id, old.id, ReplaceOrderRequest(qty=1))
    assert (status, code, "replaced" in message) == (422, 42210000, True)


def test_stop_and_trail_are_replaced(trader: TradingClient) -> None:
    stop = placed(trader, StopOrderRequest(symbol=ALPACA, side=SELL, qty=1, time_in_force=DAY, stop_price=60))
    moved = trader.replace_order_by_id(stop.id, ReplaceOrderRequest(stop_price=61.5))
    assert isinstance(moved, Order)
    assert (moved.stop_price, moved.qty) == ("61.50", "1")
    request = TrailingStopOrderRequest(symbol=ALPACA, side=SELL, qty=1, time_in_force=DAY, trail_percent=20)
    trailing = placed(trader, request)
    wider = trader.replace_order_by_id(trailing.id, ReplaceOrderRequest(trail=22.5))
    assert isinstance(wider, Order)
    assert (wider.trail_percent, wider.replaces) == ("22.5", trailing.id)


def test_a_canceled_order_cannot_be_canceled_again(trader: TradingClient) -> None:
    order = placed(trader, limit(BUY, 1, 50))
    assert trader.cancel_order_by_id(order.id) is None  # type: ignore[func-returns-value]
    order = read(trader, order)
    assert (order.status, order.canceled_at) == (OrderStatus.CANCELED, order.updated_at)
    status, code, message = refusal(trader.cancel_order_by_id, order.id)
    assert (status, code, message) == (422, 42210000, 'order is already in "canceled" state')


def test_all_orders_are_canceled_and_each_is_told(trader: TradingClient, other: TradingClient) -> None:
    own = [placed(trader, limit(BUY, 1, price)) for price in (50, 51)]
    foreign = placed(other, limit(BUY, 1, 50))
    answers = trader.cancel_orders()
    assert isinstance(answers, list)
    assert [(one.id, one.status) for one in answers] == [(order.id, 200) for order in own]
    assert [read(trader, order).status for order in own] == [OrderStatus.CANCELED] * 2
    assert read(other, foreign).status is OrderStatus.NEW


# -- errors ----------------------------------------------------------------------------------------


def test_what_the_account_cannot_pay_or_deliver_is_forbidden(trader: TradingClient) -> None:
    status, code, message = refusal(trader.submit_order, limit(BUY, 10_000, 100))
    assert (status, code, "buying power" in message) == (403, 40310000, True)
    assert refusal(trader.submit_order, limit(SELL, 5_000, 100))[:2] == (403, 40310000)


def test_an_order_of_nobody_or_of_another_account_is_not_found(trader: TradingClient, other: TradingClient) -> None:
    foreign = placed(other, limit(BUY, 1, 50))
    for order_id in (uuid4(), foreign.id):
        assert refusal(trader.get_order_by_id, order_id)[:2] == (404, 40410000)
        assert refusal(trader.cancel_order_by_id, order_id)[:2] == (404, 40410000)
        assert refusal(trader.replace_order_by_id, order_id, ReplaceOrderRequest(qty=1))[:2] == (404, 40410000)
    assert refusal(trader.get_order_by_client_id, foreign.client_order_id)[:2] == (404, 40410000)


def test_a_price_between_ticks_and_an_unknown_symbol_are_refused(trader: TradingClient) -> None:
    assert refusal(trader.submit_order, limit(BUY, 1, 50.001))[:2] == (422, 42210000)
    assert refusal(trader.submit_order, limit(BUY, 1, 50, symbol="NONE"))[:2] == (422, 42210000)
    assert refusal(trader.submit_order, limit(BUY, 1, 50, extended_hours=True))[:2] == (422, 40010001)


def test_a_wrong_secret_gets_nothing(platform: EmbeddedStack) -> None:
    status = platform.status()
    stranger = TradingClient(status.accounts[0].key_id, "x" * 40, url_override=status.endpoints["api"][0])
    assert refusal(stranger.get_orders)[:2] == (401, 40110000)
    assert refusal(stranger.submit_order, limit(BUY, 1, 50))[:2] == (401, 40110000)
