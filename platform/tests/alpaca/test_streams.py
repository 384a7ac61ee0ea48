"""alpaca-py's streams, unmodified: what happens to one's orders, and what happens in the market."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest
import requests
from alpaca.data.enums import DataFeed
from alpaca.data.live import StockDataStream
from alpaca.data.models import Quote, Trade, TradingStatus
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderStatus, TradeEvent
from alpaca.trading.models import Order, TradeUpdate
from alpaca.trading.requests import ReplaceOrderRequest
from alpaca.trading.stream import TradingStream

from stack.embedded import EmbeddedStack
from tests.alpaca.asking import BUY, SELL, limit, market, placed, read
from tests.alpaca.page import PAGE, read_page
from tests.conftest import ALPACA, ALPACA_ACCOUNTS

pytestmark = pytest.mark.stack

_WITHIN_S: Final = 20.0
_PROBE_S: Final = 0.3

Heard = queue.Queue[Any]


def handler(heard: Heard) -> Callable[[Any], Awaitable[None]]:
    async def hear(message: object) -> None:
        heard.put(message)

    return hear


def until(heard: Heard, wanted: Callable[[Any], bool]) -> Any:
    """The next message that is wanted; others are passed over."""
    end = time.monotonic() + _WITHIN_S
    while (left := end - time.monotonic()) > 0:
        try:
            message = heard.get(timeout=left)
        except queue.Empty:
            break
        if wanted(message):
            return message
    raise AssertionError("what was waited for did not come")


@contextmanager
def running(stream: TradingStream | StockDataStream, heard: Heard, probe: Callable[[], object]) -> Iterator[None]:
    """Runs the stream in a thread. ``probe`` makes something that it tells of: when it does, it is listening.

    The client looks whether it is to stop when a message comes; the last probe is that message.
    """
    thread = threading.Thread(target=stream.run)
    thread.start()
    try:
        until = time.monotonic() + _WITHIN_S
        while heard.empty() and time.monotonic() < until:
            probe()
            time.sleep(_PROBE_S)
        yield
    finally:
        stream.stop()
        probe()
        thread.join(_WITHIN_S)
        assert not thread.is_alive()


def feed_url(platform: EmbeddedStack, path: str) -> str:
    return platform.status().endpoints["feed"][0] + path


def in_phase(platform: EmbeddedStack, phase: str) -> None:
    status = platform.status()
    (officer,) = (key for key in status.keys if key.role == "risk_officer")
    answer = requests.put(
        f"{status.endpoints['api'][0]}/admin/v1/instruments/{ALPACA}/phase",
        json={"phase": phase, "reason": "to be seen on the stream"},
        headers={"APCA-API-KEY-ID": officer.key_id, "APCA-API-SECRET-KEY": officer.secret_key},
        timeout=10,
    )
    assert answer.ok, answer.text


# -- trade_updates ---------------------------------------------------------------------------------


@pytest.fixture
def updates(platform: EmbeddedStack, trader: TradingClient) -> Iterator[Heard]:
    """What the trading stream tells the trader."""
    who = platform.status().accounts[ALPACA_ACCOUNTS[0]]
    stream = TradingStream(who.key_id, who.secret_key, url_override=feed_url(platform, "/stream"))
    heard: Heard = queue.Queue()
    stream.subscribe_trade_updates(handler(heard))
    with running(stream, heard, lambda: placed(trader, limit(BUY, 1, 10))):
        yield heard


def update(heard: Heard, order: Order, event: TradeEvent) -> TradeUpdate:
    """The next update of an order, which must be of this event."""
    found = until(heard, lambda message: message.order.id == order.id)
    assert isinstance(found, TradeUpdate)
    assert found.event == event
    return found


def test_trade_updates_tell_every_fill_with_its_price(
    updates: Heard, trader: TradingClient, other: TradingClient
) -> None:
    held = float(trader.get_open_position(ALPACA).qty)  # type: ignore[union-attr]
    order = placed(trader, limit(BUY, 3, 100))
    new = update(updates, order, TradeEvent.NEW)
    assert (new.order, new.price, new.qty, new.timestamp) == (order, None, None, order.submitted_at)
    placed(other, limit(SELL, 1, 99))
    part = update(updates, order, TradeEvent.PARTIAL_FILL)
    assert (part.price, part.qty, part.position_qty) == (100, 1, held + 1)
    assert (part.order.status, part.order.filled_qty) == (OrderStatus.PARTIALLY_FILLED, "1")
    placed(other, limit(SELL, 2, 99))
    fill = update(updates, order, TradeEvent.FILL)
    assert (fill.price, fill.qty, fill.position_qty) == (100, 2, held + 3)
    assert (fill.order.status, fill.order.filled_avg_price) == (OrderStatus.FILLED, "100.00")
    assert fill.order == read(trader, order)
    assert fill.execution_id is not None
    assert fill.execution_id != part.execution_id


def test_trade_updates_tell_of_replacements_and_cancellations(updates: Heard, trader: TradingClient) -> None:
    old = placed(trader, limit(BUY, 2, 60))
    update(updates, old, TradeEvent.NEW)
    new = trader.replace_order_by_id(old.id, ReplaceOrderRequest(qty=1))
    assert isinstance(new, Order)
    assert update(updates, old, TradeEvent.REPLACED).order.replaced_by == new.id
    assert update(updates, new, TradeEvent.NEW).order.replaces == old.id
    trader.cancel_order_by_id(new.id)
    canceled = update(updates, new, TradeEvent.CANCELED)
    assert (canceled.order.status, canceled.order.canceled_at) == (OrderStatus.CANCELED, canceled.timestamp)


def test_every_field_of_an_update_is_on_the_page_and_the_other_way_round(
    platform: EmbeddedStack, trader: TradingClient, other: TradingClient
) -> None:
    who = platform.status().accounts[ALPACA_ACCOUNTS[0]]
    stream = TradingStream(who.key_id, who.secret_key, raw_data=True, url_override=feed_url(platform, "/stream"))
    heard: Heard = queue.Queue()
    stream.subscribe_trade_updates(handler(heard))
    with running(stream, heard, lambda: placed(trader, limit(BUY, 1, 10))):
        placed(other, limit(SELL, 1, 100))
        placed(trader, limit(BUY, 1, 100))
        fill = until(heard, lambda message: message["data"]["event"] == "fill")
    page = read_page(PAGE.read_text(encoding="utf-8"))
    assert page["TradeUpdate"].there("fields") == set(fill["data"])
    assert page["Order"].there("fields") == set(fill["data"]["order"])


# -- market data -----------------------------------------------------------------------------------


@pytest.fixture(params=[DataFeed.IEX, DataFeed.SIP], ids=lambda feed: feed.value)
def market_heard(
    platform: EmbeddedStack, trader: TradingClient, other: TradingClient, request: pytest.FixtureRequest
) -> Iterator[Heard]:
    """Trades, quotes and statuses of ALP, as the stream of either feed tells them."""
    who = platform.status().accounts[ALPACA_ACCOUNTS[0]]
    url = feed_url(platform, f"/v2/{request.param.value}")
    stream = StockDataStream(who.key_id, who.secret_key, feed=request.param, url_override=url)
    heard: Heard = queue.Queue()
    hear = handler(heard)
    stream.subscribe_trades(hear, ALPACA)
    stream.subscribe_quotes(hear, ALPACA)
    stream.subscribe_bars(hear, ALPACA)
    stream.subscribe_trading_statuses(hear, ALPACA)

    def probe() -> None:
        placed(trader, limit(BUY, 1, 100))
        placed(other, limit(SELL, 1, 100))

    with running(stream, heard, probe):
        yield heard


def test_the_stream_tells_trades_and_quotes(market_heard: Heard, trader: TradingClient, other: TradingClient) -> None:
    placed(trader, limit(BUY, 3, 98))
    placed(other, limit(SELL, 2, 103))
    quote = until(market_heard, lambda message: isinstance(message, Quote) and message.ask_price == 103)
    assert (quote.symbol, quote.bid_price, quote.bid_size, quote.ask_size) == (ALPACA, 98, 3, 2)
    taken = placed(trader, market(BUY, qty=1.5))
    trade = until(market_heard, lambda message: isinstance(message, Trade) and message.price == 103)
    assert (trade.symbol, trade.size, trade.timestamp) == (ALPACA, 1.5, taken.filled_at)
    assert trade.id is not None
    quote = until(market_heard, lambda message: isinstance(message, Quote))
    assert (quote.ask_price, quote.ask_size) == (103, 0.5)


def test_the_stream_tells_when_trading_stops_and_goes_on(platform: EmbeddedStack, market_heard: Heard) -> None:
    in_phase(platform, "halted")
    halted = until(market_heard, lambda message: isinstance(message, TradingStatus))
    assert (halted.symbol, halted.status_code, halted.status_message) == (ALPACA, "H", "Trading Halt")
    in_phase(platform, "continuous")
    resumed = until(market_heard, lambda message: isinstance(message, TradingStatus))
    assert (resumed.status_code, resumed.status_message) == ("T", "Trading Resumption")
