"""The feed subscriber, against a real WebSocket server that sends what the test tells it to."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from websockets.asyncio.server import ServerConnection, serve

from loadtests.subscriber import Subscriber, SubscriberOptions
from loadtests.target import Target, target_of
from loadtests.tests.runs import status_of, write_status
from reports.records import FEED, FeedStream, TableWriter, read_table
from reports.rows import FeedMessage

QUICK = SubscriberOptions(silence_limit_s=0.3, reconnect_pause_s=0.01, catch_up_limit_s=5.0)
HANDSHAKE = 2  # auth, subscribe

SNAPSHOT = {"T": "o", "S": "AAA", "q": 5, "r": True, "b": [{"p": 99.99, "s": 10}], "a": [{"p": 100.01, "s": 7}]}
DELTA = {"T": "o", "S": "AAA", "q": 6, "b": [{"p": 99.99, "s": 0}, {"p": 99.98, "s": 4}], "a": []}
LATER = {"T": "o", "S": "AAA", "q": 8, "b": [], "a": [{"p": 100.01, "s": 0}]}
TRADE = {"T": "t", "S": "AAA", "q": 6, "i": 1, "p": 99.99, "s": 10}
HEARTBEAT = {"T": "h", "q": {"AAA": 6}}


async def test_books_are_built_from_a_snapshot_and_deltas_and_every_message_is_kept_as_received(
    tmp_path: Path,
) -> None:
    async with feed([[SNAPSHOT, TRADE, DELTA], [HEARTBEAT]]) as server:
        books, rows = await follow(server, tmp_path, rows=4)
    assert books == {"AAA": {"sequence": 6, "bids": [(99_980_000, 4_000_000)], "asks": [(100_010_000, 7_000_000)]}}
    assert [row.kind for row in rows[:4]] == ["o", "t", "o", "h"]
    assert [json.loads(row.message) for row in rows[:4]] == [SNAPSHOT, TRADE, DELTA, HEARTBEAT]
    assert [(row.symbol, row.sequence) for row in rows[:4]] == [("AAA", 5), ("AAA", 6), ("AAA", 6), (None, None)]


async def test_it_authenticates_and_asks_for_all_symbols_and_its_own_orders(tmp_path: Path) -> None:
    async with feed([[SNAPSHOT]]) as server:
        await follow(server, tmp_path, rows=1)
    assert server.received[:HANDSHAKE] == [
        {"action": "auth", "key": "key-1", "secret": "s"},
        {"action": "subscribe", "orderbooks": ["AAA", "BBB"], "trades": ["AAA", "BBB"]},
    ]
    assert server.received_of_orders == [
        {"action": "authenticate", "data": {"key_id": "key-1", "secret_key": "s"}},
        {"action": "listen", "data": {"streams": ["trade_updates"]}},
    ]


async def test_a_gap_is_recorded_and_healed_by_what_was_missed(tmp_path: Path) -> None:
    async with feed([[SNAPSHOT, LATER]], [[DELTA]]) as server:
        books, rows = await follow(server, tmp_path, rows=4)
    assert [row.kind for row in rows][:4] == ["o", "o", "gap", "o"]
    assert rows[2].symbol == "AAA"
    assert "expected sequence 6, received 8" in rows[2].message
    assert server.received[HANDSHAKE + 1]["resume_from"] == {"AAA": 5}
    assert books["AAA"]["sequence"] == 6


async def test_a_book_with_another_checksum_is_recorded_and_asked_for_anew(tmp_path: Path) -> None:
    async with feed([[SNAPSHOT, {**DELTA, "c": 1}]], [[SNAPSHOT]]) as server:
        books, rows = await follow(server, tmp_path, rows=4)
    assert [row.kind for row in rows][:4] == ["o", "o", "checksum", "o"]
    assert "resume_from" not in server.received[HANDSHAKE + 1]
    assert books["AAA"]["sequence"] == 5


@pytest.mark.parametrize("ends", ["closed", "silent"])
async def test_a_feed_that_drops_or_falls_silent_is_recorded_and_followed_again(tmp_path: Path, ends: str) -> None:
    async with feed([[SNAPSHOT]], [[SNAPSHOT, DELTA]], close_first=ends == "closed") as server:
        books, rows = await follow(server, tmp_path, rows=4)
    assert [row.kind for row in rows][:4] == ["o", "disconnect", "o", "o"]
    assert json.loads(rows[1].message)["stream"] == FeedStream.MARKET_DATA
    assert books["AAA"]["sequence"] == 6


async def test_a_stream_of_order_updates_that_drops_is_told_from_the_market(tmp_path: Path) -> None:
    update = {"stream": "trade_updates", "data": {"event": "fill"}}
    async with feed([[SNAPSHOT]], [[SNAPSHOT]]) as server:
        server.order_updates, server.drop_orders = [update], True
        _, rows = await follow(server, tmp_path, rows=4)
    kinds = [row.kind for row in rows if row.kind != "o"]
    assert kinds[:3] == ["trade_updates", "disconnect", "trade_updates"]
    lost = json.loads(next(row for row in rows if row.kind == "disconnect").message)
    assert (lost["stream"], lost["feed"]) == (FeedStream.ORDER_UPDATES, f"ws://127.0.0.1:{server.port}")


async def test_after_the_order_to_stop_it_hears_out_the_feed_to_the_next_heartbeat(tmp_path: Path) -> None:
    async with feed([[SNAPSHOT]], then_on_release=[[DELTA], [HEARTBEAT]]) as server:
        target = target_at(server)
        writer = TableWriter(tmp_path / "feed", FEED)
        subscriber = Subscriber(target, writer, SubscriberOptions(catch_up_limit_s=30))
        stop = asyncio.Event()
        running = asyncio.create_task(subscriber.run(stop))
        while server.sent < 1:
            await asyncio.sleep(0.01)
        stop.set()
        await asyncio.sleep(0.05)
        assert not running.done()
        server.release.set()
        await asyncio.wait_for(running, 30)
        writer.close()
    assert subscriber.books()["AAA"]["sequence"] == 6


async def test_as_a_process_it_ends_on_sigterm_with_its_books_beside_its_record(tmp_path: Path) -> None:
    async with feed([[SNAPSHOT, DELTA]], then_on_release=[[HEARTBEAT]]) as server:
        status = write_status(tmp_path, ["http://127.0.0.1:1"], [f"ws://127.0.0.1:{server.port}"])
        argv = [sys.executable, "-m", "loadtests.subscriber", "--status", str(status), "--record", str(tmp_path)]
        process = await asyncio.create_subprocess_exec(*argv)
        while server.sent < 1:
            assert process.returncode is None
            await asyncio.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        server.release.set()
        assert await asyncio.wait_for(process.wait(), 30) == 0
    books = json.loads((tmp_path / "feed_books.json").read_bytes())
    assert books == {"AAA": {"sequence": 6, "bids": [[99_980_000, 4_000_000]], "asks": [[100_010_000, 7_000_000]]}}
    assert (tmp_path / "feed.parquet").exists()


async def test_order_updates_are_recorded_beside_the_market(tmp_path: Path) -> None:
    update = {"stream": "trade_updates", "data": {"event": "fill"}}
    async with feed([[SNAPSHOT]]) as server:
        server.order_updates = [update]
        _, rows = await follow(server, tmp_path, rows=2)
    assert [json.loads(row.message) for row in rows if row.kind == "trade_updates"] == [update]


class FeedServer:
    """Each market-data connection gets the next script, a list of frames; ``received`` is what clients sent."""

    def __init__(self, scripts: Sequence[Sequence[Sequence[Any]]], on_release: Sequence[Sequence[Any]]) -> None:
        self.scripts, self.on_release = list(scripts), on_release
        self.release = asyncio.Event()
        self.received: list[Any] = []
        self.received_of_orders: list[Any] = []
        self.order_updates: list[Any] = []
        self.connections = self.sent = 0
        self.close_first = self.drop_orders = False
        self.port = 0

    async def handle(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        if connection.request.path == "/stream":
            await self.handle_orders(connection)
        else:
            await self.handle_market(connection)

    async def handle_orders(self, connection: ServerConnection) -> None:
        for _ in range(2):
            self.received_of_orders.append(json.loads(await connection.recv()))
        for update in self.order_updates:
            await connection.send(json.dumps(update))
        if not self.drop_orders:
            await connection.wait_closed()

    async def handle_market(self, connection: ServerConnection) -> None:
        self.connections += 1
        script = self.scripts[min(self.connections, len(self.scripts)) - 1]
        for _ in range(HANDSHAKE):
            self.received.append(json.loads(await connection.recv()))
        for frame in script:
            await connection.send(json.dumps(frame))
            self.sent += 1
        if self.close_first and self.connections == 1:
            return
        await self.release.wait()
        for frame in self.on_release:
            await connection.send(json.dumps(frame))
        await connection.wait_closed()


@asynccontextmanager
async def feed(
    *scripts: Sequence[Sequence[Any]], then_on_release: Sequence[Sequence[Any]] = (), close_first: bool = False
) -> AsyncIterator[FeedServer]:
    server = FeedServer(scripts, then_on_release)
    server.close_first = close_first
    async with serve(server.handle, "127.0.0.1", 0) as listening:
        server.port = next(iter(listening.sockets)).getsockname()[1]
        yield server
        server.release.set()


def target_at(server: FeedServer) -> Target:
    return target_of(status_of(["http://127.0.0.1:1"], [f"ws://127.0.0.1:{server.port}"]))


async def follow(server: FeedServer, folder: Path, *, rows: int) -> tuple[dict[str, Any], list[FeedMessage]]:
    """The books a subscriber has after so many rows, and the rows."""
    writer = TableWriter(folder / "feed", FEED)
    subscriber = Subscriber(target_at(server), writer, QUICK if server.scripts[1:] else SubscriberOptions())
    following = asyncio.create_task(subscriber.run(asyncio.Event()))
    async with asyncio.timeout(30):
        writer.flush()
        while read_table(folder, "feed").num_rows < rows:
            assert not following.done()
            await asyncio.sleep(0.01)
            writer.flush()
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    writer.close()
    return subscriber.books(), msgspec.convert(read_table(folder, "feed").to_pylist(), list[FeedMessage])
