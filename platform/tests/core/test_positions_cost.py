"""What a position cost: bought, sold, turned round, moved."""

from __future__ import annotations

import pytest

from trading.core.commands import Deposit, Transfer, Withdraw
from trading.core.events import CASH
from trading.core.orders import AccountId, RejectReason

from .floor import AAA, ANN, BOB, CAT, DAN, DAY, Floor, dollars, shares


def test_a_sale_takes_its_part_of_the_cost_with_it(floor: Floor) -> None:
    """Dan buys 10 at 10 and 10 at 12: 20 cost $220. 5 of them sold, at whatever price: a quarter, $55, goes."""
    floor.sell(BOB, 10, 10)
    floor.buy(DAN, 10, 10)
    floor.sell(BOB, 10, 12)
    floor.buy(DAN, 10, 12)
    assert floor.cost(DAN) == 220
    floor.buy(CAT, 5, 14)
    floor.sell(DAN, 5, 14)
    assert floor.cost(DAN) == 165


def test_a_position_turned_round_costs_what_its_new_side_brought(floor: Floor) -> None:
    """Long 10 for $100; 15 sold at 12 bring $180: 10 close the position, the other 5 are short for $60.

    8 bought back at 11, $88: 5 close it, 3 are long: 88 x 3 / 8 = $33.
    """
    floor.sell(BOB, 10, 10)
    floor.buy(DAN, 10, 10)
    floor.sell(DAN, 10, 12)
    floor.buy(CAT, 10, 12)
    floor.sell(DAN, 5, 12)
    floor.buy(CAT, 5, 12)
    assert floor.cost(DAN) == -60
    floor.sell(BOB, 8, 11)
    floor.buy(DAN, 8, 11)
    assert floor.cost(DAN) == 33


def test_a_division_is_rounded_down_and_nothing_is_left_of_a_position_of_nothing(floor: Floor) -> None:
    """3 for $10.01 each cost $30.03; 0.333333 of them take $3.336663 and a third of a micro-dollar, rounded down."""
    floor.sell(BOB, 3, 10.01)
    floor.buy(DAN, 3, 10.01)
    floor.buy(CAT, 1, 10)
    floor.sell(DAN, 0.333333, 10, lasting=DAY)
    cost = dollars(30.03)
    assert floor.exchange.cost(DAN, AAA) == cost - cost * 333_333 // 3_000_000
    floor.buy(CAT, 3, 10)
    floor.sell(DAN, 2.666667, 10, lasting=DAY)
    assert floor.exchange.cost(DAN, AAA) == 0
    assert floor.shares(DAN) == (0, 0)


def test_shares_that_leave_take_cost_and_shares_that_come_bring_none(floor: Floor) -> None:
    floor.sell(BOB, 10, 10)
    floor.buy(DAN, 10, 10)
    floor.accepted(Transfer(0, DAN, CAT, AAA, shares(4)))
    assert (floor.cost(DAN), floor.cost(CAT)) == (60, 0)
    floor.accepted(Withdraw(0, DAN, AAA, shares(3)))
    assert floor.cost(DAN) == 30
    floor.deposit(DAN, 5, AAA)
    assert floor.cost(DAN) == 30


def test_shares_that_come_in_close_a_short_position_for_nothing(floor: Floor) -> None:
    floor.buy(BOB, 10, 10)
    floor.sell(DAN, 10, 10)
    assert floor.cost(DAN) == -100
    floor.deposit(DAN, 4, AAA)
    assert floor.cost(DAN) == -60
    floor.accepted(Transfer(0, ANN, DAN, AAA, shares(6)))
    assert (floor.cost(DAN), floor.shares(DAN)) == (0, (0, 0))


def test_what_came_in_has_not_left(floor: Floor) -> None:
    issued = floor.exchange.issued(CASH)
    floor.deposit(ANN, 5)
    floor.accepted(Withdraw(0, ANN, CASH, dollars(2)))
    floor.accepted(Transfer(0, ANN, BOB, CASH, dollars(1)))
    assert floor.exchange.issued(CASH) == issued + dollars(3)
    assert (floor.cash(ANN), floor.cash(BOB)) == ((10_002, 0), (10_001, 0))


@pytest.mark.parametrize("amount", [0, -1, 10**17 + 1, 10**400])
def test_an_amount_is_within_bounds(floor: Floor, amount: int) -> None:
    for command in (
        Deposit(0, ANN, CASH, amount),
        Withdraw(0, ANN, CASH, amount),
        Transfer(0, ANN, BOB, AAA, amount),
    ):
        assert floor.why_refused(command) is RejectReason.INVALID_AMOUNT


def test_no_more_of_an_asset_is_issued_than_its_sum_may_be(floor: Floor) -> None:
    for _ in range(89):
        floor.both.apply(Deposit(0, ANN, CASH, 10**17), thorough=False)
    assert floor.why_refused(Deposit(0, ANN, CASH, 10**17)) is RejectReason.INVALID_AMOUNT


def test_what_is_reserved_or_missing_cannot_be_moved(floor: Floor) -> None:
    floor.buy(ANN, 100, 10)
    floor.sell(ANN, 400, 11)
    too_much = RejectReason.INSUFFICIENT_BUYING_POWER, RejectReason.INSUFFICIENT_SHARES
    assert floor.why_refused(Withdraw(0, ANN, CASH, dollars(9_000.01))) is too_much[0]
    assert floor.why_refused(Transfer(0, ANN, BOB, AAA, shares(601))) is too_much[1]
    assert floor.why_refused(Transfer(0, ANN, ANN, CASH, 1)) is RejectReason.UNKNOWN_ACCOUNT
    assert floor.why_refused(Transfer(0, ANN, AccountId(99), CASH, 1)) is RejectReason.UNKNOWN_ACCOUNT
    assert floor.why_refused(Deposit(0, ANN, "ZZZ", 1)) is RejectReason.UNKNOWN_SYMBOL
