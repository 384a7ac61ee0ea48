"""/v2/stocks: bars, trades, quotes and snapshots in the conventions of Alpaca's market data API.

Pages are ordered by symbol and then by time, and a token names the last row it had: rows that come meanwhile are on a
later page or, where the newest come first, on none, but no row is on two or left out. Bars that are still forming are
shown as they are.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Annotated, Any, NamedTuple, cast

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response

from trading.api.answer import answer
from trading.api.errors import ApiError
from trading.api.market_data_reads import Fields, Item, MarketData, Window
from trading.api.market_data_requests import (
    DAY,
    MAX_NS,
    MINUTE,
    Bars,
    BarsOf,
    Cursor,
    Latest,
    LatestOf,
    PageToken,
    Series,
    SeriesOf,
    SymbolInPath,
    timeframe_of,
)
from trading.wire.market_data import DAY_NS

router = APIRouter(prefix="/v2/stocks")

_Read = Callable[[str, Window, Cursor | None, int], Awaitable[list[Item]]]


async def _data(request: Request) -> MarketData:
    return cast(MarketData, request.app.state.market_data)


DataOf = Annotated[MarketData, Depends(_data)]


# -- series ------------------------------------------------------------------------------------------


@router.get("/bars")
async def list_bars(query: Annotated[Bars, Query()], data: DataOf) -> Response:
    return await _many("bars", query, _bars(query, data))


@router.get("/trades")
async def list_trades(query: Annotated[Series, Query()], data: DataOf) -> Response:
    return await _many("trades", query, data.trades)


@router.get("/quotes")
async def list_quotes(query: Annotated[Series, Query()], data: DataOf) -> Response:
    return await _many("quotes", query, data.quotes)


@router.get("/{symbol}/bars")
async def list_bars_of(symbol: SymbolInPath, query: Annotated[BarsOf, Query()], data: DataOf) -> Response:
    return await _one("bars", symbol, query, _bars(query, data))


@router.get("/{symbol}/trades")
async def list_trades_of(symbol: SymbolInPath, query: Annotated[SeriesOf, Query()], data: DataOf) -> Response:
    return await _one("trades", symbol, query, data.trades)


@router.get("/{symbol}/quotes")
async def list_quotes_of(symbol: SymbolInPath, query: Annotated[SeriesOf, Query()], data: DataOf) -> Response:
    return await _one("quotes", symbol, query, data.quotes)


def _bars(query: BarsOf, data: MarketData) -> _Read:
    return partial(data.bars, timeframe=timeframe_of(query.timeframe))


async def _many(name: str, query: Series | Bars, read: _Read) -> Response:
    """Symbols without any are not in the answer."""
    page = await _page(query.asked(), query, read)
    return answer({name: page.found, "next_page_token": page.token})


async def _one(name: str, symbol: str, query: SeriesOf, read: _Read) -> Response:
    page = await _page([symbol], query, read)
    return answer({name: page.found.get(symbol, []), "symbol": symbol, "next_page_token": page.token})


class _Page(NamedTuple):
    found: dict[str, list[msgspec.Raw]]
    token: str | None


async def _page(symbols: Sequence[str], query: SeriesOf, read: _Read) -> _Page:
    """Reads one row more than fits, to know whether there is another page."""
    token = query.token()
    if token is not None and token.symbol not in symbols:
        raise ApiError(400, "invalid page_token: it belongs to another request")
    window = _window(query, token)
    found: dict[str, list[msgspec.Raw]] = {}
    after, room, last = None if token is None else token.cursor, query.limit, None
    for symbol in symbols if token is None else symbols[symbols.index(token.symbol) :]:
        items = await read(symbol, window, after, room + 1)
        if fitting := items[:room]:
            found[symbol] = [item.fields for item in fitting]
            last = PageToken(symbol, fitting[-1].cursor, window.start_ns)
        if len(items) > room:
            assert last is not None  # a page has room for something
            return _Page(found, last.text())
        after, room = None, room - len(items)
    return _Page(found, None)


def _window(query: SeriesOf, token: PageToken | None) -> Window:
    """From the beginning of the day, in UTC, to now and beyond."""
    now_ns = time.time_ns()
    start_ns = now_ns - now_ns % DAY_NS if query.start is None else query.start
    end_ns = MAX_NS if query.end is None else query.end
    return Window(start_ns if token is None else token.start_ns, end_ns, query.sort == "desc")


# -- the latest --------------------------------------------------------------------------------------


@router.get("/bars/latest")
async def latest_bars(query: Annotated[Latest, Query()], data: DataOf) -> Response:
    """The minutes last traded in, each as it is now: it may be forming."""
    found = await data.latest_bars(query.asked(), MINUTE, 1)
    return answer({"bars": {symbol: bars[0] for symbol, bars in found.items()}})


@router.get("/trades/latest")
async def latest_trades(query: Annotated[Latest, Query()], data: DataOf) -> Response:
    return answer({"trades": await data.latest_trades(query.asked())})


@router.get("/quotes/latest")
async def latest_quotes(query: Annotated[Latest, Query()], data: DataOf) -> Response:
    """Up to a quarter of a second old."""
    return answer({"quotes": await data.latest_quotes(query.asked())})


@router.get("/snapshots")
async def list_snapshots(query: Annotated[Latest, Query()], data: DataOf) -> Response:
    return answer(await _snapshots(query.asked(), data))


@router.get("/{symbol}/bars/latest")
async def latest_bar_of(symbol: SymbolInPath, query: Annotated[LatestOf, Query()], data: DataOf) -> Response:
    found = await data.latest_bars([symbol], MINUTE, 1)
    return answer({"symbol": symbol, "bar": _required(found, symbol, "bar")[0]})


@router.get("/{symbol}/trades/latest")
async def latest_trade_of(symbol: SymbolInPath, query: Annotated[LatestOf, Query()], data: DataOf) -> Response:
    found = await data.latest_trades([symbol])
    return answer({"symbol": symbol, "trade": _required(found, symbol, "trade")})


@router.get("/{symbol}/quotes/latest")
async def latest_quote_of(symbol: SymbolInPath, query: Annotated[LatestOf, Query()], data: DataOf) -> Response:
    found = await data.latest_quotes([symbol])
    return answer({"symbol": symbol, "quote": _required(found, symbol, "quote")})


@router.get("/{symbol}/snapshot")
async def get_snapshot(symbol: SymbolInPath, query: Annotated[LatestOf, Query()], data: DataOf) -> Response:
    found = await _snapshots([symbol], data)
    return answer({"symbol": symbol, **_required(found, symbol, "snapshot")})


def _required(found: dict[str, Any], symbol: str, what: str) -> Any:
    if symbol not in found:
        raise ApiError(404, f"no {what} found for {symbol}")
    return found[symbol]


async def _snapshots(symbols: Sequence[str], data: MarketData) -> dict[str, Fields]:
    """Of the symbols that ever had a trade or a quote; what one of them has not is null."""
    trades, quotes, minutes, days = await asyncio.gather(
        data.latest_trades(symbols),
        data.latest_quotes(symbols),
        data.latest_bars(symbols, MINUTE, 1),
        data.latest_bars(symbols, DAY, 2),
    )
    return {
        symbol: {
            "latestTrade": trades.get(symbol),
            "latestQuote": quotes.get(symbol),
            "minuteBar": next(iter(minutes.get(symbol, [])), None),
            "dailyBar": next(iter(days.get(symbol, [])), None),
            "prevDailyBar": next(iter(days.get(symbol, [])[1:]), None),
        }
        for symbol in symbols
        if symbol in trades or symbol in quotes
    }
