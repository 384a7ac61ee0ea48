"""Exactly once, as the client sees it."""

from __future__ import annotations

from typing import Any

import pytest

from trading.core.events import Repeated
from trading.core.orders import OrderType, RejectReason, Side, TimeInForce
from trading.core.state import state_of

from .floor import ANN, BBB, BOB, Floor


def test_a_retry_gets_the_first_answer_and_changes_nothing(floor: Floor) -> None:
    command = floor.order(ANN, Side.BUY, 10, 10)
    floor.accepted(command)
    before = state_of(floor.exchange)
    assert floor.send(command._replace(at_ns=99)) == Repeated(floor.exchange.last_order_id)
    assert state_of(floor.exchange) == before


def test_a_retry_is_recognised_after_the_order_has_closed(floor: Floor) -> None:
    command = floor.order(ANN, Side.BUY, 10, 10)
    floor.accepted(command)
    first = floor.exchange.last_order_id
    floor.cancel(ANN, first)
    assert floor.send(command) == Repeated(first)


@pytest.mark.parametrize(
    "change",
    [
        {"symbol": BBB},
        {"symbol": "ZZZ"},
        {"side": Side.SELL},
        {"order_type": OrderType.MARKET},
        {"time_in_force": TimeInForce.DAY},
        {"quantity": 11},
        {"quantity": 10**5_000},
        {"limit_price_micros": 10_010_000},
        {"limit_price_micros": None},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_client_order_id_cannot_mean_another_order(floor: Floor, change: dict[str, Any]) -> None:
    command = floor.order(ANN, Side.BUY, 10, 10)
    floor.accepted(command)
    reason, message = floor.refused(command._replace(**change))
    assert reason is RejectReason.CLIENT_ORDER_ID_REUSED
    assert command.client_order_id in message


def test_accounts_name_their_orders_independently(floor: Floor) -> None:
    floor.accepted(floor.order(ANN, Side.BUY, 10, 10, name="mine"))
    floor.accepted(floor.order(BOB, Side.BUY, 20, 10, name="mine"))
    assert floor.exchange.known_order(ANN, "mine") == 1
    assert floor.exchange.known_order(BOB, "mine") == 2
    assert floor.exchange.known_order(BOB, "other") is None


def test_a_refused_order_does_not_use_up_its_client_order_id(floor: Floor) -> None:
    floor.refused(floor.order(ANN, Side.BUY, 10_000, 10, name="again"))
    assert floor.exchange.known_order(ANN, "again") is None
    floor.accepted(floor.order(ANN, Side.BUY, 1, 10, name="again"))
