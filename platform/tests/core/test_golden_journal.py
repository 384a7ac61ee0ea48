"""A journal written once, by the first exchange that wrote this version, must mean the same for ever."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import msgspec
import pytest

from trading.core.commands import Command
from trading.core.events import Event, OrderAccepted
from trading.core.orders import OrderClass, OrderType, TimeInForce
from trading.core.replay import replay
from trading.core.state import restore, state_of
from trading.wire.journal import decode_command, decode_events, encode_command, encode_events

from .golden.make import HASH, JOURNAL

Records = list[tuple[Command, Sequence[Event]]]


@pytest.fixture(scope="module")
def golden() -> Records:
    decoder = msgspec.json.Decoder(tuple[msgspec.Raw, msgspec.Raw])
    lines = [decoder.decode(line) for line in JOURNAL.read_bytes().splitlines()]
    return [(decode_command(bytes(command)), decode_events(bytes(events))) for command, events in lines]


def test_the_golden_journal_replays_to_the_hash_it_had_when_it_was_written(golden: Records) -> None:
    exchange = replay(golden)
    assert state_of(exchange).hash() == HASH.read_text().strip()


def test_the_golden_journal_replays_from_a_snapshot_in_its_middle(golden: Records) -> None:
    half = len(golden) // 2
    exchange = restore(state_of(replay(golden[:half])))
    for command, events in golden[half:]:
        assert exchange.apply(command) == list(events)
    assert state_of(exchange).hash() == HASH.read_text().strip()


def test_the_golden_journal_is_written_again_byte_by_byte(golden: Records) -> None:
    lines = [b"[%s,%s]" % (encode_command(command), encode_events(events)) for command, events in golden]
    assert lines == JOURNAL.read_bytes().splitlines()


def test_the_golden_journal_holds_every_kind_of_command_event_and_order(golden: Records) -> None:
    events = [event for _, happened in golden for event in happened]
    accepted = [event for event in events if isinstance(event, OrderAccepted)]
    assert {type(command) for command, _ in golden} == set(get_args(Command))
    assert {type(event) for event in events} == set(get_args(Event))
    assert {order.order_type for order in accepted} == set(OrderType)
    assert {order.time_in_force for order in accepted} == set(TimeInForce)
    assert {order.special.order_class for order in accepted if order.special is not None} == set(OrderClass)
