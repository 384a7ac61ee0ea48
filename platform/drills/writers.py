"""Clients of the bare cluster: they write rows, retry by writing again, and remember what was acknowledged when."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterable, Mapping
from itertools import pairwise
from types import TracebackType
from typing import Any, Final

import asyncpg

from stack.postgres.sessions import NOT_ANSWERING, within

TABLE: Final = "CREATE TABLE IF NOT EXISTS drill (key text PRIMARY KEY, primary_epoch bigint NOT NULL)"
WRITE: Final = """
INSERT INTO drill SELECT $1, epoch FROM cluster_epoch
ON CONFLICT (key) DO UPDATE SET primary_epoch = excluded.primary_epoch
"""
# A new primary's first transaction writes its epoch: whatever is newer was written knowing it.
_OUTDATED: Final = """
SELECT count(*) FROM drill, cluster_epoch AS cluster
WHERE primary_epoch < cluster.epoch AND drill.xmin::text::bigint >= cluster.xmin::text::bigint
"""
_DEADLINE_S: Final = 0.5
_PATIENCE_S: Final = 2.0  # of whoever waits for an order, retries included
_CONNECT_S: Final = 1.0
_RETRY_S: Final = 0.01
_BETWEEN_S: Final = 0.002


class Writers:
    """``async with Writers(dsn) as writers``; ``dsn`` names both servers of the pair.

    What a retry does is the point: a statement that writes waits for the second copy, one that only reads does not.
    """

    def __init__(self, dsn: str, count: int = 4, *, settings: Mapping[str, str] | None = None) -> None:
        self.acknowledged: dict[str, float] = {}
        self.unknown = 0
        self.late = 0  # took longer than clients wait, with all retries
        self._dsn = dsn
        self._settings = dict(settings or {})
        self._count = count
        self._tasks: list[asyncio.Task[None]] = []
        self._stopped = False

    async def __aenter__(self) -> Writers:
        self._tasks = [asyncio.get_running_loop().create_task(self._write(number)) for number in range(self._count)]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Each finishes what it has begun, so nothing is left unknown."""
        self._stopped = True
        await asyncio.gather(*self._tasks)

    def longest_gap_s(self, since_s: float, until_s: float | None = None) -> float:
        """The longest time without an acknowledgement to anybody, from ``since_s`` (time.monotonic) on."""
        until_s = until_s or time.monotonic()
        times = sorted(at for at in self.acknowledged.values() if since_s <= at <= until_s)
        moments = [since_s, *times, until_s]
        return max(after - before for before, after in pairwise(moments))

    def acknowledged_in(self, seconds: float, until_s: float | None = None) -> int:
        """How many acknowledgements came in the last ``seconds`` before ``until_s`` (time.monotonic), or the last."""
        until_s = until_s or max(self.acknowledged.values())
        return sum(until_s - seconds <= at <= until_s for at in self.acknowledged.values())

    async def flowing(self, within_s: float = 30.0) -> None:
        """Returns when something is acknowledged that was written from now on."""
        async with asyncio.timeout(within_s):
            seen = len(self.acknowledged)
            while len(self.acknowledged) <= seen + self._count:
                await asyncio.sleep(_RETRY_S)

    async def write(self, connection: asyncpg.Connection[Any], key: str) -> None:
        """Once; raises one of NOT_ANSWERING when the outcome is unknown."""
        await within(connection, connection.execute(WRITE, key), _DEADLINE_S)

    async def _write(self, number: int) -> None:
        connection: asyncpg.Connection[Any] | None = None
        counter = 0
        while not self._stopped:
            counter += 1
            key = f"{id(self)}-{number}-{counter}"
            began_s = time.monotonic()
            while True:
                try:
                    connection = connection or await self._connect()
                    await self.write(connection, key)
                    break
                except NOT_ANSWERING:
                    self.unknown += 1
                    if connection:
                        connection.terminate()
                        connection = None
                    await asyncio.sleep(_RETRY_S)
            self.acknowledged[key] = time.monotonic()
            self.late += self.acknowledged[key] - began_s > _PATIENCE_S
            await asyncio.sleep(_BETWEEN_S)
        if connection:
            connection.terminate()

    async def _connect(self) -> asyncpg.Connection[Any]:
        settings = {"application_name": "writer", **self._settings}
        return await asyncpg.connect(
            self._dsn,
            target_session_attrs="read-write",
            timeout=_CONNECT_S,
            command_timeout=None,
            server_settings=settings,
        )


async def lost(dsn: str, keys: Collection[str]) -> int:
    """How many of the acknowledged rows the primary does not have."""
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        query = "SELECT count(*) FROM unnest($1::text[]) AS k WHERE NOT EXISTS (SELECT FROM drill WHERE key = k)"
        return int(await connection.fetchval(query, list(keys)))
    finally:
        connection.terminate()


async def outdated(dsn: str) -> int:
    """How many rows a new primary took before it had written its epoch."""
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        return int(await connection.fetchval(_OUTDATED))
    finally:
        connection.terminate()


async def leaders(dsns: Iterable[str]) -> list[int]:
    """The epochs of the servers, out of these, that are no followers; one that is down is neither."""
    epochs = []
    for dsn in dsns:
        try:
            connection = await asyncpg.connect(dsn, timeout=_CONNECT_S)
        except NOT_ANSWERING:
            continue
        try:
            if not await connection.fetchval("SELECT pg_is_in_recovery()"):
                epochs.append(int(await connection.fetchval("SELECT epoch FROM cluster_epoch")))
        finally:
            connection.terminate()
    return epochs


async def timeline(dsn: str) -> int | None:
    """Which one a follower receives; None while it receives nothing."""
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        found: int | None = await connection.fetchval("SELECT received_tli FROM pg_stat_wal_receiver")
        return found
    finally:
        connection.terminate()


async def prepare(dsn: str) -> None:
    """The table the writers write to."""
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        await connection.execute(TABLE)
    finally:
        connection.terminate()
