"""Price-time priority, as traders know it."""

from __future__ import annotations

from trading.core.orders import OrderType

from .floor import ANN, BBB, BOB, CAT, IOC, Floor


def test_the_best_price_trades_first(floor: Floor) -> None:
    worse = floor.sell(ANN, 10, 10.02)
    better = floor.sell(BOB, 10, 10.01)
    floor.buy(CAT, 15, 10.05)
    assert floor.last_fills() == [(better, 10.01, 10), (worse, 10.02, 5)]


def test_at_one_price_the_oldest_order_trades_first(floor: Floor) -> None:
    first = floor.buy(ANN, 10, 10)
    second = floor.buy(BOB, 10, 10)
    third = floor.buy(ANN, 10, 10)
    floor.sell(CAT, 25, 10)
    assert floor.last_fills() == [(first, 10, 10), (second, 10, 10), (third, 10, 5)]


def test_a_partly_filled_order_keeps_its_place_in_the_queue(floor: Floor) -> None:
    first = floor.sell(ANN, 10, 10)
    second = floor.sell(BOB, 10, 10)
    floor.buy(CAT, 4, 10)
    floor.buy(CAT, 8, 10)
    assert floor.last_fills() == [(first, 10, 6), (second, 10, 2)]


def test_a_canceled_order_leaves_the_queue_from_the_middle(floor: Floor) -> None:
    first = floor.sell(ANN, 10, 10)
    second = floor.sell(BOB, 10, 10)
    third = floor.sell(ANN, 10, 10)
    floor.cancel(BOB, second)
    assert floor.asks() == [(10, 20)]
    floor.buy(CAT, 20, 10)
    assert floor.last_fills() == [(first, 10, 10), (third, 10, 10)]


def test_a_trade_happens_at_the_price_of_the_order_that_waited(floor: Floor) -> None:
    waiting = floor.sell(ANN, 10, 9.5)
    floor.buy(BOB, 10, 10)
    assert floor.last_fills() == [(waiting, 9.5, 10)]


def test_orders_that_do_not_cross_wait_on_their_own_side(floor: Floor) -> None:
    floor.buy(ANN, 10, 9.99)
    floor.buy(ANN, 5, 9.98)
    floor.buy(BOB, 7, 9.99)
    floor.sell(BOB, 20, 10)
    floor.sell(BOB, 30, 10.02)
    assert floor.bids() == [(9.99, 17), (9.98, 5)]
    assert floor.asks() == [(10, 20), (10.02, 30)]


def test_what_a_limit_order_cannot_trade_at_its_limit_rests_there(floor: Floor) -> None:
    floor.sell(ANN, 10, 10)
    floor.sell(ANN, 10, 10.1)
    floor.buy(BOB, 25, 10.05)
    assert floor.last_fills() == [(1, 10, 10)]
    assert floor.bids() == [(10.05, 15)]
    assert floor.asks() == [(10.1, 10)]


def test_a_market_order_sweeps_the_levels_and_never_rests(floor: Floor) -> None:
    floor.buy(ANN, 10, 10)
    floor.buy(ANN, 10, 9)
    floor.sell(BOB, 50)
    assert [fill[1:] for fill in floor.last_fills()] == [(10, 10), (9, 10)]
    assert floor.bids() == floor.asks() == []


def test_an_ioc_order_takes_what_is_there_and_never_rests(floor: Floor) -> None:
    floor.sell(ANN, 10, 10)
    floor.buy(BOB, 25, 10, lasting=IOC)
    assert floor.last_fills() == [(1, 10, 10)]
    assert floor.bids() == floor.asks() == []


def test_an_ioc_order_that_meets_nobody_is_accepted_and_canceled(floor: Floor) -> None:
    order_id = floor.buy(BOB, 25, 10, lasting=IOC)
    assert floor.leaves(order_id) is None
    assert floor.cash(BOB) == (10_000, 0)


def test_symbols_do_not_trade_with_each_other(floor: Floor) -> None:
    floor.sell(ANN, 100, 20)
    floor.buy(BOB, 100, 20, symbol=BBB)
    assert floor.last_fills() == []
    assert floor.bids(BBB) == [(20, 100)]


def test_an_open_order_can_be_looked_up_until_it_is_filled(floor: Floor) -> None:
    order_id = floor.sell(ANN, 10, 10)
    floor.buy(BOB, 4, 10)
    order = floor.exchange.open_order(ANN, order_id)
    assert order is not None
    assert (order.accepted.order_type, order.price_micros, order.leaves) == (OrderType.LIMIT, 10_000_000, 6_000_000)
    assert floor.exchange.open_order(BOB, order_id) is None
    floor.buy(BOB, 6, 10)
    assert floor.exchange.open_order(ANN, order_id) is None
