"""Market data through alpaca-py's StockHistoricalDataClient: what was traded here, as bars, trades and quotes."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import uuid4

import pytest
from alpaca.common.enums import Sort
from alpaca.data.enums import Adjustment, DataFeed
from alpaca.data.historical import StockHistoricalDataClient
from alpaca.data.models import Bar, BarSet, Quote, QuoteSet, Snapshot, Trade, TradeSet
from alpaca.data.requests import (
    StockBarsRequest,
    StockLatestBarRequest,
    StockLatestQuoteRequest,
    StockLatestTradeRequest,
    StockQuotesRequest,
    StockSnapshotRequest,
    StockTradesRequest,
)
from alpaca.data.timeframe import TimeFrame, TimeFrameUnit
from alpaca.trading.client import TradingClient

from stack.embedded import EmbeddedStack
from tests.alpaca.asking import BUY, SELL, limit, placed, refusal
from tests.conftest import ALPACA, ALPACA_ACCOUNTS

pytestmark = pytest.mark.stack

_WITHIN_S: Final = 20.0
PRICES: Final = (100.0, 104.0, 99.0, 102.0)


@pytest.fixture
def data(platform: EmbeddedStack) -> StockHistoricalDataClient:
    status = platform.status()
    who = status.accounts[ALPACA_ACCOUNTS[0]]
    return StockHistoricalDataClient(who.key_id, who.secret_key, url_override=status.endpoints["api"][0])


@pytest.fixture
def since(trader: TradingClient, other: TradingClient) -> datetime:
    """The moment after which ALP traded once at each of PRICES, one share more each time, within one minute."""
    left_s = 60 - time.time() % 60
    if left_s < 2:
        time.sleep(left_s)
    started = datetime.now(UTC)
    for shares, price in enumerate(PRICES, start=1):
        placed(other, limit(SELL, shares, price))
        placed(trader, limit(BUY, shares, price))
    return started


def trades(data: StockHistoricalDataClient, start: datetime, **more: Any) -> list[Trade]:
    found = data.get_stock_trades(StockTradesRequest(symbol_or_symbols=ALPACA, start=start, **more))
    assert isinstance(found, TradeSet)
    return found.data.get(ALPACA, [])


def quotes(data: StockHistoricalDataClient, start: datetime, **more: Any) -> list[Quote]:
    found = data.get_stock_quotes(StockQuotesRequest(symbol_or_symbols=ALPACA, start=start, **more))
    assert isinstance(found, QuoteSet)
    return found.data.get(ALPACA, [])


def latest_quote(data: StockHistoricalDataClient) -> Quote:
    found = data.get_stock_latest_quote(StockLatestQuoteRequest(symbol_or_symbols=ALPACA))
    assert isinstance(found, dict)
    quote = found[ALPACA]
    assert isinstance(quote, Quote)
    return quote


# -- trades ----------------------------------------------------------------------------------------


def test_trades_are_what_was_filled(data: StockHistoricalDataClient, since: datetime) -> None:
    found = trades(data, since)
    assert [(trade.price, trade.size) for trade in found] == [(price, n) for n, price in enumerate(PRICES, start=1)]
    assert [trade.symbol for trade in found] == [ALPACA] * 4
    assert found == sorted(found, key=lambda trade: trade.timestamp)
    assert since < found[0].timestamp <= found[-1].timestamp < datetime.now(UTC)
    assert trades(data, since, feed=DataFeed.SIP) == trades(data, since, feed=DataFeed.IEX) == found
    assert trades(data, since, sort=Sort.DESC) == found[::-1]
    assert trades(data, since, limit=3) == found[:3]
    assert trades(data, since, end=since) == []
    assert trades(data, found[2].timestamp, end=found[2].timestamp + timedelta(microseconds=1)) == [found[2]]


def test_pages_follow_each_other_without_a_gap(data: StockHistoricalDataClient, since: datetime) -> None:
    query = {"symbols": f"{ALPACA},AAA", "start": since.isoformat(), "limit": 1}
    pages: list[dict[str, Any]] = []
    while not pages or pages[-1]["next_page_token"]:
        token = {"page_token": pages[-1]["next_page_token"]} if pages else {}
        page = data.get("/stocks/trades", {**query, **token})
        assert isinstance(page, dict)
        pages.append(page)
    alone = [trade for page in pages for trade in page["trades"].get(ALPACA, [])]
    assert [trade["p"] for trade in alone] == list(PRICES)
    assert all(sum(map(len, page["trades"].values())) == 1 for page in pages)


# -- bars ------------------------------------------------------------------------------------------


def bars(data: StockHistoricalDataClient, timeframe: TimeFrame, start: datetime, **more: Any) -> list[Bar]:
    request = StockBarsRequest(symbol_or_symbols=[ALPACA, "AAA"], timeframe=timeframe, start=start, **more)
    found = data.get_stock_bars(request)
    assert isinstance(found, BarSet)
    return found.data.get(ALPACA, [])


def test_a_minutes_bar_is_of_its_trades(data: StockHistoricalDataClient, since: datetime) -> None:
    minute = since.replace(second=0, microsecond=0)
    (bar,) = bars(data, TimeFrame.Minute, minute, adjustment=Adjustment.RAW, feed=DataFeed.IEX)
    shown = trades(data, minute)
    prices, sizes = [trade.price for trade in shown], [trade.size for trade in shown]
    value = sum(price * size for price, size in zip(prices, sizes, strict=True))
    assert (bar.symbol, bar.timestamp, bar.trade_count) == (ALPACA, minute, len(shown))
    assert (bar.open, bar.high, bar.low, bar.close) == (prices[0], max(prices), min(prices), 102)
    assert bar.volume == pytest.approx(sum(sizes))
    assert bar.vwap == pytest.approx(value / sum(sizes))


@pytest.mark.parametrize(
    "timeframe",
    [TimeFrame(5, TimeFrameUnit.Minute), TimeFrame.Hour, TimeFrame.Day, TimeFrame.Week, TimeFrame.Month],
    ids=str,
)
def test_longer_bars_hold_the_minutes(data: StockHistoricalDataClient, since: datetime, timeframe: TimeFrame) -> None:
    start = since - timedelta(days=62)
    minutes, longer = bars(data, TimeFrame.Minute, start), bars(data, timeframe, start)
    assert sum(bar.volume for bar in longer) == pytest.approx(sum(bar.volume for bar in minutes))
    assert (longer[0].open, longer[-1].close) == (minutes[0].open, minutes[-1].close)
    assert max(bar.high for bar in longer) == max(bar.high for bar in minutes)


# -- quotes and the latest -------------------------------------------------------------------------


def test_quotes_are_the_best_prices_of_the_book(
    data: StockHistoricalDataClient, trader: TradingClient, other: TradingClient, since: datetime
) -> None:
    before = datetime.now(UTC)
    placed(trader, limit(BUY, 3, 97))
    placed(other, limit(SELL, 2, 103.5))
    until = time.monotonic() + _WITHIN_S
    while (quote := latest_quote(data)).ask_price != 103.5 and time.monotonic() < until:
        time.sleep(0.05)
    assert (quote.bid_price, quote.bid_size, quote.ask_price, quote.ask_size) == (97, 3, 103.5, 2)
    found = quotes(data, before)
    assert [(one.bid_price, one.ask_price) for one in found] == [(97, 0), (97, 103.5)]
    assert found[-1] == quote


def test_the_latest_of_several_symbols_is_told_at_once(data: StockHistoricalDataClient, since: datetime) -> None:
    both = [ALPACA, "NONE"]
    newest = trades(data, since)[-1]
    latest = data.get_stock_latest_trade(StockLatestTradeRequest(symbol_or_symbols=both))
    assert latest == {ALPACA: newest}
    bar = bars(data, TimeFrame.Minute, since.replace(second=0, microsecond=0))[-1]
    assert data.get_stock_latest_bar(StockLatestBarRequest(symbol_or_symbols=both)) == {ALPACA: bar}


def test_a_snapshot_is_the_latest_of_everything(data: StockHistoricalDataClient, since: datetime) -> None:
    found = data.get_stock_snapshot(StockSnapshotRequest(symbol_or_symbols=[ALPACA, "NONE"]))
    assert isinstance(found, dict)
    assert set(found) == {ALPACA}
    snapshot = found[ALPACA]
    assert isinstance(snapshot, Snapshot)
    assert snapshot.latest_trade == trades(data, since)[-1]
    assert snapshot.minute_bar is not None
    assert snapshot.daily_bar is not None
    assert (snapshot.minute_bar.close, snapshot.daily_bar.close) == (102, 102)
    assert snapshot.daily_bar.volume >= snapshot.minute_bar.volume


# -- errors ----------------------------------------------------------------------------------------


def test_what_cannot_be_asked_is_refused(data: StockHistoricalDataClient, platform: EmbeddedStack) -> None:
    assert refusal(data.get, "/stocks/bars", {"symbols": ALPACA, "timeframe": "7Days"})[0] in (400, 422)
    assert refusal(data.get, "/stocks/trades", {"symbols": ALPACA, "page_token": "forged"})[0] == 400
    assert refusal(data.get, "/stocks/trades", {"symbols": "alp"})[0] in (400, 422)
    stranger = StockHistoricalDataClient(uuid4().hex, "x", url_override=platform.status().endpoints["api"][0])
    request = StockLatestTradeRequest(symbol_or_symbols=ALPACA)
    assert refusal(stranger.get_stock_latest_trade, request)[:2] == (401, 40110000)
