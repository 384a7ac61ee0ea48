"""Market, immediate, post-only, fractional and dollar orders."""

from __future__ import annotations

from typing import Any

import pytest

from trading.core.events import OrderAccepted
from trading.core.orders import CancelReason, OrderType, RejectReason

from .floor import ANN, BBB, BOB, BUY, CAT, CLS, DAY, FOK, GTC, IOC, OPG, SELL, Floor, shares

UNFILLED = CancelReason.UNFILLED


def test_a_market_order_reaches_no_further_than_the_collar(floor: Floor) -> None:
    """The mark is $10 and the collar 50 %: a market buy goes up to $15."""
    floor.sell(BOB, 5, 15)
    floor.sell(BOB, 5, 15.01)
    order_id = floor.buy(ANN, 10)
    assert [fill[1:] for fill in floor.last_fills()] == [(15, 5)]
    assert floor.ended() == [(order_id, UNFILLED)]
    assert floor.cash(ANN) == (9_925, 0)


def test_a_market_order_reserves_at_the_collars_edge(floor: Floor) -> None:
    floor.sell(BOB, 1_000, 10)
    command = floor.order(ANN, BUY, 667)
    assert floor.why_refused(command) is RejectReason.INSUFFICIENT_BUYING_POWER
    floor.accepted(command._replace(quantity=shares(666)))
    assert floor.cash(ANN) == (3_340, 0)


def test_a_market_order_with_nobody_to_trade_with_is_refused_unless_it_is_for_the_close(floor: Floor) -> None:
    assert floor.why_refused(floor.order(ANN, BUY, 1)) is RejectReason.NO_LIQUIDITY
    floor.buy(ANN, 1, lasting=CLS)


def test_fill_or_kill_is_all_or_nothing(floor: Floor) -> None:
    floor.sell(BOB, 5, 10)
    floor.sell(CAT, 4, 10.1)
    killed = floor.buy(ANN, 10, 10.1, lasting=FOK)
    assert floor.last_fills() == []
    assert floor.ended() == [(killed, UNFILLED)]
    floor.buy(ANN, 9, 10.1, lasting=FOK)
    assert [fill[1:] for fill in floor.last_fills()] == [(10, 5), (10.1, 4)]


def test_a_post_only_order_never_takes(floor: Floor) -> None:
    floor.sell(BOB, 5, 10)
    assert floor.why_refused(floor.order(ANN, BUY, 5, 10, post_only=True)) is RejectReason.WOULD_TAKE
    floor.buy(ANN, 5, 9.99, post_only=True)
    assert floor.bids() == [(9.99, 5)]


def test_a_fraction_of_a_share_trades_against_a_whole_one(floor: Floor) -> None:
    """0.333333 shares at $10.01 are $3.33666333: the micro-dollar's fraction is nobody's, the value $3.336663."""
    floor.sell(BOB, 1, 10.01)
    floor.buy(ANN, 0.333333, lasting=DAY)
    assert floor.shares(ANN) == (1_000.333333, 0)
    assert floor.cash(ANN) == (9_996.663337, 0)
    assert floor.cash(BOB) == (10_003.336663, 0)
    assert floor.asks() == [(10.01, 0.666667)]


@pytest.mark.parametrize("terms", [{"lasting": GTC}, {"post_only": True, "lasting": DAY}], ids=str)
def test_fractions_are_for_simple_day_orders(floor: Floor, terms: dict[str, Any]) -> None:
    assert floor.why_refused(floor.order(ANN, BUY, 1.5, 10, **terms)) is RejectReason.INVALID_QUANTITY


def test_an_instrument_that_is_not_fractionable_trades_in_lots(floor: Floor) -> None:
    assert floor.why_refused(floor.order(ANN, BUY, 150, 20, symbol=BBB)) is RejectReason.NOT_FRACTIONABLE
    notional = floor.order(ANN, BUY, 0, symbol=BBB, lasting=DAY, notional=100)
    assert floor.why_refused(notional) is RejectReason.NOT_FRACTIONABLE


def test_a_notional_order_buys_for_so_many_dollars_as_the_book_stands(floor: Floor) -> None:
    """$25: 1 share at $10.00 and of the next at $10.50 15 / 10.50 = 1.428571 shares, worth $14.9999955."""
    floor.sell(BOB, 1, 10)
    floor.sell(BOB, 5, 10.5)
    floor.buy(ANN, 0, lasting=DAY, notional=25)
    accepted = floor.last_events()[0]
    assert isinstance(accepted, OrderAccepted)
    assert accepted.quantity == 2_428_571
    assert [fill[1:] for fill in floor.last_fills()] == [(10, 1), (10.5, 1.428571)]
    assert floor.cash(ANN) == (9_975.000005, 0)


def test_a_notional_buy_leaves_room_for_its_fee(floor: Floor) -> None:
    """$10.03 with a fee of 0.3 % buy 1 share at $10.00: $10 and 3 cents."""
    floor.fees(taker_ppb=3_000_000)
    floor.sell(BOB, 5, 10)
    floor.buy(ANN, 0, lasting=DAY, notional=10.03)
    assert floor.cash(ANN) == (9_989.97, 0)


def test_a_notional_order_does_not_count_on_ones_own_orders(floor: Floor) -> None:
    floor.sell(ANN, 5, 10)
    command = floor.order(ANN, BUY, 0, lasting=DAY, notional=10)
    assert floor.why_refused(command) is RejectReason.NO_LIQUIDITY


@pytest.mark.parametrize(
    ("kind", "price", "terms"),
    [
        (OrderType.LIMIT, 10, {"stop": 9}),
        (OrderType.STOP, None, {}),
        (OrderType.STOP_LIMIT, 10, {}),
        (OrderType.TRAILING_STOP, None, {}),
        (OrderType.TRAILING_STOP, None, {"trail": 1, "trail_ppm": 1}),
        (OrderType.TRAILING_STOP, None, {"trail_ppm": 1_000_000}),
        (OrderType.TRAILING_STOP, None, {"trail": 0}),
        (OrderType.MARKET, None, {"trail": 1}),
        (OrderType.MARKET, None, {"post_only": True}),
        (OrderType.MARKET, None, {"notional": 10}),
        (OrderType.LIMIT, 10, {"notional": 10}),
    ],
    ids=str,
)
def test_terms_that_do_not_go_together_are_refused(
    floor: Floor, kind: OrderType, price: float | None, terms: dict[str, Any]
) -> None:
    assert floor.why_refused(floor.order(ANN, SELL, 1, price, kind=kind, **terms)) is RejectReason.INVALID_TERMS


@pytest.mark.parametrize("lasting", [IOC, FOK, OPG, CLS])
def test_stops_wait_for_a_day_or_until_canceled(floor: Floor, lasting: object) -> None:
    command = floor.order(ANN, SELL, 1, stop=9)._replace(time_in_force=lasting)  # type: ignore[arg-type]
    assert floor.why_refused(command) is RejectReason.INVALID_TERMS
