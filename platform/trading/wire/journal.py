"""The journal's format: one record per accepted command, versioned, the same bytes in PostgreSQL and Redis.

A command or event travels as a JSON array: its class name, then its fields in order, nested ones as arrays too.
A command is wrapped with the format's version, which holds for the events it led to as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from operator import or_
from typing import Any, Final, get_args, get_type_hints

import msgspec

from trading.core.commands import Command, Payment
from trading.core.events import Event

JOURNAL_VERSION: Final = 2


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


# -- shapes ----------------------------------------------------------------------------------------
# The library reads tagged arrays in one typed pass, enums included, but only into its own structs; each kind has a
# twin for that, whose values then become the core's tuple. Twice as fast as reading plain lists and converting them.


def _twin(kind: type[tuple[Any, ...]]) -> type[msgspec.Struct]:
    """A field with a default may be missing at the end: the text was written before there was one."""
    defaults: dict[str, Any] = getattr(kind, "_field_defaults", {})
    fields = [
        (name, hint, defaults[name]) if name in defaults else (name, hint)
        for name, hint in get_type_hints(kind).items()
    ]
    return msgspec.defstruct(kind.__name__, fields, tag=True, array_like=True, frozen=True, gc=False)


_COMMANDS: Final = {_twin(kind): kind for kind in get_args(Command)}
_EVENTS: Final = {_twin(kind): kind for kind in get_args(Event)}
_TAGS: Final = {kind: (kind.__name__,) for kind in (*_COMMANDS.values(), *_EVENTS.values())}
_COMMAND_TWINS: Final[Any] = tuple[int, reduce(or_, _COMMANDS)]  # type: ignore[misc]  # a type made of a list
_EVENT_TWINS: Final[Any] = list[reduce(or_, _EVENTS)]  # type: ignore[misc]

_encode = msgspec.json.Encoder().encode
_decode_command = msgspec.json.Decoder(_COMMAND_TWINS).decode
_decode_numbered_commands = msgspec.json.Decoder(list[tuple[int, _COMMAND_TWINS]]).decode
_decode_events = msgspec.json.Decoder(_EVENT_TWINS).decode
_decode_record = msgspec.json.Decoder(tuple[int, int, int, str | None, int | None, msgspec.Raw, msgspec.Raw]).decode
_astuple = msgspec.structs.astuple
_tuple: Any = tuple.__new__


# -- reading and writing ---------------------------------------------------------------------------


def encode_command(command: Command) -> bytes:
    """A payment's reference is written only where there is one, as payments were before they could have any."""
    fields: tuple[Any, ...] = command
    if isinstance(command, Payment) and not command.reference:
        fields = command[:-1]
    return _encode((JOURNAL_VERSION, _TAGS[type(command)] + fields))


def encode_events(events: Sequence[Event]) -> bytes:
    return _encode([_TAGS[type(event)] + event for event in events])


def decode_command(text: bytes | str) -> Command:
    try:
        version, twin = _decode_command(text)
    except msgspec.DecodeError as error:
        raise _unreadable(text, error) from error
    return _command(version, twin)


def decode_numbered_commands(text: bytes) -> list[tuple[int, Command]]:
    """A list of numbers with commands, in one pass."""
    try:
        numbered = _decode_numbered_commands(text)
    except msgspec.DecodeError as error:
        raise JournalFormatError(f"commands: {error}") from error
    return [(number, _command(version, twin)) for number, (version, twin) in numbered]


def decode_events(text: bytes | str) -> list[Event]:
    try:
        twins: Iterable[msgspec.Struct] = _decode_events(text)
    except msgspec.DecodeError as error:
        raise JournalFormatError(f"events: {error}") from error
    return [_tuple(_EVENTS[type(twin)], _astuple(twin)) for twin in twins]


def encode_record(record: JournalRecord, command: bytes, events: bytes) -> bytes:
    """The record as one JSON array, around the already encoded command and events."""
    head = _encode((record.sequence, record.epoch, record.at_ns, record.symbol, record.symbol_sequence))
    return b"%b,%b,%b]" % (head[:-1], command, events)


def decode_record(text: bytes) -> JournalRecord:
    try:
        sequence, epoch, at_ns, symbol, symbol_sequence, command, events = _decode_record(text)
    except msgspec.DecodeError as error:
        raise JournalFormatError(f"record: {error}") from error
    return JournalRecord(
        sequence=sequence,
        epoch=epoch,
        at_ns=at_ns,
        symbol=symbol,
        symbol_sequence=symbol_sequence,
        command=decode_command(bytes(command)),
        events=decode_events(bytes(events)),
    )


def _command(version: int, twin: msgspec.Struct) -> Command:
    if version != JOURNAL_VERSION:
        raise JournalFormatError(_foreign(version))
    command: Command = _tuple(_COMMANDS[type(twin)], _astuple(twin))
    return command


def _unreadable(text: bytes | str, error: msgspec.DecodeError) -> JournalFormatError:
    """Says first what matters most: that the text is another version's."""
    try:
        version = msgspec.json.decode(text)[0]
    except (msgspec.DecodeError, LookupError, TypeError):
        version = JOURNAL_VERSION
    return JournalFormatError(f"command: {error}" if version == JOURNAL_VERSION else _foreign(version))


def _foreign(version: object) -> str:
    return f"journal version {version!r}, this build reads {JOURNAL_VERSION}"
