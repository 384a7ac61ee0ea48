"""Whatever is sent: a refusal with a reason and a message, the state as it was, nothing raised."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from trading.core.commands import CancelOrder, ChangeAccount, OpenAccount
from trading.core.errors import InvariantError
from trading.core.events import Refused
from trading.core.orders import AccountId, AccountTerms, Limits, OrderId, RejectReason
from trading.core.state import state_of

from .absurd import absurd_command
from .floor import ANN, BOB, BUY, SELL, Floor
from .flow import LIVELY, Flow
from .side_by_side import SideBySide

HUGE = 10**400


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"quantity": HUGE}, RejectReason.INVALID_QUANTITY),
        ({"quantity": -HUGE}, RejectReason.INVALID_QUANTITY),
        ({"quantity": 0}, RejectReason.INVALID_QUANTITY),
        ({"limit_price_micros": HUGE}, RejectReason.INVALID_PRICE),
        ({"limit_price_micros": None}, RejectReason.INVALID_PRICE),
        ({"account_id": HUGE}, RejectReason.UNKNOWN_ACCOUNT),
        ({"account_id": -1}, RejectReason.UNKNOWN_ACCOUNT),
        ({"symbol": "ZZZ"}, RejectReason.UNKNOWN_SYMBOL),
        ({"symbol": "USD"}, RejectReason.UNKNOWN_SYMBOL),
        ({"client_order_id": ""}, RejectReason.INVALID_CLIENT_ORDER_ID),
        ({"client_order_id": "x" * 49}, RejectReason.INVALID_CLIENT_ORDER_ID),
        ({"client_order_id": "two\nlines"}, RejectReason.INVALID_CLIENT_ORDER_ID),
    ],
    ids=str,
)
def test_an_order_out_of_range_is_refused(floor: Floor, change: dict[str, Any], reason: RejectReason) -> None:
    refused, message = floor.refused(floor.order(ANN, BUY, 1, 10)._replace(**change))
    assert refused is reason
    assert message
    assert len(message) < 400


def test_the_clock_does_not_go_backwards(floor: Floor) -> None:
    floor.now_ns = 100
    order_id = floor.buy(ANN, 1, 9)
    for command in (floor.order(ANN, SELL, 1, 10)._replace(at_ns=99), CancelOrder(-HUGE, ANN, order_id)):
        assert floor.why_refused(command) is RejectReason.CLOCK_WENT_BACKWARDS
    floor.sell(ANN, 1, 10)


def test_an_order_that_is_not_open_in_this_account_cannot_be_canceled(floor: Floor) -> None:
    order_id = floor.buy(ANN, 1, 9)
    assert floor.why_refused(CancelOrder(0, BOB, order_id)) is RejectReason.NOT_CANCELABLE
    assert floor.why_refused(CancelOrder(0, AccountId(99), order_id)) is RejectReason.UNKNOWN_ACCOUNT
    for unknown in (0, -1, order_id + 1, HUGE):
        assert floor.why_refused(CancelOrder(0, ANN, OrderId(unknown))) is RejectReason.UNKNOWN_ORDER
    floor.cancel(ANN, order_id)
    assert floor.why_refused(CancelOrder(0, ANN, order_id)) is RejectReason.NOT_CANCELABLE


def test_accounts_are_opened_once_and_on_possible_terms(floor: Floor) -> None:
    for account_id in (0, -1, 2**63, HUGE):
        assert floor.why_refused(OpenAccount(0, AccountId(account_id))) is RejectReason.UNKNOWN_ACCOUNT
    assert floor.why_refused(OpenAccount(0, ANN)) is RejectReason.ALREADY_EXISTS
    assert floor.why_refused(ChangeAccount(0, AccountId(9), AccountTerms())) is RejectReason.UNKNOWN_ACCOUNT
    for terms in (AccountTerms(0), AccountTerms(3), AccountTerms(limits=Limits(-1)), AccountTerms(limits=Limits(HUGE))):
        assert floor.why_refused(OpenAccount(0, AccountId(9), terms)) is RejectReason.INVALID_SETTING
        assert floor.why_refused(ChangeAccount(0, ANN, terms)) is RejectReason.INVALID_SETTING


def test_absurd_commands_leave_no_trace() -> None:
    both, flow = SideBySide(), Flow(Random(11), LIVELY)
    for command in [*flow.opening(), *[flow.next] * 200]:
        flow.saw(both.apply(command() if callable(command) else command, thorough=False))
    refused = 0
    for _ in range(1_000):
        before = state_of(both.exchange)
        outcome = both.apply(absurd_command(flow), thorough=False)
        flow.saw(outcome)
        if isinstance(outcome, Refused):
            refused += 1
            assert outcome.message
            assert state_of(both.exchange) == before
    assert refused > 700


def test_a_broken_exchange_names_the_command_at_which_it_shows(floor: Floor) -> None:
    order_id = floor.buy(ANN, 10, 9)
    number = floor.exchange.sequence + 1
    floor.exchange.venue.accounts[ANN].cash.reserved -= 1
    with pytest.raises(InvariantError, match=f"^CancelOrder, to be number {number}: .* cannot release 90000000 USD"):
        floor.exchange.apply(CancelOrder(0, ANN, order_id))
