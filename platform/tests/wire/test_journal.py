"""The journal's format: what was written is read back, what is foreign is refused."""

from __future__ import annotations

import pytest

from trading.core.commands import CancelOrder, Command, Deposit, ListInstrument, PlaceOrder
from trading.core.events import Bucket, LedgerPosted, OrderCanceled
from trading.core.orders import AccountId, CancelReason, OrderId, OrderType, Side, Symbol, TimeInForce
from trading.wire.journal import (
    JournalFormatError,
    JournalRecord,
    decode_command,
    decode_record,
    encode_command,
    encode_events,
    encode_record,
)

AAA = Symbol("AAA")
PLACE = PlaceOrder(
    5, AccountId(3), "c-1", AAA, Side.SELL, OrderType.MARKET, TimeInForce.IOC, quantity=9, limit_price_micros=None
)


@pytest.mark.parametrize(
    "command",
    [PLACE, CancelOrder(1, AccountId(2), OrderId(3)), Deposit(1, AccountId(2), "USD", 5), ListInstrument(1, AAA, 10)],
)
def test_a_command_is_read_back_as_it_was_written(command: Command) -> None:
    decoded = decode_command(encode_command(command))
    assert decoded == command
    assert type(decoded) is type(command)


def test_a_record_is_read_back_as_it_was_written() -> None:
    record = JournalRecord(
        sequence=7,
        epoch=2,
        at_ns=5,
        symbol="AAA",
        symbol_sequence=4,
        command=CancelOrder(5, AccountId(3), OrderId(1)),
        events=[
            OrderCanceled(OrderId(1), AccountId(3), AAA, Side.BUY, 10, 2, CancelReason.CLIENT),
            LedgerPosted(AccountId(3), Bucket.RESERVED, AccountId(3), Bucket.AVAILABLE, "USD", 20),
        ],
    )
    text = encode_record(record, encode_command(record.command), encode_events(record.events))
    assert decode_record(text) == record


@pytest.mark.parametrize(
    "text", ['[2,"CancelOrder",1,2,3]', '[1,"DropTables"]', '[1,"CancelOrder",1]', '[1,"CancelOrder","x",2,3]']
)
def test_a_foreign_command_is_refused(text: str) -> None:
    with pytest.raises(JournalFormatError):
        decode_command(text)
