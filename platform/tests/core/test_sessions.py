"""A market's day: which phase follows which, and what the end of the day ends."""

from __future__ import annotations

from itertools import product

import pytest

from trading.core.commands import ChangePhase
from trading.core.events import OrderCanceled, PhaseChanged
from trading.core.exchange import symbol_of
from trading.core.orders import CancelReason, Phase, RejectReason, Symbol

from .floor import AAA, ANN, BBB, BOB, BUY, CLS, DAY, GTC, OPG, Floor, dollars

CLOSED, PRE_OPEN, OPEN, HALTED, PRE_CLOSE = Phase
WAYS = {
    CLOSED: (CLOSED,),
    PRE_OPEN: (CLOSED, PRE_OPEN),
    OPEN: (),
    HALTED: (HALTED,),
    PRE_CLOSE: (PRE_CLOSE,),
}
ALLOWED = {
    (CLOSED, PRE_OPEN),
    (CLOSED, OPEN),
    (PRE_OPEN, OPEN),
    (PRE_OPEN, HALTED),
    (PRE_OPEN, CLOSED),
    (OPEN, HALTED),
    (OPEN, PRE_CLOSE),
    (OPEN, CLOSED),
    (HALTED, OPEN),
    (HALTED, PRE_CLOSE),
    (HALTED, CLOSED),
    (PRE_CLOSE, CLOSED),
    (PRE_CLOSE, HALTED),
}


@pytest.mark.parametrize(("before", "after"), [*product(Phase, Phase)], ids=str)
def test_only_some_phases_follow_each_other(floor: Floor, before: Phase, after: Phase) -> None:
    for phase in WAYS[before]:
        floor.phase(phase)
    command = ChangePhase(0, AAA, after)
    if (before, after) in ALLOWED:
        assert PhaseChanged(AAA, after, dollars(10), None) in floor.accepted(command)
        assert floor.exchange.phase(AAA) is after
    else:
        assert floor.why_refused(command) is RejectReason.WRONG_PHASE


def test_a_market_that_is_not_listed_has_no_day(floor: Floor) -> None:
    assert floor.why_refused(ChangePhase(0, Symbol("ZZZ"), CLOSED)) is RejectReason.UNKNOWN_SYMBOL


def test_day_orders_expire_in_the_order_of_their_ids_and_others_stay(floor: Floor) -> None:
    high, kept = floor.sell(ANN, 1, 30, lasting=DAY), floor.sell(ANN, 2, 29, lasting=GTC)
    low, stop = floor.buy(BOB, 3, 10, lasting=DAY), floor.sell(ANN, 4, stop=8, lasting=DAY)
    waiting = floor.sell(ANN, 5, 28, lasting=CLS)
    events = floor.phase(CLOSED)
    canceled = [event for event in events if isinstance(event, OrderCanceled)]
    assert [event.order_id for event in canceled] == [high, low, stop, waiting]
    assert {event.reason for event in canceled} == {CancelReason.SESSION_CLOSED}
    assert floor.leaves(kept) == 2
    assert (floor.cash(BOB), floor.shares(ANN)) == ((10_000, 0), (998, 2))


def test_orders_collect_while_the_market_is_closed_and_trade_when_it_opens(floor: Floor) -> None:
    floor.phase(CLOSED)
    floor.buy(ANN, 10, 11)
    floor.sell(BOB, 10, 9)
    assert (floor.bids(), floor.asks()) == ([(11, 10)], [(9, 10)])
    floor.phase(OPEN)
    assert [fill[1:] for fill in floor.last_fills()] == [(10, 10)]


def test_closing_one_symbol_leaves_the_others_alone(floor: Floor) -> None:
    floor.buy(ANN, 100, 19, symbol=BBB, lasting=DAY)
    floor.phase(CLOSED)
    assert floor.bids(BBB) == [(19, 100)]


def test_a_call_that_is_broken_off_expires_its_orders(floor: Floor) -> None:
    floor.phase(CLOSED)
    floor.phase(PRE_OPEN)
    opening, lasting = floor.buy(ANN, 1, 10, lasting=OPG), floor.buy(ANN, 1, 10)
    floor.phase(CLOSED)
    assert floor.ended() == [(opening, CancelReason.SESSION_CLOSED)]
    assert floor.leaves(lasting) == 1


def test_a_markets_sequence_counts_exactly_the_commands_that_concern_it(floor: Floor) -> None:
    listed, before = floor.exchange.sequence, floor.exchange.symbol_sequence(AAA)
    order_id = floor.buy(ANN, 1, 10)
    floor.cancel(ANN, floor.replace(ANN, order_id, price=9))
    floor.phase(CLOSED)
    floor.refused(floor.order(ANN, BUY, 0, 10))
    assert floor.exchange.symbol_sequence(AAA) == before + 4
    assert floor.exchange.symbol_sequence(BBB) == 1
    assert floor.exchange.sequence == listed + 4
    assert [symbol_of(events) for _, events in floor.journal[-4:]] == [AAA] * 4
