"""The end of the trading day."""

from __future__ import annotations

from trading.core.events import OrderCanceled, SessionClosed
from trading.core.exchange import symbol_of
from trading.core.orders import CancelReason, Side, TimeInForce

from .floor import AAA, ANN, BBB, BOB, Floor


def test_day_orders_expire_in_the_order_of_their_ids_and_others_stay(floor: Floor) -> None:
    high = floor.sell(ANN, 1, 30, TimeInForce.DAY)
    floor.sell(ANN, 2, 29, TimeInForce.GTC)
    low = floor.buy(BOB, 3, 10, TimeInForce.DAY)
    middle = floor.sell(ANN, 4, 28, TimeInForce.DAY)
    events = floor.close()
    assert events[0] == SessionClosed(AAA)
    canceled = [event for event in events if isinstance(event, OrderCanceled)]
    assert [event.order_id for event in canceled] == [high, low, middle]
    assert {event.reason for event in canceled} == {CancelReason.SESSION_CLOSED}
    assert (floor.bids(), floor.asks()) == ([], [(29, 2)])
    assert (floor.cash(BOB), floor.shares(ANN)) == ((10_000, 0), (998, 2))


def test_closing_one_symbol_leaves_the_others_alone(floor: Floor) -> None:
    floor.accepted(floor.order(ANN, Side.BUY, 1, 10, symbol=BBB, lasting=TimeInForce.DAY))
    assert floor.close(AAA) == [SessionClosed(AAA)]
    assert floor.exchange.book(BBB).levels(Side.BUY) == [(10_000_000, 1)]


def test_a_markets_sequence_counts_exactly_the_commands_that_concern_it(floor: Floor) -> None:
    listed = floor.exchange.sequence
    assert floor.exchange.symbol_sequence(AAA) == 0
    order_id = floor.buy(ANN, 1, 10)
    assert floor.exchange.symbol_sequence(AAA) == 1
    floor.cancel(ANN, order_id)
    floor.close()
    floor.refused(floor.order(ANN, Side.BUY, 0, 10))
    assert floor.exchange.symbol_sequence(AAA) == 3
    assert floor.exchange.symbol_sequence(BBB) == 0
    assert floor.exchange.sequence == listed + 3


def test_events_tell_which_market_they_belong_to(floor: Floor) -> None:
    order_id = floor.buy(ANN, 1, 10)
    floor.cancel(ANN, order_id)
    floor.close()
    markets = [symbol_of(events) for _, events in floor.journal]
    assert markets == [None] * (len(markets) - 3) + [AAA] * 3
