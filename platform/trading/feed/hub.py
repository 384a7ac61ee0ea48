"""Applies the journal to the market view and hands each record's messages to whoever subscribed."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from trading.feed.books import SymbolBook
from trading.feed.frames import Connection, Format
from trading.feed.market_view import ORDERBOOKS, Broadcast, MarketView
from trading.feed.requests import EVERY, INTERNAL_ERROR, RequestError
from trading.feed.session import QueueLimits, Session
from trading.feed.source import JournalSource
from trading.feed.subscribers import Limits, Subscribers
from trading.infra.database import DatabaseError
from trading.infra.keys import KeyRing
from trading.infra.telemetry import log
from trading.wire.journal import JournalRecord

HEARTBEAT_S: Final = 1.0
CUT_OFF_S: Final = 5.0
_CHECK_KEYS_S: Final = 0.3
_MINUTE_GRACE_NS: Final = 500_000_000  # how long the clock waits for a minute's last records
_RETRY_S: Final = 0.1
_RECORDS_PER_TURN: Final = 100  # applied before the clients get what they led to
_POLICY_VIOLATION: Final = 1008


class Hub:
    def __init__(
        self, source: JournalSource, keys: KeyRing, limits: Limits | None = None, queue: QueueLimits | None = None
    ) -> None:
        self._source = source
        self._keys = keys
        self._queue = queue or QueueLimits()
        self.followers: list[Callable[[JournalRecord], None]] = []  # handed every record applied; return at once
        self.view: MarketView | None = None
        self.subscribers = Subscribers(limits or Limits())
        self._waiting: list[Session] = []  # sessions that have something to write
        self.registry = CollectorRegistry()
        self._records = Counter("feed_records", "Journal records applied.", registry=self.registry)
        self._lag = Gauge("feed_lag_seconds", "Age of the newest record when it was applied.", registry=self.registry)
        self._sequence = Gauge("feed_sequence", "Last journal record applied.", registry=self.registry)
        self._slow = Counter("feed_slow_clients", "Clients dropped because they took nothing.", registry=self.registry)
        sessions = Gauge("feed_sessions", "Connected clients.", registry=self.registry)
        sessions.set_function(lambda: len(self.subscribers.sessions))
        lagging = Gauge("feed_lagging_sessions", "Clients that do not keep up with reading.", registry=self.registry)
        lagging.set_function(lambda: sum(session.lagging for session in self.subscribers.sessions))

    @property
    def follows(self) -> bool:
        """Whether the market is loaded and its source, Redis or the journal, has answered lately."""
        return self.view is not None and time.monotonic() - self._source.heard_at_s < CUT_OFF_S

    def ready_view(self) -> MarketView:
        """Raises RequestError before the market is loaded."""
        if self.view is None:
            raise RequestError(*INTERNAL_ERROR)
        return self.view

    def session(self, kind: type[Session], connection: Connection, form: Format) -> Session:
        return kind(connection, form, limits=self._queue, wake=self._wake, books=self._books)

    async def run(self) -> None:
        """Never returns."""
        self.view = view = await self._load()
        log("feed_loaded", sequence=view.sequence, symbols=sorted(view.books))
        beside = asyncio.create_task(self.run_beside(view))
        try:
            await self._follow(view)
        finally:
            beside.cancel()

    async def run_beside(self, view: MarketView) -> None:
        """What has to be done whether or not records come. Never returns."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._beat(view))
            tasks.create_task(self._check_keys())

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

    async def _follow(self, view: MarketView) -> None:
        applied = 0
        async for record in self._source.records_after(view.sequence):
            said = view.apply(record, self.subscribers.listening)
            self.subscribers.tell(said, record.symbol_sequence)
            for follow in self.followers:
                follow(record)
            self._records.inc()
            self._sequence.set(record.sequence)
            self._lag.set((time.time_ns() - record.at_ns) / 1e9)
            applied += 1
            if applied % _RECORDS_PER_TURN == 0:
                await asyncio.sleep(0)

    def _books(self) -> dict[str, SymbolBook]:
        return {} if self.view is None else self.view.books

    # -- writing -----------------------------------------------------------------------------------

    def _wake(self, session: Session) -> None:
        """The session is flushed as soon as whoever fills its queue lets go of the loop."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._flush)
        self._waiting.append(session)

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        for session in waiting:
            session.flush()

    # -- beside ------------------------------------------------------------------------------------

    async def _beat(self, view: MarketView) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            now_s = asyncio.get_running_loop().time()
            beats: dict[frozenset[str], dict[str, Any]] = {}
            for session in tuple(self.subscribers.sessions):
                if session.is_stalled(now_s):
                    self._slow.inc()
                    session.drop_slow()
                elif session.channels[ORDERBOOKS] and not session.lagging:
                    symbols = frozenset(session.channels[ORDERBOOKS])
                    session.answer(beats.get(symbols) or beats.setdefault(symbols, _heartbeat(view, symbols)))
            bars = view.bars.finish(self._source.in_step_at_ns - _MINUTE_GRACE_NS)
            self.subscribers.tell(Broadcast(None, bars=bars), None)

    async def _check_keys(self) -> None:
        """A revoked key's connections end within a second. What cannot be told now leaves them as they are."""
        while True:
            await asyncio.sleep(_CHECK_KEYS_S)
            for key_id in {session.key_id for session in self.subscribers.sessions if session.key_id}:
                try:
                    identity = await self._keys.identity_of(key_id)
                except DatabaseError:
                    continue
                for session in tuple(self.subscribers.sessions):
                    if session.key_id == key_id and session.identity != identity:
                        session.fail(401, "not authenticated: the key was revoked or changed")
                        session.end(_POLICY_VIOLATION, "key revoked")


def _heartbeat(view: MarketView, symbols: frozenset[str]) -> dict[str, Any]:
    books = view.books if EVERY in symbols else {symbol: view.books[symbol] for symbol in symbols}
    return {"T": "h", "e": view.epoch, "q": {symbol: books[symbol].sequence for symbol in sorted(books)}}
