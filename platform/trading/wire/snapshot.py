"""The format of snapshots: the core's whole state, and the open orders as clients see them, as versioned MessagePack.

The core keeps less of an order than clients are shown (its value so far, its times), so both belong to an engine.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from trading.core.state import OpenOrderState, State
from trading.wire.garbage import no_garbage_collection
from trading.wire.orders import OrderView

SNAPSHOT_VERSION: Final = 1  # of the shape of State and OrderView


class SnapshotFormatError(Exception):
    """A snapshot is damaged, or not of the version this build can restore."""


def encode_snapshot(state: State, orders: Iterable[OrderView] = ()) -> bytes:
    return _encode((SNAPSHOT_VERSION, (state, tuple(orders))))


def decode_snapshot(snapshot: bytes) -> tuple[State, list[OrderView]]:
    """Raises SnapshotFormatError. What it cannot see is damage that leaves a well-formed state: keep a checksum."""
    try:
        version, body = _decode(snapshot)
        if version != SNAPSHOT_VERSION:
            raise SnapshotFormatError(f"snapshot of version {version}, this build restores {SNAPSHOT_VERSION}")
        with no_garbage_collection():
            return _decode_body(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SnapshotFormatError(str(error)) from error


def decode_open_orders(snapshot: bytes) -> list[OpenOrderState]:
    """Only that part of the state, at a fraction of the cost. Raises SnapshotFormatError."""
    try:
        version, body = _decode(snapshot)
        if version != SNAPSHOT_VERSION:
            raise SnapshotFormatError(f"snapshot of version {version}, this build restores {SNAPSHOT_VERSION}")
        with no_garbage_collection():
            return _decode_part(body)[0].open_orders
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SnapshotFormatError(str(error)) from error


class _PartOfState(msgspec.Struct, gc=False):
    open_orders: list[OpenOrderState]


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(tuple[int, msgspec.Raw]).decode
_decode_body: Final = msgspec.msgpack.Decoder(tuple[State, list[OrderView]]).decode
_decode_part: Final = msgspec.msgpack.Decoder(tuple[_PartOfState, msgspec.Raw]).decode
