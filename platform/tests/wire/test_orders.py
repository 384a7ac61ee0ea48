"""Orders as clients see them: folded from the exchange's own events, with public ids and decimals."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.core.commands import (
    CancelOrder,
    ChangePhase,
    Command,
    Deposit,
    ListInstrument,
    OpenAccount,
    PlaceOrder,
    ReplaceOrder,
)
from trading.core.events import Event
from trading.core.exchange import Exchange
from trading.core.orders import (
    BUY,
    SELL,
    AccountId,
    Instrument,
    OrderClass,
    OrderId,
    OrderType,
    Phase,
    SpecialTerms,
    Symbol,
    TimeInForce,
)
from trading.wire.journal import JournalRecord
from trading.wire.orders import (
    OrderView,
    decimal_text,
    first_view,
    fold,
    order_id_of,
    order_uuid,
    percent_text,
    public_order,
    rfc3339,
    shares_text,
)

AAA, ONE, TWO = Symbol("AAA"), AccountId(1), AccountId(2)
SHARE, DOLLAR = 10**6, 10**6
BRACKET = SpecialTerms(
    order_class=OrderClass.BRACKET,
    take_profit_micros=110 * DOLLAR,
    stop_loss_micros=90 * DOLLAR,
    stop_loss_limit_micros=89 * DOLLAR,
)


class Market:
    """The exchange with one fractionable instrument and two rich accounts, and the orders folded from its events."""

    def __init__(self) -> None:
        self.exchange = Exchange()
        self.orders: dict[OrderId, OrderView] = {}
        self.apply(
            ListInstrument(1, Instrument(AAA, 10_000, 100, SHARE, 100 * DOLLAR, 200_000, 0, 0, fractionable=True))
        )
        for account_id in (ONE, TWO):
            self.apply(OpenAccount(1, account_id))
            self.apply(Deposit(1, account_id, "USD", 100_000 * DOLLAR))
            self.apply(Deposit(1, account_id, AAA, 1_000 * SHARE))
        self.apply(ChangePhase(1, AAA, Phase.CONTINUOUS))

    def apply(self, command: Command) -> list[Event]:
        events = self.exchange.apply(command)
        assert isinstance(events, list), events
        fold(self.orders, events, sequence=self.exchange.sequence, at_ns=command.at_ns)
        return events

    def place(self, account_id: AccountId, side: Any, shares: int, price: int | None, **more: Any) -> JournalRecord:
        command = PlaceOrder(
            more.pop("at_ns", 2),
            account_id,
            f"c-{self.exchange.sequence}",
            AAA,
            side,
            more.pop("order_type", OrderType.MARKET if price is None else OrderType.LIMIT),
            more.pop("time_in_force", TimeInForce.DAY),
            shares * SHARE,
            None if price is None else price * DOLLAR,
            more.pop("special", None),
        )
        return self.record(command, self.apply(command))

    def record(self, command: Command, events: list[Event]) -> JournalRecord:
        return JournalRecord(
            sequence=self.exchange.sequence,
            epoch=1,
            at_ns=command.at_ns,
            symbol=AAA,
            symbol_sequence=1,
            command=command,
            events=events,
        )

    def states(self) -> dict[int, str]:
        return {order_id: order.status.value for order_id, order in self.orders.items()}


@pytest.fixture
def market() -> Market:
    return Market()


def test_an_order_says_where_it_rests_until_it_is_gone(market: Market) -> None:
    market.place(ONE, SELL, 5, 100)
    order = market.orders[OrderId(1)]
    assert (order.price_micros, order.leaves, order.place is not None) == (100 * DOLLAR, 5 * SHARE, True)
    market.place(TWO, BUY, 2, 100)
    assert (order.status.value, order.leaves, order.price_micros) == ("partially_filled", 3 * SHARE, 100 * DOLLAR)
    market.place(TWO, BUY, 3, 101)
    assert (order.status.value, order.leaves, order.price_micros, order.place) == ("filled", 0, None, None)
    assert (order.filled_quantity, order.filled_value_micros) == (5 * SHARE, 500 * DOLLAR)


def test_a_brackets_legs_are_held_until_its_entry_is_filled(market: Market) -> None:
    market.place(TWO, SELL, 5, 100)
    record = market.place(ONE, BUY, 5, 100, special=BRACKET)
    assert market.states() == {1: "filled", 2: "filled", 3: "new", 4: "new"}
    take_profit, stop_loss = market.orders[OrderId(3)], market.orders[OrderId(4)]
    assert (take_profit.parent_id, take_profit.price_micros) == (2, 110 * DOLLAR)
    assert (stop_loss.stop_price_micros, stop_loss.price_micros) == (90 * DOLLAR, None)
    market.place(TWO, BUY, 1, 110)
    assert (take_profit.leaves, stop_loss.leaves, stop_loss.reduced_quantity) == (4 * SHARE, 4 * SHARE, SHARE)
    answer = public_order(first_view(record))  # type: ignore[arg-type]
    assert [leg["status"] for leg in answer["legs"]] == ["new", "new"]
    assert {leg["order_class"] for leg in answer["legs"]} == {answer["order_class"]} == {"bracket"}
    assert [leg["client_order_id"] == leg["id"] for leg in answer["legs"]] == [True, True]
    assert answer["legs"][1]["stop_price"] == "90.00"


def test_a_held_leg_ends_with_its_entry(market: Market) -> None:
    market.place(ONE, BUY, 5, 95, special=BRACKET)
    assert market.states() == {1: "new", 2: "held", 3: "held"}
    market.apply(CancelOrder(3, ONE, OrderId(1)))
    assert market.states() == {1: "canceled", 2: "canceled", 3: "canceled"}


def test_a_replacement_points_both_ways_and_keeps_its_place(market: Market) -> None:
    market.place(ONE, SELL, 5, 100)
    market.place(TWO, SELL, 5, 100)
    place = market.orders[OrderId(1)].place
    command = ReplaceOrder(4, ONE, OrderId(1), "r", quantity=3 * SHARE)
    record = market.record(command, market.apply(command))
    old, new = market.orders[OrderId(1)], market.orders[OrderId(3)]
    assert (old.status.value, old.replaced_by, old.place) == ("replaced", 3, None)
    assert (new.status.value, new.replaces, new.place, new.quantity) == ("new", 1, place, 3 * SHARE)
    assert first_view(record) == new
    assert public_order(old)["replaced_by"] == public_order(new)["id"]
    assert public_order(old)["replaced_at"] == rfc3339(4)


def test_what_is_left_at_the_close_expires(market: Market) -> None:
    market.place(ONE, SELL, 5, 100)
    market.apply(ChangePhase(9, AAA, Phase.CLOSED))
    answer = public_order(market.orders[OrderId(1)])
    assert (answer["status"], answer["expired_at"], answer["canceled_at"]) == ("expired", rfc3339(9), None)


def test_a_trailing_stop_shows_where_it_has_moved_and_that_it_was_triggered(market: Market) -> None:
    market.place(TWO, BUY, 5, 97)
    trail = SpecialTerms(trail_ppm=15_000)
    market.place(ONE, SELL, 2, None, order_type=OrderType.TRAILING_STOP, special=trail)
    market.place(ONE, SELL, 1, 102)
    market.place(TWO, BUY, 1, 102)
    answer = public_order(market.orders[OrderId(2)])
    assert (answer["trail_percent"], answer["hwm"], answer["stop_price"]) == ("1.5", "102.00", "100.47")
    market.place(ONE, SELL, 1, 97)
    assert market.orders[OrderId(2)].status.value == "filled"


def test_an_order_for_dollars_has_no_quantity_of_its_own(market: Market) -> None:
    market.place(TWO, SELL, 5, 80)
    market.place(ONE, BUY, 0, None, special=SpecialTerms(notional_micros=10 * DOLLAR))
    answer = public_order(market.orders[OrderId(2)])
    assert (answer["notional"], answer["qty"], answer["filled_qty"]) == ("10.00", None, "0.125")
    assert (answer["filled_avg_price"], answer["status"]) == ("80.00", "filled")


def test_an_auctions_order_counts_its_fills_on_either_side(market: Market) -> None:
    market.apply(ChangePhase(2, AAA, Phase.HALTED))
    market.place(ONE, SELL, 5, 99)
    record = market.place(TWO, BUY, 5, 101)
    assert first_view(record).price_micros == 101 * DOLLAR  # type: ignore[union-attr]
    market.apply(ChangePhase(3, AAA, Phase.CONTINUOUS))
    assert market.states() == {1: "filled", 2: "filled"}


@given(st.integers(min_value=1, max_value=2**48 - 1))
def test_an_order_id_survives_its_public_form(number: int) -> None:
    assert order_id_of(order_uuid(OrderId(number))) == number


@pytest.mark.parametrize("text", ["", "42", "7ed974fe-a0cf-5cd9-af3d-47043d6a9520", "not-a-uuid"])
def test_a_foreign_id_is_no_order_id(text: str) -> None:
    assert order_id_of(text) is None


@pytest.mark.parametrize(
    ("micros", "dollars", "shares"),
    [
        (0, "0.00", "0"),
        (101_500_000, "101.50", "101.5"),
        (5, "0.000005", "0.000005"),
        (-1_000_000, "-1.00", "-1"),
        (1_230_000, "1.23", "1.23"),
        (100_000_000, "100.00", "100"),
    ],
)
def test_millionths_become_decimals(micros: int, dollars: str, shares: str) -> None:
    assert decimal_text(micros) == dollars
    assert shares_text(micros) == shares


@pytest.mark.parametrize(("ppm", "text"), [(10_000, "1"), (15_000, "1.5"), (1, "0.0001"), (999_999, "99.9999")])
def test_parts_per_million_become_percent(ppm: int, text: str) -> None:
    assert percent_text(ppm) == text


def test_times_keep_their_nanoseconds() -> None:
    assert rfc3339(1_700_000_000_000_000_007) == "2023-11-14T22:13:20.000000007Z"
