"""Whose money, whose shares, and that none of it appears or disappears."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from trading.core.commands import Deposit
from trading.core.errors import InvariantError
from trading.core.events import CASH, OUTSIDE, Bucket, LedgerPosted, OrderAccepted, OrderCanceled, OrderRested, Traded
from trading.core.ledger import MAX_ISSUED, Ledger
from trading.core.orders import MAX_DEPOSIT, CancelReason, RejectReason, Side, TimeInForce

from .floor import AAA, ANN, BOB, CAT, Floor, dollars

AVAILABLE, RESERVED = Bucket.AVAILABLE, Bucket.RESERVED


def test_a_deposit_comes_from_outside(floor: Floor) -> None:
    events = floor.accepted(Deposit(0, ANN, CASH, 5))
    assert events == [LedgerPosted(OUTSIDE, AVAILABLE, ANN, AVAILABLE, CASH, 5)]
    assert floor.exchange.issued(CASH) == dollars(30_000) + 5


def test_a_resting_buy_reserves_its_price_and_a_cancel_gives_it_back(floor: Floor) -> None:
    order_id = floor.buy(ANN, 10, 20)
    assert floor.cash(ANN) == (9_800, 200)
    floor.cancel(ANN, order_id)
    assert floor.cash(ANN) == (10_000, 0)


def test_a_resting_sale_reserves_its_shares_and_a_cancel_gives_them_back(floor: Floor) -> None:
    order_id = floor.sell(ANN, 10, 20)
    assert floor.shares(ANN) == (990, 10)
    floor.cancel(ANN, order_id)
    assert floor.shares(ANN) == (1_000, 0)


def test_a_trade_moves_cash_one_way_and_shares_the_other(floor: Floor) -> None:
    floor.sell(ANN, 10, 20)
    floor.buy(BOB, 10, 20)
    assert (floor.cash(ANN), floor.shares(ANN)) == ((10_200, 0), (990, 0))
    assert (floor.cash(BOB), floor.shares(BOB)) == ((9_800, 0), (1_010, 0))


def test_a_buyer_who_trades_at_a_better_price_gets_the_surplus_back_at_once(floor: Floor) -> None:
    floor.sell(ANN, 10, 20)
    floor.buy(BOB, 15, 25)
    assert floor.cash(BOB) == (10_000 - 200 - 125, 125)


def test_a_resting_buyer_has_no_surplus(floor: Floor) -> None:
    floor.buy(BOB, 10, 25)
    floor.sell(ANN, 10, 20)
    assert floor.cash(BOB) == (9_750, 0)
    assert floor.cash(ANN) == (10_250, 0)


def test_a_market_buy_pays_exactly_the_sweep_even_with_the_last_cent(floor: Floor) -> None:
    floor.sell(ANN, 100, 40)
    floor.sell(ANN, 100, 60)
    floor.buy(BOB, 250)
    assert floor.cash(BOB) == (0, 0)
    assert floor.shares(BOB) == (1_200, 0)


def test_a_market_sale_gets_back_the_shares_nobody_wanted(floor: Floor) -> None:
    floor.buy(BOB, 10, 20)
    floor.sell(ANN, 1_000)
    assert floor.shares(ANN) == (990, 0)


def test_events_tell_the_life_of_an_order_in_order(floor: Floor) -> None:
    maker = floor.sell(ANN, 10, 20)
    command = floor.order(BOB, Side.BUY, 15, 25, lasting=TimeInForce.IOC)
    taker = maker + 1
    assert floor.accepted(command) == [
        OrderAccepted(taker, *command[1:]),
        LedgerPosted(BOB, AVAILABLE, BOB, RESERVED, CASH, dollars(375)),
        Traded(1, AAA, dollars(20), 10, Side.BUY, maker, ANN, 0, taker, BOB, 5),
        LedgerPosted(BOB, RESERVED, ANN, AVAILABLE, CASH, dollars(200)),
        LedgerPosted(ANN, RESERVED, BOB, AVAILABLE, AAA, 10),
        LedgerPosted(BOB, RESERVED, BOB, AVAILABLE, CASH, dollars(50)),
        OrderCanceled(taker, BOB, AAA, Side.BUY, None, 5, CancelReason.UNFILLED),
        LedgerPosted(BOB, RESERVED, BOB, AVAILABLE, CASH, dollars(125)),
    ]


def test_an_order_that_rests_says_where_and_how_much(floor: Floor) -> None:
    command = floor.order(CAT, Side.SELL, 15, 25)
    assert floor.accepted(command) == [
        OrderAccepted(1, *command[1:]),
        LedgerPosted(CAT, AVAILABLE, CAT, RESERVED, AAA, 15),
        OrderRested(1, AAA, Side.SELL, dollars(25), 15),
    ]


def test_no_asset_is_ever_issued_beyond_what_a_database_integer_holds(floor: Floor) -> None:
    while floor.exchange.issued(AAA) + MAX_DEPOSIT <= MAX_ISSUED:
        floor.accepted(Deposit(0, ANN, AAA, MAX_DEPOSIT))
    reason, message = floor.refused(Deposit(0, BOB, AAA, MAX_DEPOSIT))
    assert reason is RejectReason.INVALID_AMOUNT
    assert str(MAX_ISSUED) in message


@pytest.mark.parametrize(
    "overdraw",
    [
        lambda ledger: ledger.reserve(ANN, CASH, 61),
        lambda ledger: ledger.release(ANN, CASH, 41),
        lambda ledger: ledger.pay(ANN, BOB, CASH, 41),
        lambda ledger: ledger.reserve(ANN, CASH, 0),
        lambda ledger: ledger.release(ANN, CASH, -1),
        lambda ledger: ledger.pay(ANN, BOB, CASH, -1),
    ],
    ids=["reserve", "release", "pay", "reserve nothing", "release less than nothing", "pay less than nothing"],
)
def test_a_movement_that_is_not_covered_is_a_broken_invariant(overdraw: Callable[[Ledger], LedgerPosted]) -> None:
    ledger = Ledger()
    ledger.open(ANN)
    ledger.open(BOB)
    ledger.deposit(ANN, CASH, 100)
    ledger.reserve(ANN, CASH, 40)
    with pytest.raises(InvariantError):
        overdraw(ledger)
    assert ledger.balance(ANN, CASH) == (60, 40)
    assert ledger.balance(BOB, CASH) == (0, 0)
