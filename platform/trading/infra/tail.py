"""The journal as a standby reads it: each record with the leader's state hash, where there is one."""

from __future__ import annotations

from typing import Any, Final

import asyncpg

from trading.infra.database import within
from trading.infra.journal import PAGE, ordered, record_of
from trading.wire.journal import JournalRecord

_DEADLINE_S: Final = 5.0
_TAIL: Final = """
SELECT j.sequence, j.epoch, j.at_ns, j.symbol, j.symbol_sequence, j.command, j.events, h.hash
FROM journal j LEFT JOIN state_hashes h ON h.sequence = j.sequence
WHERE j.sequence > $1 ORDER BY j.sequence LIMIT $2
"""
_HOLDS: Final = "SELECT EXISTS (SELECT 1 FROM journal WHERE sequence = $1 AND at_ns = $2)"


async def read_tail(connection: asyncpg.Connection[Any], after: int) -> list[tuple[JournalRecord, str | None]]:
    """One page of what follows ``after``, without a gap, with state hashes. Raises DatabaseError."""
    rows = await within(connection, connection.fetch(_TAIL, after, PAGE), _DEADLINE_S)
    records = ordered((record_of(row) for row in rows), after)
    return [(record, row["hash"]) for record, row in zip(records, rows, strict=True)]


async def holds(connection: asyncpg.Connection[Any], sequence: int, at_ns: int) -> bool:
    """Whether the journal's record ``sequence`` is the one of that time. Raises DatabaseError."""
    held: bool = await within(connection, connection.fetchval(_HOLDS, sequence, at_ns), _DEADLINE_S)
    return held
