"""Brackets, one-cancels-other and one-triggers-other: what becomes of one order when another trades or ends."""

from __future__ import annotations

from typing import Any

import pytest

from trading.core.commands import CancelOrder
from trading.core.events import OrderAccepted
from trading.core.orders import CancelReason, OrderClass, OrderId, OrderType, Phase, RejectReason, SelfTrade

from .floor import ANN, BOB, BUY, CAT, DAN, DAY, GTC, IOC, SELL, Floor

GROUP = CancelReason.GROUP
BRACKET: dict[str, Any] = {"group": OrderClass.BRACKET, "take_profit": 12, "stop_loss": 9}
OCO: dict[str, Any] = {"group": OrderClass.OCO, "take_profit": 12, "stop_loss": 9}


def bracket(floor: Floor, amount: float = 10, price: float = 10) -> tuple[OrderId, OrderId, OrderId]:
    entry = floor.buy(ANN, amount, price, **BRACKET)
    return entry, OrderId(entry + 1), OrderId(entry + 2)


def oco(floor: Floor, amount: float = 10) -> tuple[OrderId, OrderId]:
    profit = floor.sell(ANN, amount, 12, **OCO)
    return profit, OrderId(profit + 1)


def test_a_brackets_exits_are_accepted_with_it_and_held(floor: Floor) -> None:
    entry, profit, loss = bracket(floor)
    legs = [event for event in floor.last_events() if isinstance(event, OrderAccepted)][1:]
    assert [(leg.order_id, leg.parent_id, leg.side, leg.order_type) for leg in legs] == [
        (profit, entry, SELL, OrderType.LIMIT),
        (loss, entry, SELL, OrderType.STOP),
    ]
    assert floor.shares(ANN) == (1_000, 0)
    assert floor.story() == [("rested", entry)]


def test_the_exits_come_alive_when_the_entry_is_filled_and_not_before(floor: Floor) -> None:
    entry, profit, loss = bracket(floor)
    floor.sell(BOB, 4, 10)
    assert floor.asks() == []
    floor.sell(BOB, 6, 10)
    assert floor.leaves(entry) is None
    assert floor.story()[1:] == [("activated", profit), ("activated", loss), ("rested", profit)]
    assert floor.shares(ANN) == (1_000, 10), "the two exits reserve the shares once"


def test_a_take_profit_that_trades_reduces_the_stop_loss_and_then_cancels_it(floor: Floor) -> None:
    _, profit, loss = bracket(floor)
    floor.sell(BOB, 10, 10)
    floor.buy(CAT, 4, 12)
    assert floor.story()[1:] == [(f"reduced: {GROUP}", loss)]
    floor.buy(CAT, 6, 12)
    assert floor.story()[1:] == [(f"canceled: {GROUP}", loss)]
    assert floor.leaves(profit) is None
    assert floor.shares(ANN) == (1_000, 0)


def test_a_stop_loss_that_is_elected_cancels_the_take_profit_first(floor: Floor) -> None:
    _, profit, loss = bracket(floor)
    floor.sell(BOB, 10, 10)
    floor.buy(CAT, 20, 8.9)
    floor.trade_at(9)
    assert floor.story()[-3:] == [("triggered", loss), (f"canceled: {GROUP}", profit), ("traded", loss)]
    assert floor.shares(ANN) == (1_000, 0)


def test_canceling_the_entry_cancels_what_is_held(floor: Floor) -> None:
    entry, profit, loss = bracket(floor)
    floor.cancel(ANN, entry)
    assert floor.ended() == [(entry, CancelReason.CLIENT), (profit, GROUP), (loss, GROUP)]


def test_an_entry_that_was_decremented_shrinks_its_exits(floor: Floor) -> None:
    floor.terms(ANN, self_trade=SelfTrade.DECREMENT)
    _, profit, loss = bracket(floor)
    floor.sell(ANN, 3, 10)
    floor.sell(BOB, 7, 10)
    assert [entry for entry in floor.story() if "reduced" in entry[0]] == [
        (f"reduced: {GROUP}", profit),
        (f"reduced: {GROUP}", loss),
    ]
    assert (floor.leaves(profit), floor.leaves(loss)) == (7, 7)


def test_exits_that_the_account_can_no_longer_cover_are_canceled(floor: Floor) -> None:
    """Dan, who sells 500 short, may always buy them back: that covers.

    Ann sells 900 of her own at 10, with a stop to buy 900 back at 12 (reserving up to the collar's edge, $18, so
    $16,200): she has $10,000 + $9,000. After she bids $5,000 elsewhere it is $14,000, too little.
    """
    entry = floor.sell(ANN, 900, 10, group=OrderClass.OTO, stop_loss=12)
    floor.buy(ANN, 500, 9.99, lasting=DAY)
    floor.deposit(BOB, 1)
    floor.buy(BOB, 900, 10)
    assert floor.ended() == [(OrderId(entry + 1), CancelReason.NOT_COVERED)]
    short = floor.sell(DAN, 500, 10, group=OrderClass.OTO, stop_loss=12)
    floor.deposit(CAT, 1)
    floor.buy(CAT, 500, 10)
    assert floor.story()[-1] == ("activated", OrderId(short + 1))


def test_the_two_orders_of_an_oco_reserve_once_and_cancel_each_other(floor: Floor) -> None:
    profit, loss = oco(floor)
    assert floor.story() == [("activated", loss), ("rested", profit)]
    assert floor.shares(ANN) == (990, 10)
    floor.cancel(ANN, loss)
    assert floor.ended() == [(loss, CancelReason.CLIENT), (profit, GROUP)]
    assert floor.shares(ANN) == (1_000, 0)


def test_an_oco_to_buy_reserves_for_the_dearer_of_the_two(floor: Floor) -> None:
    """Take-profit at 8; the stop at 11 may reach the collar's edge, 16.50: 10 reserve $165, not $80."""
    floor.buy(ANN, 10, 8, group=OrderClass.OCO, take_profit=8, stop_loss=11)
    assert floor.cash(ANN) == (10_000 - 165, 165)
    floor.sell(BOB, 4, 8)
    assert floor.cash(ANN) == (10_000 - 99 - 32, 99)


def test_a_decrement_takes_from_both_orders_of_an_oco(floor: Floor) -> None:
    floor.terms(ANN, self_trade=SelfTrade.DECREMENT)
    profit, loss = oco(floor)
    floor.buy(ANN, 4, 12)
    assert (floor.leaves(profit), floor.leaves(loss)) == (6, 6)
    assert floor.shares(ANN) == (994, 6)


def test_the_sessions_end_ends_a_whole_group_for_that_reason(floor: Floor) -> None:
    entry = floor.buy(ANN, 10, 10, lasting=DAY, **BRACKET)
    floor.phase(Phase.CLOSED)
    assert floor.ended() == [(OrderId(entry + leg), CancelReason.SESSION_CLOSED) for leg in range(3)]


def test_a_replaced_stop_loss_stays_the_take_profits_other_half(floor: Floor) -> None:
    profit, loss = oco(floor)
    tighter = floor.replace(ANN, loss, stop=11)
    floor.cancel(ANN, profit)
    assert floor.ended() == [(profit, CancelReason.CLIENT), (tighter, GROUP)]


def test_a_replaced_stop_to_buy_makes_the_pair_reserve_anew(floor: Floor) -> None:
    """The stop-loss goes from 11 (edge 16.50) to 12 (edge 18): 10 reserve $180 instead of $165."""
    profit = floor.buy(ANN, 10, 8, group=OrderClass.OCO, take_profit=8, stop_loss=11)
    floor.replace(ANN, OrderId(profit + 1), stop=12)
    assert floor.cash(ANN) == (10_000 - 180, 180)


@pytest.mark.parametrize(
    "special",
    [
        {"group": OrderClass.BRACKET, "take_profit": 12},
        {"group": OrderClass.BRACKET, "take_profit": 9, "stop_loss": 12},
        {"group": OrderClass.OTO, "take_profit": 12, "stop_loss": 9},
        {"group": OrderClass.OTO},
        {"group": OrderClass.OCO, "take_profit": 11.99, "stop_loss": 9},
        {"group": OrderClass.SIMPLE, "take_profit": 12},
        {"group": OrderClass.SIMPLE, "stop_loss_limit": 12},
        {"group": OrderClass.BRACKET, "take_profit": 12, "stop_loss": 9, "post_only": True},
    ],
    ids=str,
)
def test_groups_that_make_no_sense_are_refused(floor: Floor, special: dict[str, Any]) -> None:
    command = floor.order(ANN, BUY, 10, 12, **special)
    assert floor.why_refused(command) is RejectReason.INVALID_TERMS
    assert floor.why_refused(command._replace(time_in_force=IOC)) is RejectReason.INVALID_TERMS


def test_legs_have_no_client_order_id_to_be_retried_under(floor: Floor) -> None:
    bracket(floor)
    command = floor.order(ANN, SELL, 10, 12, lasting=GTC)._replace(client_order_id="")
    assert floor.why_refused(command) is RejectReason.INVALID_CLIENT_ORDER_ID


def test_a_held_leg_can_be_canceled_but_not_replaced(floor: Floor) -> None:
    entry, profit, loss = bracket(floor)
    assert floor.why_refused(floor.replacement(ANN, profit, price=13)) is RejectReason.NOT_REPLACEABLE
    floor.accepted(CancelOrder(0, ANN, profit))
    assert floor.ended() == [(profit, CancelReason.CLIENT), (loss, GROUP)]
    assert floor.leaves(entry) == 10
