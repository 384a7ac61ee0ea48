"""An account's own limits and the exchange's, each with an order it refuses and the largest one it lets through."""

from __future__ import annotations

from typing import Any

import pytest

from trading.core.commands import PlaceOrder
from trading.core.orders import OrderClass, OrderId, RejectReason

from .floor import ANN, BBB, BOB, BUY, SELL, Floor, dollars, shares


def test_the_quantity_of_an_order(floor: Floor) -> None:
    floor.terms(ANN, order_quantity=shares(10))
    assert floor.why_refused(floor.order(ANN, SELL, 11, 10)) is RejectReason.ORDER_QUANTITY_LIMIT
    order_id = floor.sell(ANN, 10, 10)
    assert floor.why_refused(floor.replacement(ANN, order_id, amount=11)) is RejectReason.ORDER_QUANTITY_LIMIT


def test_the_value_of_an_order(floor: Floor) -> None:
    """A market buy is valued at the collar's edge, $15; a market sale at the mark, $10."""
    floor.terms(ANN, order_value_micros=dollars(150))
    floor.sell(BOB, 100, 10)
    floor.buy(BOB, 100, 9)
    assert floor.why_refused(floor.order(ANN, BUY, 11)) is RejectReason.ORDER_VALUE_LIMIT
    assert floor.why_refused(floor.order(ANN, SELL, 16)) is RejectReason.ORDER_VALUE_LIMIT
    floor.buy(ANN, 10)
    floor.sell(ANN, 15)


def test_a_pair_to_buy_is_worth_its_dearer_half(floor: Floor) -> None:
    """Take-profit at 8, stop-loss at 11 with a limit of 12: 10 shares are worth $120, however they are replaced."""
    floor.terms(ANN, order_value_micros=dollars(119.99))
    pair: dict[str, Any] = {"group": OrderClass.OCO, "take_profit": 8, "stop_loss": 11, "stop_loss_limit": 12}
    assert floor.why_refused(floor.order(ANN, BUY, 10, 8, **pair)) is RejectReason.ORDER_VALUE_LIMIT
    floor.terms(ANN, order_value_micros=dollars(120))
    profit = floor.buy(ANN, 10, 8, **pair)
    floor.terms(ANN, order_value_micros=dollars(119.99))
    assert floor.why_refused(floor.replacement(ANN, profit, price=8.5)) is RejectReason.ORDER_VALUE_LIMIT
    assert floor.why_refused(floor.replacement(ANN, OrderId(profit + 1), price=12.1)) is RejectReason.ORDER_VALUE_LIMIT
    floor.replace(ANN, OrderId(profit + 1), price=11.5)


def test_open_orders_count_with_their_legs(floor: Floor) -> None:
    floor.terms(ANN, open_orders=3)
    floor.buy(ANN, 1, 9)
    bracket: dict[str, Any] = {"group": OrderClass.BRACKET, "take_profit": 12, "stop_loss": 9}
    assert floor.why_refused(floor.order(ANN, BUY, 1, 10, **bracket)) is RejectReason.OPEN_ORDER_LIMIT
    floor.sell(ANN, 1, 12, group=OrderClass.OCO, take_profit=12, stop_loss=9)
    assert floor.why_refused(floor.order(ANN, BUY, 100, 20, symbol=BBB)) is RejectReason.OPEN_ORDER_LIMIT


def test_orders_a_second_count_replacements_and_forget_the_last_second(floor: Floor) -> None:
    floor.terms(ANN, orders_per_s=2)
    order_id = floor.buy(ANN, 1, 9)
    floor.refused(floor.order(ANN, BUY, 0, 9))
    order_id = floor.replace(ANN, order_id, price=9.5)
    assert floor.why_refused(floor.order(ANN, BUY, 1, 9)) is RejectReason.ORDER_RATE_LIMIT
    assert floor.why_refused(floor.replacement(ANN, order_id, price=9)) is RejectReason.ORDER_RATE_LIMIT
    floor.now_ns = 999_999_999
    assert floor.why_refused(floor.order(ANN, BUY, 1, 9)) is RejectReason.ORDER_RATE_LIMIT
    floor.now_ns = 10**9
    floor.buy(ANN, 1, 9)


def test_a_position_counts_open_orders_both_ways(floor: Floor) -> None:
    """Ann holds 1,000. With 5 bid for, 5 more fit under 1,010; selling is judged by how far short it would make her."""
    floor.terms(ANN, position=shares(1_010))
    floor.buy(ANN, 5, 9)
    assert floor.why_refused(floor.order(ANN, BUY, 6, 9)) is RejectReason.POSITION_LIMIT
    floor.buy(ANN, 5, 9)
    floor.sell(ANN, 1_000, 11)


def test_no_order_is_worth_more_than_a_billion_dollars(floor: Floor) -> None:
    command = floor.order(ANN, SELL, 100_000_001, 10)
    assert floor.why_refused(command) is RejectReason.ORDER_VALUE_TOO_LARGE
    smaller = command._replace(quantity=shares(100_000_000))
    assert floor.why_refused(smaller) is RejectReason.INSUFFICIENT_SHARES


@pytest.mark.parametrize(("side", "good", "bad"), [(BUY, 15, 15.01), (SELL, 5, 4.99)])
def test_a_limit_reaches_no_further_than_the_collar(floor: Floor, side: object, good: float, bad: float) -> None:
    def order(price: float) -> PlaceOrder:
        return floor.order(ANN, side, 1, price)  # type: ignore[arg-type]

    assert floor.why_refused(order(bad)) is RejectReason.PRICE_OUTSIDE_COLLAR
    floor.accepted(order(good))


def test_a_blocked_account_and_an_instrument_out_of_trading(floor: Floor) -> None:
    order_id = floor.buy(ANN, 1, 9)
    floor.terms(ANN, blocked=True)
    assert floor.why_refused(floor.order(ANN, BUY, 1, 9)) is RejectReason.ACCOUNT_BLOCKED
    assert floor.why_refused(floor.replacement(ANN, order_id, price=8)) is RejectReason.ACCOUNT_BLOCKED
    floor.cancel(ANN, order_id)
    floor.instrument(tradable=False)
    assert floor.why_refused(floor.order(BOB, BUY, 1, 9)) is RejectReason.NOT_TRADABLE
