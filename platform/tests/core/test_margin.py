"""Buying on margin and selling short: Dan has $10,000, a multiplier of 2 and no shares. The mark is $10."""

from __future__ import annotations

from trading.core.commands import ChangeAccount, Transfer, Withdraw
from trading.core.events import CASH
from trading.core.orders import AccountTerms, RejectReason

from .floor import AAA, ANN, BBB, BOB, BUY, CAT, DAN, DAY, SELL, Floor, dollars, shares

NO_POWER = RejectReason.INSUFFICIENT_BUYING_POWER


def power(floor: Floor) -> float:
    return floor.exchange.buying_power(DAN) / 10**6


def test_buying_power_is_twice_the_equity_less_what_is_held_and_bid_for(floor: Floor) -> None:
    """2 x 10,000 = 20,000; a bid of 500 at 10 takes 5,000 of it; bought, the 500 shares take the same.

    At a mark of 11 they are worth 5,500, the equity is 10,500: 2 x 10,500 - 5,500 = 15,500.
    """
    assert power(floor) == 20_000
    floor.buy(DAN, 500, 10)
    assert power(floor) == 15_000
    floor.sell(ANN, 500, 10)
    assert power(floor) == 15_000
    floor.trade_at(11)
    assert power(floor) == 15_500


def test_a_margin_account_borrows_up_to_its_buying_power(floor: Floor) -> None:
    assert floor.why_refused(floor.order(DAN, BUY, 2_001, 10)) is NO_POWER
    floor.buy(DAN, 2_000, 10)
    assert floor.cash(DAN) == (-10_000, 20_000)


def test_a_short_sale_owes_the_shares_and_counts_twice(floor: Floor) -> None:
    """500 sold short at 10: cash 15,000, owed 5,000, equity 10,000; power 2 x 10,000 - 5,000 = 15,000.

    At a mark of 12 they are owed 6,000: equity 9,000, power 2 x 9,000 - 6,000 = 12,000.
    """
    floor.buy(BOB, 500, 10)
    floor.sell(DAN, 500, 10)
    assert floor.shares(DAN) == (-500, 0)
    assert floor.cash(DAN) == (15_000, 0)
    assert power(floor) == 15_000
    floor.trade_at(12)
    assert power(floor) == 12_000
    assert floor.why_refused(floor.order(DAN, SELL, 1_001, 12)) is NO_POWER
    floor.sell(DAN, 1_000, 12)


def test_buying_back_needs_no_buying_power(floor: Floor) -> None:
    floor.buy(BOB, 900, 10)
    floor.sell(DAN, 900, 10)
    floor.trade_at(14)
    floor.trade_at(20)
    assert power(floor) < 0
    assert floor.why_refused(floor.order(DAN, BUY, 901, 20)) is NO_POWER
    floor.buy(DAN, 900, 20)
    assert floor.why_refused(floor.order(DAN, BUY, 1, 20)) is NO_POWER, "the open purchase covers everything already"


def test_who_may_sell_short(floor: Floor) -> None:
    assert floor.why_refused(floor.order(ANN, SELL, 1_001, 10)) is RejectReason.INSUFFICIENT_SHARES
    assert floor.why_refused(floor.order(DAN, SELL, 100, 20, symbol=BBB)) is RejectReason.NOT_SHORTABLE
    assert floor.why_refused(floor.order(DAN, SELL, 0.5, 10, lasting=DAY)) is RejectReason.INVALID_QUANTITY
    floor.deposit(DAN, 5, AAA)
    assert floor.why_refused(floor.order(DAN, SELL, 6, 10)) is RejectReason.INSUFFICIENT_SHARES


def test_cash_leaves_a_margin_account_while_half_of_it_is_not_needed(floor: Floor) -> None:
    """Long 1,500 at 10 on $10,000: equity 10,000, power 5,000. $2,500 may leave; and the cash is borrowed anyway."""
    floor.buy(DAN, 900, 10)
    floor.sell(ANN, 900, 10)
    assert power(floor) == 11_000
    assert floor.why_refused(Withdraw(0, DAN, CASH, dollars(1_000.01))) is NO_POWER
    floor.accepted(Withdraw(0, DAN, CASH, dollars(1_000)))
    assert floor.why_refused(Transfer(0, DAN, CAT, AAA, shares(900.1))) is RejectReason.INSUFFICIENT_SHARES
    floor.accepted(Transfer(0, DAN, CAT, AAA, shares(900)))
    assert floor.shares(CAT) == (1_900, 0)


def test_who_owes_anything_cannot_have_a_cash_account(floor: Floor) -> None:
    floor.buy(DAN, 2_000, 10)
    command = ChangeAccount(0, DAN, AccountTerms())
    assert floor.why_refused(command) is RejectReason.INVALID_SETTING
    floor.cancel_all(DAN)
    floor.accepted(command)
    assert floor.why_refused(floor.order(DAN, BUY, 1_001, 10)) is NO_POWER
