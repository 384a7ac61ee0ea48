"""What is refused, why, and that a refusal changes nothing (``Floor.refused`` compares the whole state)."""

from __future__ import annotations

import pytest

from trading.core.commands import CancelOrder, CloseSession, Command, Deposit, ListInstrument, OpenAccount
from trading.core.events import CASH
from trading.core.orders import (
    MAX_DEPOSIT,
    MAX_PRICE_MICROS,
    MAX_QUANTITY,
    AccountId,
    OrderId,
    OrderType,
    RejectReason,
    Side,
    Symbol,
    TimeInForce,
)

from .floor import AAA, ANN, BOB, CAT, Floor

ABSURD_NUMBERS = [0, -1, -(10**30), 2**63, 10**400, 10**5_000, -(10**5_000)]


def label(value: object) -> str:
    """Names a test's parameter; Python does not print integers of thousands of digits."""
    return f"{value.bit_length()} bits" if isinstance(value, int) and abs(value) > 2**63 else repr(value)[:30]


def test_a_buy_beyond_the_buying_power_is_refused_with_the_numbers(floor: Floor) -> None:
    reason, message = floor.refused(floor.order(ANN, Side.BUY, 1_001, 10))
    assert reason is RejectReason.INSUFFICIENT_BUYING_POWER
    assert "10010000000" in message
    assert "10000000000" in message


def test_money_reserved_for_one_order_cannot_back_another(floor: Floor) -> None:
    floor.buy(ANN, 600, 10)
    assert floor.refused(floor.order(ANN, Side.BUY, 401, 10))[0] is RejectReason.INSUFFICIENT_BUYING_POWER
    floor.buy(ANN, 400, 10)


def test_a_sale_of_shares_one_does_not_have_is_refused_with_the_numbers(floor: Floor) -> None:
    floor.sell(ANN, 600, 10)
    reason, message = floor.refused(floor.order(ANN, Side.SELL, 401, 10))
    assert reason is RejectReason.INSUFFICIENT_SHARES
    assert "401" in message
    assert "400" in message


def test_a_market_sale_needs_all_its_shares_even_when_nobody_wants_them_all(floor: Floor) -> None:
    floor.buy(BOB, 1, 10)
    assert floor.refused(floor.order(ANN, Side.SELL, 1_001))[0] is RejectReason.INSUFFICIENT_SHARES


def test_a_market_buy_is_measured_by_the_sweep_it_would_make_now(floor: Floor) -> None:
    floor.sell(ANN, 100, 50)
    floor.sell(ANN, 100, 50.01)
    reason, message = floor.refused(floor.order(BOB, Side.BUY, 200))
    assert reason is RejectReason.INSUFFICIENT_BUYING_POWER
    assert "10001000000" in message
    floor.buy(BOB, 199)


def test_a_market_order_into_an_empty_side_finds_no_liquidity(floor: Floor) -> None:
    floor.buy(ANN, 1, 10)
    assert floor.refused(floor.order(BOB, Side.BUY, 1))[0] is RejectReason.NO_LIQUIDITY
    floor.cancel(ANN, OrderId(1))
    assert floor.refused(floor.order(BOB, Side.SELL, 1))[0] is RejectReason.NO_LIQUIDITY


@pytest.mark.parametrize("quantity", [*ABSURD_NUMBERS, MAX_QUANTITY + 1], ids=label)
def test_an_impossible_quantity_is_refused(floor: Floor, quantity: int) -> None:
    floor.buy(CAT, 1, 10)
    for price in (10, None):
        command = floor.order(ANN, Side.SELL, quantity, price)
        assert floor.refused(command)[0] is RejectReason.INVALID_QUANTITY


@pytest.mark.parametrize(
    "price_micros", [*ABSURD_NUMBERS, MAX_PRICE_MICROS + 10_000, 10_000_001, 9_999, None], ids=label
)
def test_an_impossible_limit_price_is_refused(floor: Floor, price_micros: int | None) -> None:
    command = floor.order(ANN, Side.SELL, 1, 10)._replace(limit_price_micros=price_micros)
    assert floor.refused(command)[0] is RejectReason.INVALID_PRICE


def test_a_market_order_with_a_limit_price_is_refused(floor: Floor) -> None:
    command = floor.order(ANN, Side.SELL, 1, 10)._replace(order_type=OrderType.MARKET)
    assert floor.refused(command)[0] is RejectReason.INVALID_PRICE


@pytest.mark.parametrize("side", list(Side))
def test_an_order_worth_more_than_the_limit_is_refused(floor: Floor, side: Side) -> None:
    command = floor.order(ANN, side, MAX_QUANTITY, 1.01)
    assert floor.refused(command)[0] is RejectReason.ORDER_VALUE_TOO_LARGE


@pytest.mark.parametrize(
    "name", ["", "x" * 49, "x" * 1_000_000, "a\0b", "line\nbreak", "half a \ud800 pair"], ids=label
)
def test_a_client_order_id_that_cannot_be_kept_is_refused(floor: Floor, name: str) -> None:
    command = floor.order(ANN, Side.BUY, 1, 10)._replace(client_order_id=name)
    reason, message = floor.refused(command)
    assert reason is RejectReason.INVALID_CLIENT_ORDER_ID
    assert len(message) < 300
    assert message.isprintable()


@pytest.mark.parametrize("symbol", ["", "ZZZ", "USD", "aaa", "x" * 1_000_000, "\ud800"], ids=label)
def test_an_unknown_symbol_is_refused(floor: Floor, symbol: str) -> None:
    order = floor.order(ANN, Side.BUY, 1, 10, symbol=Symbol(symbol))
    for command in (order, CloseSession(0, Symbol(symbol))):
        reason, message = floor.refused(command)
        assert reason is RejectReason.UNKNOWN_SYMBOL
        assert len(message) < 300


@pytest.mark.parametrize("account_id", [*ABSURD_NUMBERS, 4], ids=label)
def test_an_unknown_account_is_refused(floor: Floor, account_id: int) -> None:
    nobody = AccountId(account_id)
    commands: list[Command] = [
        floor.order(nobody, Side.BUY, 1, 10),
        CancelOrder(0, nobody, OrderId(1)),
        Deposit(0, nobody, CASH, 1),
    ]
    for command in commands:
        assert floor.refused(command)[0] is RejectReason.UNKNOWN_ACCOUNT


@pytest.mark.parametrize("account_id", ABSURD_NUMBERS, ids=label)
def test_an_account_outside_the_possible_ids_is_not_opened(floor: Floor, account_id: int) -> None:
    assert floor.refused(OpenAccount(0, AccountId(account_id)))[0] is RejectReason.UNKNOWN_ACCOUNT


@pytest.mark.parametrize("amount", [*ABSURD_NUMBERS, MAX_DEPOSIT + 1], ids=label)
def test_an_impossible_deposit_is_refused(floor: Floor, amount: int) -> None:
    assert floor.refused(Deposit(0, ANN, CASH, amount))[0] is RejectReason.INVALID_AMOUNT


def test_a_deposit_of_something_unlisted_is_refused(floor: Floor) -> None:
    assert floor.refused(Deposit(0, ANN, "EUR", 1))[0] is RejectReason.UNKNOWN_SYMBOL


@pytest.mark.parametrize(
    ("symbol", "tick_micros", "expected"),
    [
        ("AAA", 1, RejectReason.ALREADY_EXISTS),
        ("USD", 1, RejectReason.ALREADY_EXISTS),
        ("", 1, RejectReason.UNKNOWN_SYMBOL),
        ("A A", 1, RejectReason.UNKNOWN_SYMBOL),
        ("Ä", 1, RejectReason.UNKNOWN_SYMBOL),
        ("A" * 17, 1, RejectReason.UNKNOWN_SYMBOL),
        *[("CCC", tick, RejectReason.INVALID_PRICE) for tick in ABSURD_NUMBERS],
    ],
    ids=label,
)
def test_an_impossible_listing_is_refused(floor: Floor, symbol: str, tick_micros: int, expected: RejectReason) -> None:
    assert floor.refused(ListInstrument(0, Symbol(symbol), tick_micros))[0] is expected


def test_an_account_opens_once(floor: Floor) -> None:
    assert floor.refused(OpenAccount(0, ANN))[0] is RejectReason.ALREADY_EXISTS


@pytest.mark.parametrize("order_id", ABSURD_NUMBERS, ids=label)
def test_an_order_that_never_was_cannot_be_canceled(floor: Floor, order_id: int) -> None:
    floor.buy(ANN, 1, 10)
    assert floor.refused(CancelOrder(0, ANN, OrderId(order_id)))[0] is RejectReason.UNKNOWN_ORDER


def test_nobody_cancels_somebody_elses_order(floor: Floor) -> None:
    order_id = floor.buy(ANN, 1, 10)
    assert floor.refused(CancelOrder(0, BOB, order_id))[0] is RejectReason.UNKNOWN_ORDER


def test_a_filled_or_canceled_order_is_not_cancelable(floor: Floor) -> None:
    filled, canceled = floor.sell(ANN, 1, 10), floor.sell(ANN, 1, 11)
    floor.buy(BOB, 1, 10)
    floor.cancel(ANN, canceled)
    for order_id in (filled, canceled):
        assert floor.refused(CancelOrder(0, ANN, order_id))[0] is RejectReason.NOT_CANCELABLE


@pytest.mark.parametrize("lasting", list(TimeInForce))
def test_every_time_in_force_is_possible_for_a_market_order(floor: Floor, lasting: TimeInForce) -> None:
    floor.sell(ANN, 1, 10)
    floor.buy(BOB, 2, lasting=lasting)
    assert floor.shares(BOB) == (1_001, 0)
    assert floor.bids() == []


def test_symbols_in_lower_case_are_other_symbols(floor: Floor) -> None:
    floor.accepted(ListInstrument(0, Symbol("aaa"), 1))
    assert floor.exchange.symbols() == [AAA, "BBB", "aaa"]
