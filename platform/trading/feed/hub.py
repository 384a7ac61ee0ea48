"""Applies the journal to the market view and hands each record's messages to whoever subscribed."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from trading.feed.market_view import Broadcast, MarketView
from trading.feed.session import Session
from trading.feed.source import JournalSource
from trading.infra.database import DatabaseError
from trading.infra.telemetry import log
from trading.wire.journal import JournalRecord

HEARTBEAT_S: Final = 1.0
CUT_OFF_S: Final = 5.0
_RETRY_S: Final = 0.1


class Hub:
    def __init__(self, source: JournalSource) -> None:
        self._source = source
        self.followers: list[Callable[[JournalRecord], None]] = []  # handed every record applied; return at once
        self.view: MarketView | None = None
        self.sessions: set[Session] = set()
        self.registry = CollectorRegistry()
        self._records = Counter("feed_records", "Journal records applied.", registry=self.registry)
        self._lag = Gauge("feed_lag_seconds", "Age of the newest record when it was applied.", registry=self.registry)
        self._sequence = Gauge("feed_sequence", "Last journal record applied.", registry=self.registry)
        Gauge("feed_sessions", "Connected clients.", registry=self.registry).set_function(lambda: len(self.sessions))

    @property
    def follows(self) -> bool:
        """Whether the market is loaded and its source, Redis or the journal, has answered lately."""
        return self.view is not None and time.monotonic() - self._source.heard_at_s < CUT_OFF_S

    async def run(self) -> None:
        """Never returns."""
        self.view = view = await self._load()
        log("feed_loaded", sequence=view.sequence, symbols=sorted(view.books))
        heartbeat = asyncio.create_task(self._beat(view))
        try:
            async for record in self._source.records_after(view.sequence):
                listening = frozenset(
                    session.account_id
                    for session in self.sessions
                    if session.listening and session.account_id is not None
                )
                self._send(view.apply(record, listening))
                for follow in self.followers:
                    follow(record)
                self._records.inc()
                self._sequence.set(record.sequence)
                self._lag.set((time.time_ns() - record.at_ns) / 1e9)
        finally:
            heartbeat.cancel()

    async def _load(self) -> MarketView:
        waiting = False
        while True:
            try:
                return await self._source.load()
            except DatabaseError as error:
                if not waiting:
                    log("waiting_for_database", level=logging.WARNING, reason=str(error))
                waiting = True
                await asyncio.sleep(_RETRY_S)

    def _send(self, broadcast: Broadcast) -> None:
        symbol = broadcast.symbol
        for session in self.sessions:
            if symbol in session.trades:
                for trade in broadcast.trades:
                    session.send(trade)
            if symbol in session.statuses:
                for status in broadcast.statuses:
                    session.send(status)
            if symbol in session.orderbooks:
                session.send(broadcast.book)
            if session.listening:
                for account_id, update in broadcast.updates:
                    if account_id == session.account_id:
                        session.send_alone(update)

    async def _beat(self, view: MarketView) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            for session in self.sessions:
                if session.orderbooks:
                    session.reply(T="h", q={symbol: view.books[symbol].sequence for symbol in session.orderbooks})
