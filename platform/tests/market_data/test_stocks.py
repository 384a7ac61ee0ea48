"""/v2/stocks over a hundred days of a market, against its trades and quotes as the exchange told them."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from stack.embedded import EmbeddedStack
from trading.infra.database import connect
from trading.wire.market_data import quote_fields
from trading.wire.orders import rfc3339

from .conftest import Get, commit, getting, recorded, recording, serving
from .history import History
from .naive import naive_bars, shown_trade, without_vw

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]

START_NS = 1_700_000_000 * 10**9  # 2023-11-14T22:13:20Z
ALWAYS = {"start": "2023-01-01", "limit": 10_000}
SYMBOLS = ("AAA", "BBB", "CCC")
TIMEFRAMES = (
    *("1Min", "5Min", "7Min", "15Min", "30Min", "59Min", "1Hour", "4Hour", "23Hour", "1Day"),
    *("1Week", "1Month", "3Month", "12Month"),
)
_TABLES = (
    *("journal", "fills", "ledger", "balances", "instruments", "markets", "accounts", "kill_switches"),
    *("snapshots", "quotes", "minute_bars", "market_data_progress"),
)


@dataclass
class Market:
    """Three minutes as they were, a hundred days with few trades in each minute, the last ones not yet recorded."""

    history: History
    get: Get

    def bars(self, symbol: str, timeframe: str) -> list[dict[str, Any]]:
        return naive_bars(self.history.prints, symbol, timeframe)

    def trades(self, symbol: str) -> list[dict[str, Any]]:
        return [shown_trade(*told) for told in self.history.prints if told.trade.symbol == symbol]

    def quotes(self, symbol: str) -> list[dict[str, Any]]:
        return [quote_fields(row.quote, row.at_ns) for row in self.history.quotes if row.symbol == symbol]

    async def pages(self, name: str, **query: object) -> dict[str, list[Any]]:
        """All pages of a series, put together; none is larger than its limit."""
        found: dict[str, list[Any]] = {}
        while True:
            status, page = await self.get(f"/{name}", **query)
            assert status == 200, page
            assert sum(map(len, page[name].values())) <= int(str(query["limit"]))
            for symbol, items in page[name].items():
                found.setdefault(symbol, []).extend(items)
            if page["next_page_token"] is None:
                return found
            query["page_token"] = page["next_page_token"]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def market(shared_postgres: EmbeddedStack) -> AsyncIterator[Market]:
    dsn = shared_postgres.postgres_dsn()
    connection = await connect(dsn, "test")
    await connection.execute(f"TRUNCATE {', '.join(_TABLES)}")
    history = History(start_ns=START_NS)
    history.go_on(1_500)
    history.stretch = 25_000
    history.go_on(2_200)
    await commit(connection, history.records)
    async with recording(dsn):
        await recorded(connection, history.records[-1].sequence)
    recorded_quotes = len(history.quotes)
    await commit(connection, history.go_on(300))
    del history.quotes[recorded_quotes:]
    connection.terminate()
    async with serving(dsn) as url, aiohttp.ClientSession() as session:
        yield Market(history, getting(session, url))


def check_bars(shown: list[dict[str, Any]], naive: list[dict[str, Any]]) -> None:
    assert without_vw(shown) == without_vw(naive)
    assert all(math.isclose(a["vw"], b["vw"], abs_tol=1e-6) for a, b in zip(shown, naive, strict=True))


@pytest.mark.parametrize("timeframe", TIMEFRAMES)
async def test_bars_of_every_timeframe_are_all_trades_of_their_time(market: Market, timeframe: str) -> None:
    status, answer = await market.get("/bars", symbols="CCC,AAA,BBB", timeframe=timeframe, **ALWAYS)
    assert (status, answer["next_page_token"], list(answer["bars"])) == (200, None, [*SYMBOLS])
    for symbol in SYMBOLS:
        check_bars(answer["bars"][symbol], market.bars(symbol, timeframe))
    descending = {**ALWAYS, "limit": 97, "sort": "desc"}
    found = await market.pages("bars", symbols="AAA,CCC", timeframe=timeframe, **descending)
    assert {symbol: bars[::-1] for symbol, bars in found.items()} == {s: answer["bars"][s] for s in ("AAA", "CCC")}
    ascending = await market.pages("bars", symbols="AAA,CCC", timeframe=timeframe, **{**ALWAYS, "limit": 83})
    assert ascending == {s: answer["bars"][s] for s in ("AAA", "CCC")}


async def test_a_timeframe_may_be_written_short(market: Market) -> None:
    for short, long in (("5T", "5Min"), ("2H", "2Hour"), ("1D", "1Day"), ("1W", "1Week"), ("6M", "6Month")):
        answers = [await market.get("/AAA/bars", timeframe=timeframe, **ALWAYS) for timeframe in (short, long)]
        assert answers[0] == answers[1]
        assert answers[0][0] == 200


@pytest.mark.parametrize("sort", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 61, 10_000])
@pytest.mark.parametrize("name", ["trades", "quotes"])
async def test_pages_of_any_size_hold_everything_once(market: Market, name: str, limit: int, sort: str) -> None:
    symbols = SYMBOLS if limit > 1 else SYMBOLS[:1]
    query = {"symbols": ",".join(symbols), "start": "2023-01-01", "limit": limit, "sort": sort}
    if limit == 1:
        query["end"] = rfc3339(market.history.prints[8].at_ns)
    found = await market.pages(name, **query)
    for symbol in symbols:
        naive = getattr(market, name)(symbol)
        if limit == 1:
            naive = [item for item in naive if item["t"] <= str(query["end"])]
        assert found[symbol] == (naive if sort == "asc" else naive[::-1])
        assert len(naive) > 3


async def test_a_window_has_both_its_ends_in_it_to_the_nanosecond(market: Market) -> None:
    trades = market.trades("BBB")
    first, last = trades[20]["t"], trades[60]["t"]
    expected = [trade for trade in trades if first <= trade["t"] <= last]
    _, answer = await market.get("/BBB/trades", start=first, end=last)
    assert answer == {"trades": expected, "symbol": "BBB", "next_page_token": None}
    quotes = [quote for quote in market.quotes("BBB") if first <= quote["t"] <= last]
    _, answer = await market.get("/BBB/quotes", start=first, end=last)
    assert answer == {"quotes": quotes, "symbol": "BBB", "next_page_token": None}
    bars = market.bars("BBB", "1Day")
    _, answer = await market.get("/BBB/bars", timeframe="1Day", start=bars[3]["t"], end=bars[8]["t"])
    check_bars(answer["bars"], bars[3:9])
    a_second_later = bars[3]["t"].replace("00:00Z", "00:01Z")
    _, answer = await market.get("/BBB/bars", timeframe="1Day", start=a_second_later, end=bars[8]["t"][:10])
    check_bars(answer["bars"], bars[4:9])


async def test_times_may_be_in_any_offset_or_none(market: Market) -> None:
    answers = [
        await market.get("/AAA/trades", start=start, limit=5)
        for start in ("2023-12-01T05:30:00.5Z", "2023-12-01T00:30:00.500-05:00", "2023-12-01t05:30:00.500000000")
    ]
    assert answers[0] == answers[1] == answers[2]
    assert len(answers[0][1]["trades"]) == 5


async def test_without_a_start_a_series_begins_today(market: Market) -> None:
    for name in ("trades", "quotes"):
        assert await market.get(f"/{name}", symbols="AAA") == (200, {name: {}, "next_page_token": None})


async def test_the_latest_of_each_symbol(market: Market) -> None:
    _, trades = await market.get("/trades/latest", symbols="AAA,BBB,CCC,NONE", feed="iex")
    assert trades == {"trades": {symbol: market.trades(symbol)[-1] for symbol in SYMBOLS}}
    _, quotes = await market.get("/quotes/latest", symbols="AAA,BBB,CCC,NONE")
    assert quotes == {"quotes": {symbol: market.quotes(symbol)[-1] for symbol in SYMBOLS}}
    _, bars = await market.get("/bars/latest", symbols="AAA,BBB,CCC,NONE", currency="USD")
    assert [*bars["bars"]] == [*SYMBOLS]
    for symbol in SYMBOLS:
        check_bars([bars["bars"][symbol]], market.bars(symbol, "1Min")[-1:])
    for what in ("bar", "trade", "quote"):
        one = {"symbol": "CCC", what: {"bar": bars, "trade": trades, "quote": quotes}[what][f"{what}s"]["CCC"]}
        assert await market.get(f"/CCC/{what}s/latest") == (200, one)


async def test_a_snapshot_is_the_latest_of_everything_and_two_days(market: Market) -> None:
    status, snapshots = await market.get("/snapshots", symbols="AAA,NONE")
    assert (status, [*snapshots]) == (200, ["AAA"])
    shown = snapshots["AAA"]
    assert [*shown] == ["latestTrade", "latestQuote", "minuteBar", "dailyBar", "prevDailyBar"]
    assert (shown["latestTrade"], shown["latestQuote"]) == (market.trades("AAA")[-1], market.quotes("AAA")[-1])
    check_bars([shown["minuteBar"]], market.bars("AAA", "1Min")[-1:])
    check_bars([shown["prevDailyBar"], shown["dailyBar"]], market.bars("AAA", "1Day")[-2:])
    assert await market.get("/AAA/snapshot") == (200, {"symbol": "AAA", **shown})


async def test_a_symbol_without_anything_has_empty_series_and_nothing_latest(market: Market) -> None:
    for name, more in (("bars", {"timeframe": "1Min"}), ("trades", {}), ("quotes", {})):
        assert await market.get(f"/{name}", symbols="NONE", **more) == (200, {name: {}, "next_page_token": None})
        empty = {name: [], "symbol": "NONE", "next_page_token": None}
        assert await market.get(f"/NONE/{name}", **more) == (200, empty)
        status, error = await market.get(f"/NONE/{name}/latest")
        assert (status, error["code"]) == (404, 40410000)
    assert (await market.get("/NONE/snapshot"))[0] == 404
    assert await market.get("/snapshots", symbols="NONE") == (200, {})


@pytest.mark.parametrize(
    "query",
    [
        {"symbols": ""},
        {"symbols": "AAA,,BBB"},
        {"symbols": "aaa"},
        {"symbols": ",".join(f"A{number}" for number in range(101))},
        {"start": "yesterday"},
        {"start": "2023-02-30"},
        {"start": "2023-02-03T25:00:00Z"},
        {"end": "1700000000"},
        {"limit": 0},
        {"limit": 10_001},
        {"limit": "many"},
        {"sort": "up"},
        {"feed": "ours"},
        {"currency": "EUR"},
        {"asof": "now"},
        {"page_token": "!"},
        {"unknown": 1},
        *({"timeframe": frame} for frame in ("60Min", "0Min", "24Hour", "2Day", "2Week", "5Month", "1Sec", "Min", "")),
    ],
)
async def test_what_no_request_says_is_refused(market: Market, query: dict[str, object]) -> None:
    name = "bars" if "timeframe" in query else "trades"
    status, error = await market.get(f"/{name}", **{"symbols": "AAA", **query})
    assert (status, set(error)) == (422, {"code", "message"})


@pytest.mark.parametrize("token", ["AAAA", "k6NBQUGSAAEB", "_" * 200, "k6NOTk6SAAEA", "x"])
async def test_a_token_of_no_answer_or_of_another_requests_is_refused(market: Market, token: str) -> None:
    status, error = await market.get("/trades", symbols="BBB", page_token=token)
    assert (status, error["code"]) == (400, 40010000)


async def test_times_beyond_any_clock_are_the_ends_of_time(market: Market) -> None:
    query = {"start": "0001-01-01T00:00:00+14:00", "end": "9999-12-31T23:59:59.999999999-14:00", "limit": 10_000}
    for name in ("trades", "quotes"):
        _, answer = await market.get(f"/AAA/{name}", **query)
        assert answer[name] == getattr(market, name)("AAA")
    for timeframe in ("1Min", "12Month"):
        _, answer = await market.get("/AAA/bars", timeframe=timeframe, **query)
        check_bars(answer["bars"], market.bars("AAA", timeframe))
    assert await market.get("/AAA/trades", start="2024-01-02", end="2024-01-01") == (
        200,
        {"trades": [], "symbol": "AAA", "next_page_token": None},
    )
