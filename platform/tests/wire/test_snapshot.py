"""A snapshot gives the exchange back, or says why not."""

from __future__ import annotations

import gc

import msgspec
import pytest

from trading.core.commands import ChangePhase, Command, Deposit, ListInstrument, OpenAccount, PlaceOrder, ReplaceOrder
from trading.core.exchange import Exchange
from trading.core.orders import (
    BUY,
    SELL,
    AccountId,
    AccountTerms,
    Instrument,
    OrderClass,
    OrderId,
    OrderType,
    Phase,
    SpecialTerms,
    Symbol,
    TimeInForce,
)
from trading.core.state import State, restore, state_of
from trading.wire.orders import OrderView, fold
from trading.wire.snapshot import SNAPSHOT_VERSION, SnapshotFormatError, decode_snapshot, encode_snapshot

AAA, ONE, TWO = Symbol("AAA"), AccountId(1), AccountId(2)
SHARE, DOLLAR = 10**6, 10**6
BRACKET = SpecialTerms(order_class=OrderClass.BRACKET, take_profit_micros=110 * DOLLAR, stop_loss_micros=90 * DOLLAR)
TRAILING = SpecialTerms(trail_ppm=10_000)
HISTORY: list[Command] = [
    ListInstrument(1, Instrument(AAA, 10_000, 100, SHARE, 100 * DOLLAR, 200_000, 0, 0, shortable=True)),
    OpenAccount(2, ONE),
    OpenAccount(2, TWO, AccountTerms(multiplier=2)),
    Deposit(3, ONE, "USD", 10_000 * DOLLAR),
    Deposit(3, ONE, AAA, 50 * SHARE),
    Deposit(3, TWO, "USD", 10_000 * DOLLAR),
    ChangePhase(4, AAA, Phase.CONTINUOUS),
    PlaceOrder(5, TWO, "s", AAA, SELL, OrderType.LIMIT, TimeInForce.GTC, 9 * SHARE, 101 * DOLLAR),
    PlaceOrder(6, ONE, "b", AAA, BUY, OrderType.LIMIT, TimeInForce.DAY, 5 * SHARE, 101 * DOLLAR, BRACKET),
    PlaceOrder(7, ONE, "t", AAA, SELL, OrderType.TRAILING_STOP, TimeInForce.DAY, 2 * SHARE, None, TRAILING),
    ReplaceOrder(8, TWO, OrderId(1), "r", quantity=8 * SHARE),
]


def state() -> State:
    exchange = Exchange()
    for command in HISTORY:
        assert isinstance(exchange.apply(command), list), command
    return state_of(exchange)


def test_a_restored_exchange_goes_on_as_the_one_whose_snapshot_it_is() -> None:
    before = state()
    assert len(before.open_orders) >= 4
    read, _ = decode_snapshot(encode_snapshot(before))
    assert read == before
    original, restored = restore(before), restore(read)
    order = PlaceOrder(9, ONE, "z", AAA, SELL, OrderType.MARKET, TimeInForce.IOC, 3 * SHARE, None)
    bid = PlaceOrder(9, TWO, "y", AAA, BUY, OrderType.LIMIT, TimeInForce.IOC, 3 * SHARE, 120 * DOLLAR)
    for command in (bid, order):
        assert restored.apply(command) == original.apply(command)
    assert state_of(restored).hash() == state_of(original).hash()


def test_the_open_orders_come_back_as_clients_see_them() -> None:
    exchange, orders = Exchange(), dict[OrderId, OrderView]()
    for command in HISTORY:
        events = exchange.apply(command)
        assert isinstance(events, list)
        fold(orders, events, sequence=exchange.sequence, at_ns=command.at_ns)
    assert orders[OrderId(2)].special == BRACKET
    _, read = decode_snapshot(encode_snapshot(state_of(exchange), orders.values()))
    assert read == list(orders.values())


@pytest.mark.parametrize("end", [0, 1, 2, 50, -1])
def test_a_snapshot_that_was_cut_off_is_refused(end: int) -> None:
    with pytest.raises(SnapshotFormatError):
        decode_snapshot(encode_snapshot(state())[:end])


def test_another_versions_snapshot_is_refused_by_its_number() -> None:
    other = msgspec.msgpack.encode((SNAPSHOT_VERSION + 1, {"what": "ever"}))
    with pytest.raises(
        SnapshotFormatError, match=f"version {SNAPSHOT_VERSION + 1}, this build restores {SNAPSHOT_VERSION}"
    ):
        decode_snapshot(other)


def test_reading_a_snapshot_leaves_the_collector_as_it_was() -> None:
    decode_snapshot(encode_snapshot(state()))
    assert gc.isenabled()
