"""Where a feed gets the journal from: a consistent start from the database, then Redis, healed from the journal."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from typing import Any, Final

import asyncpg
from redis.asyncio import Redis

from trading.core.orders import OPEN_STATUSES
from trading.feed.bars import Bars, day_start_ns
from trading.feed.books import Window
from trading.feed.market_view import LastRecord, MarketView
from trading.infra import redis
from trading.infra.database import DatabaseError, connect, within
from trading.infra.journal import order_of, ordered, read_records
from trading.infra.market_data import bar_of_row
from trading.infra.telemetry import log
from trading.wire.journal import JournalRecord, decode_record
from trading.wire.market_data import MINUTE_NS, Bar

_LOAD_DEADLINE_S: Final = 10.0
WAIT_S: Final = 0.25  # so long Redis says nothing when there is nothing new
_RETRY_S: Final = 0.1
_END: Final = 2**62
_SILENT_READS: Final = 3  # so many waits without news, and the journal is asked

_LAST_RECORDS: Final = """
SELECT i.symbol, j.symbol_sequence, j.epoch, j.at_ns FROM instruments i CROSS JOIN LATERAL (
    SELECT symbol_sequence, epoch, at_ns FROM journal WHERE symbol = i.symbol ORDER BY symbol_sequence DESC LIMIT 1
) AS j
"""
_MINUTES: Final = """
SELECT b.* FROM instruments i JOIN minute_bars b ON b.symbol = i.symbol AND b.start_ns >= $1 ORDER BY b.start_ns
"""
_TRADES_SINCE: Final = """
SELECT trade_id, symbol, price_micros, quantity, at_ns FROM fills
WHERE trade_id > coalesce((SELECT last_trade_id FROM market_data_progress), 0) AND side = 'buy' AND at_ns >= $1
ORDER BY trade_id
"""


class JournalSource:
    def __init__(self, dsn: str, client: Redis, node: str, window: Window | None = None) -> None:
        """``client`` waits longer than WAIT_S for an answer: a frozen server never closes its connections."""
        self._dsn = dsn
        self._node = node
        self._window = window or Window()
        self._epoch = 0
        self.heard_at_s = time.monotonic()
        self.in_step_at_ns = 0  # by the clock: when Redis was last seen to hold nothing more
        self._away = False
        self._silent_reads = 0
        self._client = client

    async def load(self) -> MarketView:
        """The market as of one journal record. Raises DatabaseError."""
        connection = await connect(self._dsn, self._node)
        try:
            view = await within(connection, _load(connection, self._window), _LOAD_DEADLINE_S)
        finally:
            connection.terminate()
        self._epoch = view.epoch
        return view

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
                    record = decode_record(payload)
                    if record.epoch < self._epoch:
                        # Nobody who was deposed may speak any more: what stands here is in the journal.
                        log("older_epoch_dropped", level=logging.WARNING, sequence=number, epoch=record.epoch)
                        await asyncio.sleep(_RETRY_S)
                        async for record in self._healed(sequence, _END):
                            yield record
                            sequence = record.sequence
                        break
                    self._epoch = record.epoch
                    yield record
                    sequence = number

    async def _from_redis(self, sequence: int) -> list[tuple[int, bytes]] | None:
        """What the stream holds next; None when it cannot be read, or is silent so long that it may be cut off."""
        try:
            entries = await redis.read_after(self._client, sequence, wait_ms=round(WAIT_S * 1000))
        except (redis.StreamError, OSError) as error:
            if not self._away:
                log("reading_without_redis", level=logging.WARNING, reason=str(error))
            self._away = True
            await asyncio.sleep(_RETRY_S)
            return None
        self.heard_at_s = time.monotonic()
        if self._away:  # another server, perhaps, that lacks the newest: the journal tells
            self._away = False
            return None
        if not entries:
            self.in_step_at_ns = time.time_ns()
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


async def _load(connection: asyncpg.Connection[Any], window: Window) -> MarketView:
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        last = await connection.fetchrow("SELECT sequence, epoch, at_ns FROM journal ORDER BY sequence DESC LIMIT 1")
        last_records = await connection.fetch(_LAST_RECORDS)
        orders = await connection.fetch("SELECT * FROM orders WHERE status = ANY($1)", list(OPEN_STATUSES))
        positions = await connection.fetch("SELECT account_id, asset, available + reserved AS total FROM balances")
        bars = await _load_bars(connection, day_start_ns(last["at_ns"])) if last else []
    return MarketView(
        sequence=last["sequence"] if last else 0,
        epoch=last["epoch"] if last else 0,
        last_records={symbol: LastRecord(*numbers) for symbol, *numbers in last_records},
        open_orders=[order_of(row) for row in orders],
        positions={(row["account_id"], row["asset"]): row["total"] for row in positions},
        bars=Bars.loaded(bars),
        window=window,
    )


async def _load_bars(connection: asyncpg.Connection[Any], since_ns: int) -> list[Bar]:
    """The day's minutes as far as they are recorded, and what was traded since, each trade as a bar of its own."""
    recorded = [bar_of_row(row) for row in await connection.fetch(_MINUTES, since_ns)]
    return recorded + [_bar_of_fill(*row) for row in await connection.fetch(_TRADES_SINCE, since_ns)]


def _bar_of_fill(trade_id: int, symbol: str, price_micros: int, quantity: int, at_ns: int) -> Bar:
    prices = (price_micros, price_micros, price_micros, price_micros)
    start_ns = at_ns - at_ns % MINUTE_NS
    return Bar(symbol, start_ns, *prices, quantity, 1, price_micros * quantity, trade_id, trade_id)
