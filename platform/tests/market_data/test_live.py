"""Market data of the running platform: what alpaca-py shows of it, pages while it trades, feeds that are killed."""

from __future__ import annotations

import asyncio
import warnings
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from stack.embedded import EmbeddedStack
from tests.alpaca.page import PAGE, read_page
from tests.client import Client, limit_order
from trading.core.exchange import Exchange
from trading.core.orders import BUY, SELL, Symbol
from trading.infra.database import connect
from trading.infra.journal import read_records
from trading.wire.market_data import Quote

from .conftest import recorded

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # alpaca-py imports what websockets calls legacy
    from alpaca.data.historical import StockHistoricalDataClient
    from alpaca.data.requests import (
        StockBarsRequest,
        StockLatestBarRequest,
        StockLatestQuoteRequest,
        StockLatestTradeRequest,
        StockQuotesRequest,
        StockSnapshotRequest,
        StockTradesRequest,
    )
    from alpaca.data.timeframe import TimeFrame

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]


async def trade(client: Client, price: str, qty: int, *, symbol: str = "BBB", **more: Any) -> None:
    for side, account in (("sell", 4), ("buy", 5)):
        status, order = await client.place(limit_order(side, qty, price, symbol=symbol), account=account, **more)
        assert (status, order["status"]) == (200, "new" if side == "sell" else "filled")


async def quotes_of_the_journal(connection: asyncpg.Connection[Any]) -> list[tuple[Any, ...]]:
    """Every change of a best bid or offer, seen by looking at the book of an exchange after each command."""
    exchange, quotes, last, sequence = Exchange(), [], dict[str, Quote](), 0
    while records := await read_records(connection, sequence):
        for record in records:
            sequence = record.sequence
            assert isinstance(exchange.apply(record.command), list)
            if record.symbol is None:
                continue
            book = exchange.book(Symbol(record.symbol))
            bids, asks = book.levels(BUY), book.levels(SELL)
            quote = Quote(*(bids[0] if bids else (0, 0)), *(asks[0] if asks else (0, 0)))
            if quote != last.get(record.symbol, Quote()):
                last[record.symbol] = quote
                quotes.append((record.symbol, record.at_ns, record.symbol_sequence, *quote))
    return sorted(quotes)


async def all_recorded(connection: asyncpg.Connection[Any]) -> list[tuple[Any, ...]]:
    """The recorded quotes once there is nothing more to record."""
    await recorded(connection, await connection.fetchval("SELECT max(sequence) FROM journal"))
    return sorted(tuple(row) for row in await connection.fetch("SELECT * FROM quotes"))


async def replayed(primary: asyncpg.Connection[Any], replica_dsn: str) -> None:
    """Returns when the replica, which such reads come from, is where the primary is now. Market data are committed
    asynchronously: what is inserted may not be written yet."""
    position = await primary.fetchval("SELECT pg_current_wal_insert_lsn()")
    replica = await connect(replica_dsn, "test")
    while not await replica.fetchval("SELECT pg_last_wal_replay_lsn() >= $1", position):
        await asyncio.sleep(0.02)
    replica.terminate()


async def test_alpaca_py_shows_what_was_traded(client: Client, platform: EmbeddedStack) -> None:
    who = client.account
    alpaca = StockHistoricalDataClient(who.key_id, who.secret_key, url_override=client.status.endpoints["api"][0])
    began = datetime.now(UTC)
    await trade(client, "70.25", 3)
    await trade(client, "70.50", 1)
    await client.place(limit_order("sell", 9, "71.00", symbol="BBB"), account=4)
    connection = await connect(platform.postgres_dsn(), "test")
    await all_recorded(connection)
    await replayed(connection, platform.postgres_dsn("postgres:replica"))
    connection.terminate()
    window = {"symbol_or_symbols": "BBB", "start": began, "end": began + timedelta(days=1)}
    trades = (await asyncio.to_thread(alpaca.get_stock_trades, StockTradesRequest(**window))).data["BBB"]
    assert [(trade.price, trade.size, trade.conditions, trade.tape) for trade in trades] == [
        (70.25, 3, ["@"], "C"),
        (70.5, 1, ["@"], "C"),
    ]
    assert trades[0].id < trades[1].id
    assert began <= trades[0].timestamp <= trades[1].timestamp
    quotes = (await asyncio.to_thread(alpaca.get_stock_quotes, StockQuotesRequest(**window))).data["BBB"]
    assert [(quote.ask_price, quote.ask_size) for quote in quotes[:1]] == [(70.25, 3)]
    assert [(quote.ask_price, quote.ask_size) for quote in quotes[-1:]] == [(71, 9)]
    minute = began.replace(second=0, microsecond=0)
    request = StockBarsRequest(**{**window, "start": minute}, timeframe=TimeFrame.Minute)
    bars = (await asyncio.to_thread(alpaca.get_stock_bars, request)).data["BBB"]
    assert (bars[-1].close, bars[-1].high >= 70.5, sum(bar.trade_count or 0 for bar in bars) >= 2) == (70.5, True, True)
    request = StockBarsRequest(symbol_or_symbols=["BBB"], timeframe=TimeFrame.Day)
    (day,) = (await asyncio.to_thread(alpaca.get_stock_bars, request)).data["BBB"]
    assert day.timestamp == minute.replace(hour=0, minute=0)
    latest = await asyncio.to_thread(alpaca.get_stock_latest_trade, StockLatestTradeRequest(symbol_or_symbols="BBB"))
    assert latest["BBB"] == trades[-1]
    quote = await asyncio.to_thread(alpaca.get_stock_latest_quote, StockLatestQuoteRequest(symbol_or_symbols="BBB"))
    assert quote["BBB"] == quotes[-1]
    bar = await asyncio.to_thread(alpaca.get_stock_latest_bar, StockLatestBarRequest(symbol_or_symbols="BBB"))
    assert bar["BBB"] == bars[-1]
    snapshot = await asyncio.to_thread(alpaca.get_stock_snapshot, StockSnapshotRequest(symbol_or_symbols="BBB"))
    shown = snapshot["BBB"]
    assert (shown.latest_trade, shown.latest_quote, shown.minute_bar) == (trades[-1], quotes[-1], bars[-1])
    assert shown.daily_bar == day
    assert shown.previous_daily_bar is None or shown.previous_daily_bar.timestamp < day.timestamp


async def test_every_field_is_on_the_page_about_alpaca_and_the_other_way_round(
    client: Client, platform: EmbeddedStack
) -> None:
    await trade(client, "70.75", 1)
    connection = await connect(platform.postgres_dsn(), "test")
    await all_recorded(connection)
    connection.terminate()
    page = read_page(PAGE.read_text(encoding="utf-8"))
    _, shown = await client.request("GET", "/v2/stocks/BBB/snapshot")
    assert page["Snapshot"].there("fields") == set(shown)
    for heading, name in (
        ("Trade", "latestTrade"),
        ("Quote", "latestQuote"),
        ("Bar", "minuteBar"),
        ("Bar", "dailyBar"),
    ):
        assert page[heading].there("fields") == set(shown[name])


async def test_pages_read_while_it_trades_miss_nothing_and_have_nothing_twice(
    client: Client, platform: EmbeddedStack
) -> None:
    start = datetime.now(UTC).isoformat()
    trading = asyncio.create_task(trade_on(client, 40))
    readers = {name: Reader(client, name, start) for name in ("trades", "quotes")}
    while not trading.done():
        for reader in readers.values():
            await reader.read_on()
    await trading
    connection = await connect(platform.postgres_dsn(), "test")
    await all_recorded(connection)
    await replayed(connection, platform.postgres_dsn("postgres:replica"))
    connection.terminate()
    for name, reader in readers.items():
        assert reader.pages > 3
        await reader.read_on()
        query = {"start": start, "limit": "10000"}
        _, answer = await client.request("GET", f"/v2/stocks/SHO/{name}", params=query)
        assert reader.full + reader.rest == answer[name]
    assert len(answer["quotes"]) > 40
    ids = [item["i"] for item in readers["trades"].full + readers["trades"].rest]
    assert len(ids) == 40
    assert ids == sorted(set(ids))


@dataclass
class Reader:
    """Goes from full page to full page; what follows the last one is read again whenever there may be more."""

    client: Client
    name: str
    start: str
    pages: int = 0
    full: list[Any] = field(default_factory=list)
    rest: list[Any] = field(default_factory=list)
    _token: str | None = None

    async def read_on(self) -> None:
        while True:
            query = {"start": self.start, "limit": "3"} | ({"page_token": self._token} if self._token else {})
            path = f"/v2/stocks/SHO/{self.name}"
            _, page = await self.client.request("GET", path, params=query, api=self.pages % 2)
            if page["next_page_token"] is None:
                self.rest = page[self.name]
                return
            self._token = page["next_page_token"]
            self.full += page[self.name]
            self.pages += 1


async def trade_on(client: Client, times: int) -> None:
    for number in range(times):
        await trade(client, f"{30 + number % 7}.00", 1, symbol="SHO")


async def test_no_quote_is_missing_when_one_feed_is_killed_and_then_both(own_platform: EmbeddedStack) -> None:
    connection = await connect(own_platform.postgres_dsn(), "test")
    async with Client(own_platform.status()) as client:
        await trade(client, "50.00", 2)
        assert await all_recorded(connection) == await quotes_of_the_journal(connection)
        first = await recording_feed(connection)
        await own_platform.kill(first)
        await trade(client, "50.01", 2)
        assert await all_recorded(connection) == await quotes_of_the_journal(connection)
        second = await recording_feed(connection)
        assert second != first
        await own_platform.kill(second)
        for number in range(20):
            await trade(client, f"51.{number:02}", 3)
            await client.place(limit_order("buy", 1, f"49.{number:02}", symbol="BBB"))
        await own_platform.restart(first)
        quotes = await all_recorded(connection)
        assert quotes == await quotes_of_the_journal(connection)
        assert len(quotes) > 60
    connection.terminate()


async def recording_feed(connection: asyncpg.Connection[Any]) -> str:
    """The node whose session holds the recorders' lock."""
    held = "SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE locktype = 'advisory'"
    return str(await connection.fetchval(held)).removesuffix(" recorder")
