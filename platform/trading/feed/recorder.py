"""Keeps quotes and minute bars: one feed of all records them, from the same journal that its clients are shown.

The hub hands over each record it has applied. What it cannot hand over, because this recorder begins, has fallen
behind or stood still, is read from the journal; so the tables have no gap, whoever wrote them and whenever.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Gauge

from trading.core.orders import NS_PER_S
from trading.core.state import OpenOrderState
from trading.core.venue import Stage
from trading.feed.tape import Resting, Tape
from trading.infra.database import DatabaseError
from trading.infra.market_data import MarketDataStore, Progress
from trading.infra.telemetry import log
from trading.wire.journal import JournalRecord

WRITE_EVERY_S: Final = 0.25
_TRY_LOCK_EVERY_S: Final = 0.5
_RETRY_S: Final = 0.1
_KEPT_RECORDS: Final = 4_000
_BATCH_RECORDS: Final = 4_000  # in one write
_PAGE: Final = 200  # read or applied at once, before the clients' work has its turn
_ASK_JOURNAL_AFTER_S: Final = 1.0  # without news; also tells the server that this session is alive
_DELETE_EVERY_S: Final = 60.0
_END: Final = 2**62


class Recorder:
    def __init__(self, dsn: str, node: str, *, quotes_kept_h: int, registry: CollectorRegistry) -> None:
        self._dsn = dsn
        self._node = node
        self._kept_ns = quotes_kept_h * 3_600 * NS_PER_S
        self._fresh: deque[JournalRecord] = deque(maxlen=_KEPT_RECORDS)  # the oldest give way: the journal has them
        self._recording = self._away = False
        self._asked_s = 0.0  # when the journal was last seen to hold no more
        self._delete_at_s = 0.0
        self._sequence = Gauge("feed_recorded_sequence", "Last record in the market data.", registry=registry)

    def offer(self, record: JournalRecord) -> None:
        """Takes a record that is durable; returns at once."""
        if self._recording:
            self._fresh.append(record)

    async def run(self) -> None:
        """Never returns. While the database is away it waits; nobody waits for it."""
        while True:
            try:
                store = await MarketDataStore.open(self._dsn, f"{self._node} recorder")
                try:
                    await self._record(store)
                finally:
                    self._recording = False
                    self._fresh.clear()
                    store.close()
            except DatabaseError as error:
                if not self._away:
                    log("recording_interrupted", level=logging.WARNING, reason=str(error))
                self._away = True
                await asyncio.sleep(_RETRY_S)

    async def _record(self, store: MarketDataStore) -> None:
        """Waits for its turn, goes on where the last one stopped, and does not end before its session."""
        while not await store.try_lock():
            await asyncio.sleep(_TRY_LOCK_EVERY_S)
        self._recording, self._asked_s = True, 0.0
        written = await store.progress()
        tape = await _tape_at(written, store)
        log("recording", sequence=written.sequence)
        while True:
            began_s = time.monotonic()
            await self._take_in(tape, store)
            if tape.sequence > written.sequence:
                written = await _write(tape, written, store)
                self._sequence.set(written.sequence)
            await self._delete_old(store)
            self._away = False
            await asyncio.sleep(max(0.0, began_s + WRITE_EVERY_S - time.monotonic()))

    async def _take_in(self, tape: Tape, store: MarketDataStore) -> None:
        """All there is, or one batch of it."""
        enough = tape.sequence + _BATCH_RECORDS
        while tape.sequence < enough:
            page = self._next_fresh(tape.sequence) or await self._from_journal(tape.sequence, store)
            if not page:
                return
            await _apply(page, tape)

    def _next_fresh(self, after: int) -> list[JournalRecord]:
        """The next records if the hub has handed them over."""
        while self._fresh and self._fresh[0].sequence <= after:
            self._fresh.popleft()
        page: list[JournalRecord] = []
        while self._fresh and self._fresh[0].sequence == after + len(page) + 1 and len(page) < _PAGE:
            page.append(self._fresh.popleft())
        return page

    async def _from_journal(self, after: int, store: MarketDataStore) -> list[JournalRecord]:
        """What is missing before the hub's next record; without one, a look at the journal every now and then."""
        if self._fresh:
            return await store.journal(after, until=self._fresh[0].sequence - 1, limit=_PAGE)
        if time.monotonic() - self._asked_s < _ASK_JOURNAL_AFTER_S:
            return []
        page = await store.journal(after, until=_END, limit=_PAGE)
        if len(page) < _PAGE:
            self._asked_s = time.monotonic()
        return page

    async def _delete_old(self, store: MarketDataStore) -> None:
        """One small step, when it is time or the last one left something."""
        if time.monotonic() >= self._delete_at_s:
            more = await store.delete_quotes_before(time.time_ns() - self._kept_ns)
            self._delete_at_s = time.monotonic() + (0.0 if more else _DELETE_EVERY_S)


async def _tape_at(written: Progress, store: MarketDataStore) -> Tape:
    """The tape as whoever wrote last left it: books of an engine's snapshot, or none, and the records since."""
    sequence, orders = await store.open_orders(written.sequence)
    tape = Tape(sequence, resting=resting_in(orders), last_trade_id=written.last_trade_id)
    while tape.sequence < written.sequence:
        page = await store.journal(tape.sequence, until=written.sequence, limit=_PAGE)
        if not page:
            raise DatabaseError(f"the journal ends at record {tape.sequence}, before the market data's progress")
        await _apply(page, tape)
    tape.begin(await store.open_bars())
    return tape


def resting_in(orders: Iterable[OpenOrderState]) -> Iterator[Resting]:
    """Those of a snapshot's open orders that are in a book."""
    for order in orders:
        if order.stage is Stage.RESTING:
            yield Resting(order.order_id, order.symbol, order.side, order.price_micros, order.leaves)


async def _apply(page: list[JournalRecord], tape: Tape) -> None:
    for record in page:
        tape.apply(record)
    await asyncio.sleep(0)  # the clients' turn


async def _write(tape: Tape, before: Progress, store: MarketDataStore) -> Progress:
    after = Progress(tape.sequence, tape.last_trade_id)
    quotes = [(row.symbol, row.at_ns, row.symbol_sequence, *row.quote) for row in tape.quotes]
    await store.write(before, after, quotes, tape.bars.values())
    tape.clear()
    return after
