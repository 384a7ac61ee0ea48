"""Reads that tolerate age: from the read replica while it keeps up, else from the primary, and each says which."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, Final, TypeVar

from trading.infra.database import DatabaseError, Pool
from trading.infra.telemetry import log

T = TypeVar("T")

# Where the newest read of this request came from, as the answer's header says it; None when there is no replica.
read_from: Final[ContextVar[str | None]] = ContextVar("read_from", default=None)

_LOOK_EVERY_S: Final = 0.25
_LOOK_DEADLINE_S: Final = 0.2

# All that was received may be applied already and yet be old: when nothing is received any more.
_LAG: Final = """
SELECT CASE WHEN NOT EXISTS (SELECT FROM pg_stat_wal_receiver) THEN NULL
    WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
    ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) END AS lag_s
"""


class AgedReads:
    """Never for what decides about money, or whether an order exists. Without a ``replica`` all is read as ever."""

    def __init__(self, primary: Pool, replica: Pool | None, *, most_lag_s: float) -> None:
        self._primary = primary
        self._replica = replica
        self._most_lag_s = most_lag_s
        self._lag_s: float | None = None  # None: it cannot be read, or receives nothing
        self._looked_at_s = float("-inf")
        self._looking = asyncio.Lock()

    async def run(self, work: Callable[[Pool], Awaitable[T]]) -> T:
        """What ``work`` made of one server's rows; all of it is repeated on the primary when the replica fails it.

        Raises what ``work`` raises on the primary.
        """
        if self._replica is None:
            return await work(self._primary)
        lag_s = await self.lag_s()
        if lag_s is not None and lag_s <= self._most_lag_s:
            try:
                found = await work(self._replica)
            except DatabaseError as error:  # also when the replica had to remove rows that a query still wanted
                log("replica_not_read", level=logging.WARNING, reason=str(error))
            else:
                read_from.set(f"replica; lag_ms={lag_s * 1000:.0f}")
                return found
        read_from.set("primary")
        return await work(self._primary)

    async def lag_s(self) -> float | None:
        """How far the replica is behind, as seen in the last quarter of a second; None when nobody knows."""
        async with self._looking:
            if self._replica is not None and time.monotonic() - self._looked_at_s > _LOOK_EVERY_S:
                self._lag_s = await _lag_of(self._replica)
                self._looked_at_s = time.monotonic()
        return self._lag_s

    async def close(self) -> None:
        """Of the replica's connections only; the primary's belong to others too."""
        if self._replica is not None:
            await self._replica.close()


async def _lag_of(replica: Pool) -> float | None:
    try:
        (row,) = await replica.fetch(_LAG, deadline_s=_LOOK_DEADLINE_S)
    except DatabaseError:
        return None
    lag_s: Any = row["lag_s"]
    return None if lag_s is None else max(0.0, float(lag_s))
