"""The journal as a standby reads it: each record as it was written, with the leader's state hash where there is one."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import asyncpg

from trading.infra.database import DatabaseError, within

PAGE: Final = 2_000
_DEADLINE_S: Final = 5.0
_TAIL: Final = """
SELECT j.sequence, j.command, j.events, h.hash
FROM journal j LEFT JOIN state_hashes h ON h.sequence = j.sequence
WHERE j.sequence > $1 ORDER BY j.sequence LIMIT $2
"""
_NEWEST_HASH: Final = "SELECT coalesce(max(sequence), 0) FROM state_hashes"
_HOLDS: Final = "SELECT EXISTS (SELECT 1 FROM journal WHERE sequence = $1 AND at_ns = $2)"


class Written(NamedTuple):
    """A record's texts, not decoded: a replica need only see that its own events are written alike."""

    sequence: int
    command: str
    events: str
    state_hash: str | None


async def read_tail(connection: asyncpg.Connection[Any], after: int) -> list[Written]:
    """One page of what follows ``after``, without a gap; a short one is the last. Raises DatabaseError."""
    page = [Written(*row) for row in await within(connection, connection.fetch(_TAIL, after, PAGE), _DEADLINE_S)]
    # Sorted and unique: without a gap exactly if the last one is as far from the first as it should be.
    if page and (page[0].sequence, page[-1].sequence) != (after + 1, after + len(page)):
        raise DatabaseError(f"the journal has a gap in the {len(page)} records that follow {after}")
    return page


async def newest_hash(connection: asyncpg.Connection[Any]) -> int:
    """The last record with a leader's state hash, 0 when there is none. Raises DatabaseError."""
    sequence: int = await within(connection, connection.fetchval(_NEWEST_HASH), _DEADLINE_S)
    return sequence


async def holds(connection: asyncpg.Connection[Any], sequence: int, at_ns: int) -> bool:
    """Whether the journal's record ``sequence`` is the one of that time. Raises DatabaseError."""
    held: bool = await within(connection, connection.fetchval(_HOLDS, sequence, at_ns), _DEADLINE_S)
    return held
