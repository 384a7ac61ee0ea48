"""Where a feed gets the journal from: a consistent start from the database, then Redis, healed from the journal."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from typing import Any, Final

import asyncpg

from trading.core.orders import OPEN_STATUSES
from trading.feed.market_view import MarketView
from trading.infra import redis
from trading.infra.database import DatabaseError, connect, within
from trading.infra.journal import order_of, ordered, read_records
from trading.infra.telemetry import log
from trading.wire.journal import JournalRecord, decode_record

_LOAD_DEADLINE_S: Final = 10.0
_WAIT_MS: Final = 500
_RETRY_S: Final = 0.1
_END: Final = 2**62
_SILENT_READS: Final = 3  # so many waits without news, and the journal is asked

_SEQUENCES: Final = """
SELECT i.symbol, coalesce((SELECT max(symbol_sequence) FROM journal j WHERE j.symbol = i.symbol), 0) AS sequence
FROM instruments i
"""


class JournalSource:
    def __init__(self, dsn: str, redis_url: str, node: str) -> None:
        self._dsn = dsn
        self._node = node
        self.heard_at_s = time.monotonic()
        self._away = False
        self._silent_reads = 0
        # Longer than the server-side wait, short enough to notice a frozen server.
        self._client = redis.connect(redis_url, deadline_s=_WAIT_MS / 1000 * 2)

    async def load(self) -> MarketView:
        """The market as of one journal record. Raises DatabaseError."""
        connection = await connect(self._dsn, self._node)
        try:
            return await within(connection, _load(connection), _LOAD_DEADLINE_S)
        finally:
            connection.terminate()

    async def records_after(self, sequence: int) -> AsyncIterator[JournalRecord]:
        """Every record after ``sequence``, each once and in order, for ever; whatever Redis lacks the journal has."""
        while True:
            entries = await self._from_redis(sequence)
            if entries is None:
                async for record in self._healed(sequence, _END):
                    yield record
                    sequence = record.sequence
            for number, payload in entries or ():
                if number <= sequence:
                    continue
                async for record in self._healed(sequence, number - 1):
                    yield record
                    sequence = record.sequence
                if number == sequence + 1:
                    yield decode_record(payload)
                    sequence = number

    async def _from_redis(self, sequence: int) -> list[tuple[int, bytes]] | None:
        """What the stream holds next; None when it cannot be read, or is silent so long that it may be cut off."""
        try:
            entries = await redis.read_after(self._client, sequence, wait_ms=_WAIT_MS)
        except (redis.StreamError, OSError) as error:
            if not self._away:
                log("reading_without_redis", level=logging.WARNING, reason=str(error))
            self._away = True
            await asyncio.sleep(_RETRY_S)
            return None
        self._away, self.heard_at_s = False, time.monotonic()
        self._silent_reads = 0 if entries else self._silent_reads + 1
        if self._silent_reads < _SILENT_READS:
            return entries
        self._silent_reads = 0
        return None

    async def _healed(self, sequence: int, until: int) -> AsyncIterator[JournalRecord]:
        """The journal's records after ``sequence``: all up to ``until``, or one page when that is the end."""
        while sequence < until:
            for record in await self._from_journal(sequence, until):
                yield record
                sequence = record.sequence
            if until == _END:
                return

    async def _from_journal(self, sequence: int, until: int) -> list[JournalRecord]:
        """The next page, empty when there is none or the database does not answer now."""
        try:
            connection = await connect(self._dsn, self._node)
            try:
                records = ordered(await read_records(connection, sequence, until=until), sequence)
                self.heard_at_s = time.monotonic()
                return records
            finally:
                connection.terminate()
        except DatabaseError as error:
            log("journal_unreadable", level=logging.WARNING, reason=str(error))
            await asyncio.sleep(_RETRY_S)
            return []


async def _load(connection: asyncpg.Connection[Any]) -> MarketView:
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        last = await connection.fetchrow("SELECT sequence, epoch FROM journal ORDER BY sequence DESC LIMIT 1")
        sequences = await connection.fetch(_SEQUENCES)
        orders = await connection.fetch("SELECT * FROM orders WHERE status = ANY($1)", list(OPEN_STATUSES))
        positions = await connection.fetch("SELECT account_id, asset, available + reserved AS total FROM balances")
    return MarketView(
        sequence=last["sequence"] if last else 0,
        epoch=last["epoch"] if last else 0,
        symbol_sequences={row["symbol"]: row["sequence"] for row in sequences},
        open_orders=[order_of(row) for row in orders],
        positions={(row["account_id"], row["asset"]): row["total"] for row in positions},
    )
