"""Snapshots in PostgreSQL: a few states of the market, each checksummed, from which recovery need not replay all."""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

import asyncpg

from trading.infra.database import within
from trading.infra.telemetry import log

KEPT: Final = 3
_WRITE_DEADLINE_S: Final = 2.0
_READ_DEADLINE_S: Final = 10.0

# A snapshot that is lost with the primary can be made again, so it need not wait for the standby.
_SAVE: Final = """
WITH quickly AS MATERIALIZED (SELECT set_config('synchronous_commit', 'local', true)),
gone AS (DELETE FROM snapshots WHERE sequence < (
    SELECT sequence FROM snapshots WHERE sequence < $1 ORDER BY sequence DESC OFFSET $6 LIMIT 1
))
INSERT INTO snapshots (sequence, version, state_hash, checksum, body) SELECT $1, $2, $3, $4, $5 FROM quickly
ON CONFLICT (sequence) DO UPDATE
SET version = excluded.version, state_hash = excluded.state_hash, checksum = excluded.checksum, body = excluded.body
"""
_SEQUENCES: Final = "SELECT sequence FROM snapshots ORDER BY sequence DESC"
_LOAD: Final = "SELECT sequence, version, state_hash, checksum, body FROM snapshots WHERE sequence = $1"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """``version`` is that of ``body``'s format; ``state_hash`` what the restored state must come to."""

    sequence: int
    version: int
    state_hash: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Packed:
    """A snapshot ready to be stored. Packing takes a while and may be done in a thread."""

    snapshot: Snapshot
    checksum: bytes
    compressed: bytes

    @classmethod
    def of(cls, snapshot: Snapshot) -> Packed:
        compressed = zlib.compress(snapshot.body, 1)
        return cls(
            snapshot, _checksum(snapshot.sequence, snapshot.version, snapshot.state_hash, compressed), compressed
        )


async def save(connection: asyncpg.Connection[Any], packed: Packed) -> None:
    """Stores it and lets go of all but the last few. Raises DatabaseError."""
    made = packed.snapshot
    row = (made.sequence, made.version, made.state_hash, packed.checksum, packed.compressed, KEPT - 2)
    await within(connection, connection.execute(_SAVE, *row), _WRITE_DEADLINE_S)


async def newest_first(connection: asyncpg.Connection[Any]) -> AsyncIterator[Snapshot]:
    """The undamaged ones; each damaged one is reported and skipped. Raises DatabaseError."""
    for (sequence,) in await within(connection, connection.fetch(_SEQUENCES), _READ_DEADLINE_S):
        row = await within(connection, connection.fetchrow(_LOAD, sequence), _READ_DEADLINE_S)
        if row is None:
            continue  # let go of meanwhile
        try:
            yield await asyncio.to_thread(_unpacked, row)
        except (zlib.error, ValueError) as error:
            skipped(sequence, str(error))


def skipped(sequence: int, reason: str) -> None:
    log("snapshot_skipped", level=logging.ERROR, sequence=sequence, reason=reason)


def _unpacked(row: asyncpg.Record) -> Snapshot:
    """Raises ValueError or zlib.error for a damaged one."""
    if row["checksum"] != _checksum(row["sequence"], row["version"], row["state_hash"], row["body"]):
        raise ValueError("the checksum is wrong")
    return Snapshot(row["sequence"], row["version"], row["state_hash"], zlib.decompress(row["body"]))


def _checksum(sequence: int, version: int, state_hash: str, compressed: bytes) -> bytes:
    checksum = blake2b(f"{sequence} {version} {state_hash} ".encode(), digest_size=32)
    checksum.update(compressed)
    return checksum.digest()
