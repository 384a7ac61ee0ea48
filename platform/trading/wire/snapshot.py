"""The format of snapshots: the core's whole state as one versioned MessagePack document."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import msgspec

from trading.core.state import STATE_VERSION, State


class SnapshotFormatError(Exception):
    """A snapshot is damaged, or not of the version this build can restore."""


def encode_snapshot(state: State) -> bytes:
    return _encode((STATE_VERSION, state))


def decode_snapshot(snapshot: bytes) -> State:
    """Raises SnapshotFormatError. What it cannot see is damage that leaves a well-formed state: keep a checksum."""
    try:
        version, state = _decode(snapshot)
        if version != STATE_VERSION:
            raise SnapshotFormatError(f"snapshot of version {version}, this build restores {STATE_VERSION}")
        with _no_garbage_collection():
            return _decode_state(state)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SnapshotFormatError(str(error)) from error


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Searching so many new tuples for cycles, again and again, takes ten times as long as making them."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(tuple[int, msgspec.Raw]).decode
_decode_state: Final = msgspec.msgpack.Decoder(State).decode
