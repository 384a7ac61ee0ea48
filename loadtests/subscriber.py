"""``python -m loadtests.subscriber``: a feed client that keeps every message and builds every book, until stopped.

Its record is what the feed is judged by, so it heals as the reference client does and hides nothing: a lost connection
becomes a row of kind ``disconnect``, a gap in a symbol's sequence one of kind ``gap``, a book that differs from the
feed's one of kind ``checksum``, each with the stream that broke. What follows goes on where the books were.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic, time_ns
from typing import Any

import msgspec

from loadtests.target import Target, TargetError, read_target
from reports.records import FEED, FeedStream, TableWriter
from trading.wire.feed_client import FeedOptions, Keys, MarketDataClient, OrderUpdatesClient


@dataclass(frozen=True, slots=True)
class SubscriberOptions:
    """A feed that says nothing for ``silence_limit_s``, not even a heartbeat, is taken for dead."""

    silence_limit_s: float = 5.0
    reconnect_pause_s: float = 0.2
    catch_up_limit_s: float = 2.0
    flush_every_s: float = 1.0


class Subscriber:
    """Books and trades of all symbols and one account's order updates, from one feed at a time."""

    def __init__(self, target: Target, writer: TableWriter, options: SubscriberOptions | None = None) -> None:
        self._writer = writer
        self._options = options or SubscriberOptions()
        follow = FeedOptions(self._options.silence_limit_s, self._options.reconnect_pause_s)
        keys = Keys(target.accounts[0].key_id, target.accounts[0].secret_key)
        symbols = list(target.instruments)
        self._market = MarketDataClient(target.feeds, keys, {"orderbooks": symbols, "trades": symbols}, follow)
        self._orders = OrderUpdatesClient(target.feeds, keys, follow)
        self._market.on_message = self._orders.on_message = self._take
        self._market.on_break = partial(self._break, FeedStream.MARKET_DATA)
        self._orders.on_break = partial(self._break, FeedStream.ORDER_UPDATES)
        self._heartbeat = asyncio.Event()
        self._flushed_at = monotonic()

    async def run(self, stop: asyncio.Event) -> None:
        """Follows the feed until ``stop`` is set, and on to the next heartbeat: up to there nothing is missing."""
        following = {asyncio.create_task(client.run()) for client in (self._market, self._orders)}
        stopping = asyncio.create_task(_set(stop))
        try:
            await asyncio.wait({*following, stopping}, return_when=asyncio.FIRST_COMPLETED)
            for task in following:
                if task.done():
                    await task  # only ever ends by an error
            await self._hear_out()
        finally:
            for task in (*following, stopping):
                task.cancel()
            await asyncio.gather(*following, stopping, return_exceptions=True)

    def books(self) -> dict[str, dict[str, Any]]:
        """The books as they are: best level first, [price in micro-dollars, micro-shares]."""
        return {
            symbol: {
                "sequence": book.sequence,
                "bids": sorted(book.bids.items(), reverse=True),
                "asks": sorted(book.asks.items()),
            }
            for symbol, book in sorted(self._market.state.books.items())
        }

    async def _hear_out(self) -> None:
        self._heartbeat.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._options.catch_up_limit_s):
                await self._heartbeat.wait()

    def _take(self, message: dict[str, Any], raw: str, is_new: bool) -> None:
        kind = str(message.get("T") or message.get("stream"))
        sequence = message.get("q")
        self._record(kind, message.get("S"), sequence if isinstance(sequence, int) else None, raw)
        if kind == "h":
            self._heartbeat.set()
        if monotonic() - self._flushed_at > self._options.flush_every_s:
            self._writer.flush()
            self._flushed_at = monotonic()

    def _break(self, stream: FeedStream, kind: str, feed: str, error: Exception) -> None:
        reason = {"feed": feed, "stream": stream, "reason": str(error) or type(error).__name__}
        self._record(kind, getattr(error, "symbol", None), None, msgspec.json.encode(reason).decode())

    def _record(self, kind: str, symbol: str | None, sequence: int | None, message: str) -> None:
        self._writer.add(
            {"received_ns": time_ns(), "kind": kind, "symbol": symbol, "sequence": sequence, "message": message}
        )


async def _set(event: asyncio.Event) -> None:
    await event.wait()


async def subscribe(target: Target, folder: Path) -> None:
    """Records ``feed`` and, at the end, feed_books.json in ``folder``, until SIGTERM or SIGINT.

    Raises OSError when the record cannot be written.
    """
    stop = asyncio.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_number, stop.set)
    writer = TableWriter(folder / "feed", FEED)
    subscriber = Subscriber(target, writer)
    try:
        await subscriber.run(stop)
    finally:
        writer.close()
    (folder / "feed_books.json").write_bytes(msgspec.json.encode(subscriber.books()))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m loadtests.subscriber", description=__doc__)
    parser.add_argument("--status", type=Path, required=True, metavar="FILE", help="status document of the stack")
    parser.add_argument("--record", type=Path, required=True, metavar="FOLDER", help="where the record goes")
    arguments = parser.parse_args(argv)
    try:
        target = read_target(arguments.status)
        if not target.feeds:
            raise TargetError(f"{arguments.status}: the stack has no feed")
        arguments.record.mkdir(parents=True, exist_ok=True)
        asyncio.run(subscribe(target, arguments.record))
    except TargetError as error:
        sys.stderr.write(f"subscriber: {error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"subscriber: the record is not complete: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
