"""The platform's market data, followed through every interruption: how far the books have moved."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final

from trading.wire.feed_client import FeedOptions, Keys, MarketDataClient

_HEARTBEAT: Final = "h"


class Tape:
    """Use as an async context manager. The reference client heals what an interruption left out, from the feed."""

    def __init__(self, feeds: Sequence[str], keys: Keys, symbols: Sequence[str]) -> None:
        self._client = MarketDataClient(feeds, keys, {"orderbooks": list(symbols)}, FeedOptions())
        self._client.on_message = self._take
        self._heartbeat = asyncio.Event()
        self._following: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Tape:
        self._following = asyncio.create_task(self._client.run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        assert self._following is not None
        self._following.cancel()
        await asyncio.gather(self._following, return_exceptions=True)

    def changes(self) -> int:
        """How many changes of the books are known: all up to the last, as each carries the next number."""
        return sum(book.sequence or 0 for book in self._client.state.books.values())

    async def caught_up(self, *, within_s: float) -> bool:
        """Waits for a heartbeat that no book lags behind; False when none comes in time."""
        self._heartbeat.clear()
        try:
            async with asyncio.timeout(within_s):
                await self._heartbeat.wait()
        except TimeoutError:
            return False
        return True

    def _take(self, message: dict[str, Any], raw: str, is_new: bool) -> None:
        if message.get("T") == _HEARTBEAT and is_new and self._client.state.books:
            self._heartbeat.set()
