"""The journal's format: one record per accepted command, versioned, the same bytes in PostgreSQL and Redis.

A command or event travels as a JSON array: its class name, then its fields in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, cast, get_args

import msgspec

from trading.core.commands import Command
from trading.core.events import Event

JOURNAL_VERSION: Final = 1

_COMMANDS: Final = {kind.__name__: kind for kind in get_args(Command)}
_EVENTS: Final = {kind.__name__: kind for kind in get_args(Event)}


class JournalRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One accepted command with everything that followed from it.

    ``sequence`` counts all records without a gap; ``symbol_sequence`` counts those of one symbol's
    market, also without a gap (None for commands that concern no market).
    """

    sequence: int
    epoch: int
    at_ns: int
    symbol: str | None
    symbol_sequence: int | None
    command: Command
    events: list[Event]


class JournalFormatError(Exception):
    """A journaled text is not of a version or shape this build can read."""


def encode_command(command: Command) -> bytes:
    return _encode([JOURNAL_VERSION, type(command).__name__, *command])


def encode_events(events: Sequence[Event]) -> bytes:
    return _encode([[type(event).__name__, *event] for event in events])


def decode_command(text: bytes | str) -> Command:
    return decode_command_parts(_decode(text))


def decode_events(text: bytes | str) -> list[Event]:
    return _events(_decode(text))


def decode_command_parts(parts: list[Any]) -> Command:
    version, name, *fields = parts
    if version != JOURNAL_VERSION:
        raise JournalFormatError(f"journal version {version}, this build reads {JOURNAL_VERSION}")
    return cast(Command, _build(_COMMANDS, name, fields))


def _events(parts: list[list[Any]]) -> list[Event]:
    return [cast(Event, _build(_EVENTS, name, fields)) for name, *fields in parts]


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[Any]).decode


def _build(kinds: dict[str, Any], name: str, fields: list[Any]) -> tuple[Any, ...]:
    kind = kinds.get(name)
    if kind is None:
        raise JournalFormatError(f"unknown kind {name!r}")
    try:
        return cast(tuple[Any, ...], msgspec.convert(fields, kind))
    except msgspec.ValidationError as error:
        raise JournalFormatError(f"{name}: {error}") from error


def encode_record(record: JournalRecord, command: bytes, events: bytes) -> bytes:
    """The record as one JSON array, around the already encoded command and events."""
    head = _encode([record.sequence, record.epoch, record.at_ns, record.symbol, record.symbol_sequence])
    return b"%b,%b,%b]" % (head[:-1], command, events)


def decode_record(text: bytes) -> JournalRecord:
    sequence, epoch, at_ns, symbol, symbol_sequence, command, events = _decode(text)
    return JournalRecord(
        sequence=sequence,
        epoch=epoch,
        at_ns=at_ns,
        symbol=symbol,
        symbol_sequence=symbol_sequence,
        command=decode_command_parts(command),
        events=_events(events),
    )
