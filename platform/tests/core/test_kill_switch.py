"""The kill switch: no new orders, and the open ones withdrawn, of one account or of everybody."""

from __future__ import annotations

import pytest

from trading.core.commands import EVERYBODY, CancelAll, SetKillSwitch
from trading.core.orders import AccountId, CancelReason, RejectReason, Symbol

from .floor import AAA, ANN, BBB, BOB, BUY, Floor


@pytest.mark.parametrize("whose", [ANN, EVERYBODY], ids=["one", "everybody"])
def test_an_engaged_switch_refuses_orders_and_lets_cancel(floor: Floor, whose: AccountId) -> None:
    order_id, other = floor.buy(ANN, 1, 9), floor.buy(ANN, 1, 8)
    floor.accepted(SetKillSwitch(0, whose, True))
    assert floor.why_refused(floor.order(ANN, BUY, 1, 9)) is RejectReason.KILL_SWITCH
    assert floor.why_refused(floor.replacement(ANN, order_id, price=8)) is RejectReason.KILL_SWITCH
    floor.cancel(ANN, other)
    floor.cancel_all(whose)
    assert floor.ended() == [(order_id, CancelReason.KILL_SWITCH)]
    floor.accepted(SetKillSwitch(0, whose, False))
    floor.buy(ANN, 1, 9)


def test_one_accounts_switch_leaves_the_others_alone(floor: Floor) -> None:
    floor.accepted(SetKillSwitch(0, ANN, True))
    floor.buy(BOB, 1, 9)


def test_cancel_all_withdraws_one_accounts_orders_of_one_market_in_order(floor: Floor) -> None:
    first, of_bob = floor.buy(ANN, 1, 9), floor.buy(BOB, 1, 9)
    elsewhere, second = floor.buy(ANN, 100, 19, symbol=BBB), floor.sell(ANN, 1, stop=8)
    floor.cancel_all(ANN)
    assert floor.ended() == [(first, CancelReason.CLIENT), (second, CancelReason.CLIENT)]
    assert (floor.leaves(of_bob), floor.leaves(elsewhere)) == (1, 100)
    assert floor.why_refused(CancelAll(0, ANN, AAA)) is RejectReason.NOT_CANCELABLE


def test_switches_and_withdrawals_of_what_is_not_there(floor: Floor) -> None:
    assert floor.why_refused(SetKillSwitch(0, ANN, False)) is RejectReason.NOTHING_TO_CHANGE
    assert floor.why_refused(SetKillSwitch(0, AccountId(99), True)) is RejectReason.UNKNOWN_ACCOUNT
    assert floor.why_refused(CancelAll(0, AccountId(99), AAA)) is RejectReason.UNKNOWN_ACCOUNT
    assert floor.why_refused(CancelAll(0, EVERYBODY, Symbol("ZZZ"))) is RejectReason.UNKNOWN_SYMBOL
