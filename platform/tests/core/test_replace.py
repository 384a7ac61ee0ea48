"""Replacing an order: a new one in its place, which keeps it only when nobody behind it is the worse for it."""

from __future__ import annotations

from typing import Any

import pytest

from trading.core.events import OrderAccepted, OrderReplaced, OrderRested, Repeated
from trading.core.orders import OrderId, Phase, RejectReason

from .floor import ANN, BOB, BUY, CAT, CLS, DAY, GTC, IOC, SELL, Floor, dollars, shares


def test_a_smaller_quantity_keeps_the_place_in_the_queue(floor: Floor) -> None:
    first, second = floor.sell(ANN, 10, 10), floor.sell(BOB, 10, 10)
    smaller = floor.replace(ANN, first, amount=5)
    assert isinstance(floor.last_events()[-1], OrderRested)
    floor.buy(CAT, 8, 10)
    assert floor.last_fills() == [(smaller, 10, 5), (second, 10, 3)]


@pytest.mark.parametrize("change", [{"amount": 11}, {"price": 10.01}], ids=["larger", "dearer"])
def test_anything_else_loses_it(floor: Floor, change: dict[str, float]) -> None:
    first, second = floor.sell(ANN, 10, 10), floor.sell(BOB, 10, 10)
    replaced = floor.replace(ANN, first, **change)
    floor.buy(CAT, 12, 10.01)
    assert [fill[0] for fill in floor.last_fills()] == [second, replaced]


def test_a_new_time_in_force_alone_keeps_the_place(floor: Floor) -> None:
    first, second = floor.sell(ANN, 10, 10, lasting=DAY), floor.sell(BOB, 10, 10)
    lasting = floor.replace(ANN, first, lasting=GTC)
    floor.buy(CAT, 12, 10)
    assert [fill[0] for fill in floor.last_fills()] == [lasting, second]
    floor.phase(Phase.CLOSED)
    assert floor.leaves(second) == 8


def test_a_quantity_counts_what_is_filled_already(floor: Floor) -> None:
    """Of 10 are 4 filled: a new total of 7 leaves 3, one of 4 leaves nothing."""
    order_id = floor.sell(ANN, 10, 10)
    floor.buy(BOB, 4, 10)
    assert floor.why_refused(floor.replacement(ANN, order_id, amount=4)) is RejectReason.INVALID_QUANTITY
    new = floor.replace(ANN, order_id, amount=7)
    replaced, accepted = floor.last_events()[:2]
    assert isinstance(replaced, OrderReplaced)
    assert isinstance(accepted, OrderAccepted)
    assert (replaced.order_id, replaced.quantity, replaced.replaced_by) == (order_id, shares(6), new)
    assert (accepted.order_id, accepted.quantity, accepted.replaces) == (new, shares(3), order_id)
    assert floor.shares(ANN) == (993, 3)


def test_a_better_price_may_trade_at_once(floor: Floor) -> None:
    floor.sell(ANN, 10, 10)
    order_id = floor.buy(BOB, 10, 9)
    floor.replace(BOB, order_id, price=10)
    assert [fill[1:] for fill in floor.last_fills()] == [(10, 10)]
    assert floor.cash(BOB) == (9_900, 0)


def test_funds_are_judged_as_if_the_old_order_were_gone(floor: Floor) -> None:
    order_id = floor.buy(ANN, 900, 10)
    dearer = floor.replacement(ANN, order_id, price=11.12)
    assert floor.why_refused(dearer) is RejectReason.INSUFFICIENT_BUYING_POWER
    assert floor.cash(ANN) == (1_000, 9_000)
    floor.replace(ANN, order_id, price=11.11)
    assert floor.cash(ANN) == (1, 9_999)


def test_a_stops_price_can_be_moved(floor: Floor) -> None:
    stop = floor.sell(ANN, 10, stop=9)
    moved = floor.replace(ANN, stop, stop=9.5)
    floor.buy(CAT, 10, 9.4)
    floor.trade_at(9.5)
    assert ("triggered", moved) in floor.story()


def test_a_replaced_trailing_stop_takes_the_high_water_mark_over(floor: Floor) -> None:
    """The mark went up to 12; a trail of 0.30 instead of 0.50 from there is 11.70 at once."""
    stop = floor.sell(ANN, 10, trail=0.5)
    floor.trade_at(12)
    floor.trade_at(11.8)
    tighter = floor.replace(ANN, stop, trail=dollars(0.3))
    floor.trade_at(11.7)
    assert ("triggered", tighter) in floor.story()


def test_the_same_replacement_again_is_answered_alike(floor: Floor) -> None:
    order_id = floor.sell(ANN, 10, 10)
    command = floor.replacement(ANN, order_id, amount=5, name="again")
    floor.accepted(command)
    new = floor.exchange.last_order_id
    assert floor.send(command._replace(at_ns=7)) == Repeated(new)
    assert floor.why_refused(command._replace(quantity=shares(4))) is RejectReason.CLIENT_ORDER_ID_REUSED
    placement = floor.order(ANN, SELL, 5, 10, name="again")
    assert floor.why_refused(placement) is RejectReason.CLIENT_ORDER_ID_REUSED


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({}, RejectReason.INVALID_TERMS),
        ({"stop": 9}, RejectReason.INVALID_TERMS),
        ({"trail": 10_000}, RejectReason.INVALID_TERMS),
        ({"lasting": IOC}, RejectReason.INVALID_TERMS),
        ({"lasting": CLS}, RejectReason.INVALID_TERMS),
        ({"amount": -1}, RejectReason.INVALID_QUANTITY),
        ({"amount": 0.5}, RejectReason.INVALID_QUANTITY),
        ({"amount": 10**10}, RejectReason.INVALID_QUANTITY),
        ({"price": 10.001}, RejectReason.INVALID_PRICE),
        ({"price": -1}, RejectReason.INVALID_PRICE),
        ({"price": 4.99}, RejectReason.PRICE_OUTSIDE_COLLAR),
        ({"amount": 1_001}, RejectReason.INSUFFICIENT_SHARES),
    ],
    ids=str,
)
def test_a_replacement_is_judged_like_an_order(floor: Floor, given: dict[str, Any], reason: RejectReason) -> None:
    order_id = floor.sell(ANN, 10, 10)
    assert floor.why_refused(floor.replacement(ANN, order_id, **given)) is reason


def test_what_is_not_open_cannot_be_replaced(floor: Floor) -> None:
    order_id = floor.sell(ANN, 10, 10)
    assert floor.why_refused(floor.replacement(BOB, order_id, amount=1)) is RejectReason.NOT_REPLACEABLE
    assert floor.why_refused(floor.replacement(ANN, OrderId(99), amount=1)) is RejectReason.UNKNOWN_ORDER
    floor.cancel(ANN, order_id)
    assert floor.why_refused(floor.replacement(ANN, order_id, amount=1)) is RejectReason.NOT_REPLACEABLE


def test_a_replacement_must_not_take_when_the_order_is_post_only(floor: Floor) -> None:
    floor.sell(ANN, 10, 10)
    order_id = floor.buy(BOB, 10, 9, post_only=True)
    assert floor.why_refused(floor.replacement(BOB, order_id, price=10)) is RejectReason.WOULD_TAKE
    assert floor.why_refused(floor.order(BOB, BUY, 1, 10, post_only=True)) is RejectReason.WOULD_TAKE
