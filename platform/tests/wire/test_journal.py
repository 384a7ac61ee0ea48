"""The journal's format: what was written is read back, what is foreign is refused."""

from __future__ import annotations

from enum import StrEnum
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.core.commands import CancelOrder, Command, PlaceOrder
from trading.core.events import Bucket, Event, LedgerPosted, OrderCanceled
from trading.core.orders import AccountId, CancelReason, OrderId, OrderType, Side, Symbol, TimeInForce
from trading.wire.journal import (
    JournalFormatError,
    JournalRecord,
    decode_command,
    decode_events,
    decode_numbered_commands,
    decode_record,
    encode_command,
    encode_events,
    encode_record,
)

AAA = Symbol("AAA")
PLACE = PlaceOrder(
    5, AccountId(3), "c-1", AAA, Side.SELL, OrderType.MARKET, TimeInForce.IOC, quantity=9, limit_price_micros=None
)


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of a field's type; ids are what they are made of."""
    if get_origin(kind) in (Union, UnionType):
        return st.one_of(*(values(part) for part in get_args(kind)))
    kind = getattr(kind, "__supertype__", kind)
    if kind is int:
        return st.integers(min_value=-(2**63), max_value=2**63 - 1)
    if kind in (str, bool, type(None)):
        return st.from_type(kind)
    if issubclass(kind, StrEnum):
        return st.sampled_from(kind)
    return filled(kind)


def filled(kind: Any) -> st.SearchStrategy[Any]:
    fields = [values(hint) for hint in get_type_hints(kind).values()]
    return st.tuples(*fields).map(lambda read: kind(*read))


def same(read: Any, written: Any) -> bool:
    """Equal, of the same types throughout, and with the very members of its enums."""
    if isinstance(written, StrEnum):
        return read is written
    if type(read) is not type(written) or read != written:
        return False
    return not isinstance(written, tuple) or all(map(same, read, written))


@pytest.mark.parametrize("kind", get_args(Command))
@settings(max_examples=30, deadline=None)  # a busy machine is no defect
@given(st.data())
def test_a_command_is_read_back_as_it_was_written(kind: type, data: st.DataObject) -> None:
    command = data.draw(filled(kind))
    assert same(decode_command(encode_command(command)), command)


@pytest.mark.parametrize("kind", get_args(Event))
@settings(max_examples=30, deadline=None)  # a busy machine is no defect
@given(st.data())
def test_an_event_is_read_back_as_it_was_written(kind: type, data: st.DataObject) -> None:
    event = data.draw(filled(kind))
    (read,) = decode_events(encode_events([event]))
    assert same(read, event)


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


FOREIGN = {
    "unknown kind": '[2,["DropTables"]]',
    "field missing": '[2,["CancelOrder",1]]',
    "wrong type": '[2,["CancelOrder","x",2,3]]',
    "no list": "2",
    "no JSON": "[2,",
    "unknown value": '[2,["PlaceOrder",1,2,"c","AAA","hold","limit","day",1,1,null]]',
}


@pytest.mark.parametrize("case", FOREIGN)
def test_a_foreign_command_is_refused(case: str) -> None:
    with pytest.raises(JournalFormatError):
        decode_command(FOREIGN[case])


@pytest.mark.parametrize("text", ['[["Melted",1]]', '[["OrderActivated"]]', '[["OrderActivated","1"]]', "{", "{}"])
def test_a_foreign_event_is_refused(text: str) -> None:
    with pytest.raises(JournalFormatError):
        decode_events(text)


def test_another_versions_record_is_refused_by_its_number() -> None:
    with pytest.raises(JournalFormatError, match="journal version 1, this build reads 2"):
        decode_command('[1,"CancelOrder",1,2,3]')
    with pytest.raises(JournalFormatError, match="journal version 3, this build reads 2"):
        decode_command('[3,["CancelOrder",1,2,3]]')


def test_numbered_commands_are_read_in_one_list() -> None:
    cancel = CancelOrder(0, AccountId(1), OrderId(2))
    assert decode_numbered_commands(b"[[7,%b],[8,%b]]" % (encode_command(cancel), encode_command(cancel))) == [
        (7, cancel),
        (8, cancel),
    ]
    with pytest.raises(JournalFormatError, match="commands"):
        decode_numbered_commands(b"[[7,[2,[]]]]")
    with pytest.raises(JournalFormatError, match="journal version 3, this build reads 2"):
        decode_numbered_commands(b'[[7,[3,["CancelOrder",1,2,3]]]]')
