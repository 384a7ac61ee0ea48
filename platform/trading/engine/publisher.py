"""Carries the journal to Redis, record by record in sequence, resuming after any failure where the stream ends."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Final

from trading.engine.metrics import EngineMetrics
from trading.infra import redis
from trading.infra.database import DatabaseError, connect
from trading.infra.journal import read_records
from trading.infra.telemetry import log
from trading.wire.journal import encode_command, encode_events, encode_record

_RETRY_S: Final = 0.1
_LOOK_S: Final = 0.5  # with nothing to publish, so often whether the stream still ends where it did
_BATCH: Final = 500
_KEPT_RECORDS: Final = 20_000


class Publisher:
    """Newly committed records are handed in; older ones, and any that no longer fit, are read from the journal."""

    def __init__(self, client: redis.Redis, dsn: str, *, node: str, metrics: EngineMetrics) -> None:
        self._client = client
        self._dsn = dsn
        self._node = node
        self._metrics = metrics
        self._fresh: deque[tuple[int, bytes]] = deque(maxlen=_KEPT_RECORDS)
        self._committed = 0
        self._published = 0
        self._more = asyncio.Event()
        self._interrupted = False

    def start_at(self, sequence: int) -> None:
        """Everything up to ``sequence`` is committed; what of it is not in the stream yet will be published."""
        self._committed = sequence
        self._measure(self._published)
        self._more.set()

    def offer(self, records: list[tuple[int, bytes]]) -> None:
        """Takes records that have just become durable."""
        self._fresh.extend(records)
        self._committed = records[-1][0]
        self._measure(self._published)
        self._more.set()

    async def run(self) -> None:
        """Never returns. While Redis or the journal is away it waits; orders do not wait for it."""
        while True:
            try:
                await self._publish_all(await redis.last_published(self._client))
            except (redis.StreamError, OSError, DatabaseError) as error:
                if not self._interrupted:
                    log("publishing_interrupted", level=logging.WARNING, reason=str(error))
                self._interrupted = True
                await asyncio.sleep(_RETRY_S)

    async def _publish_all(self, end: int) -> None:
        """Never returns, but raises StreamMovedError when the stream does not end where it was left at ``end``."""
        while True:
            # An emptied stream gets no more than it can hold.
            published = max(end, self._committed - redis.STREAM_LENGTH)
            self._measure(published)
            if published < self._committed:
                batch = self._next_fresh(published) or await self._read(published)
                end = await redis.publish(self._client, batch, after=end)
                self._interrupted = False
            else:
                await self._wait_for_more(end)

    async def _wait_for_more(self, end: int) -> None:
        self._more.clear()
        while not self._more.is_set():
            try:
                await asyncio.wait_for(self._more.wait(), _LOOK_S)
            except TimeoutError:
                if (at := await redis.last_published(self._client)) != end:
                    raise redis.StreamMovedError(f"the stream ends at record {at}, not at {end}") from None

    def _measure(self, published: int) -> None:
        self._published = published
        self._metrics.published.set(published)
        self._metrics.publisher_lag_records.set(max(0, self._committed - published))

    def _next_fresh(self, published: int) -> list[tuple[int, bytes]]:
        while self._fresh and self._fresh[0][0] <= published:
            self._fresh.popleft()
        if not self._fresh or self._fresh[0][0] != published + 1:
            return []
        return [self._fresh.popleft() for _ in range(min(_BATCH, len(self._fresh)))]

    async def _read(self, published: int) -> list[tuple[int, bytes]]:
        connection = await connect(self._dsn, f"{self._node} publisher")
        try:
            records = await read_records(connection, published, until=self._committed, limit=_BATCH)
        finally:
            connection.terminate()
        return [
            (record.sequence, encode_record(record, encode_command(record.command), encode_events(record.events)))
            for record in records
        ]
