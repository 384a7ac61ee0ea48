"""Trades, quotes and bars out of the database, so much at once that no request can scan all there ever was.

Trades are the fills. Bars are made of the recorder's minute bars and of the trades it has not come to yet, so they are
up to date even while nobody records; quotes are as late as the recorder writes them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias

import asyncpg
import msgspec

from trading.api.market_data_requests import MAX_NS, Cursor, Timeframe, Unit
from trading.core.orders import NS_PER_S
from trading.infra.aged_reads import AgedReads
from trading.wire.market_data import DAY_NS, MINUTE_NS, Bar, Quote, bar_fields, quote_fields, trade_fields

CONNECTIONS: Final = 4
_ROWS_AT_ONCE: Final = 200  # encoded before other requests have their turn
_encode: Final = msgspec.json.Encoder().encode

Fields: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Window:
    """From the first to the last nanosecond, both within."""

    start_ns: int
    end_ns: int
    descending: bool


class Item(NamedTuple):
    cursor: Cursor
    fields: msgspec.Raw


# The two sides of a trade are one here.
_TRADE: Final = "trade_id, at_ns, price_micros, quantity, liquidity = 'auction' AS auction"

# Fills are found by their number, and times by the numbers in the minute bars: an index by time would cost every order.
_TRADES: Final = f"""
SELECT {_TRADE} FROM fills WHERE symbol = $1 AND side = 'buy' AND trade_id BETWEEN
    greatest($2, coalesce(
        (SELECT first_trade_id FROM minute_bars WHERE symbol = $1 AND start_ns > $4 - {MINUTE_NS}
         ORDER BY start_ns LIMIT 1),
        (SELECT last_trade_id + 1 FROM market_data_progress), 0))
    AND least($3, coalesce(
        (SELECT first_trade_id - 1 FROM minute_bars WHERE symbol = $1 AND start_ns > $5 ORDER BY start_ns LIMIT 1),
        {MAX_NS}))
AND at_ns BETWEEN $4 AND $5 ORDER BY trade_id {{direction}} LIMIT $6
"""

_QUOTE: Final = "at_ns, symbol_sequence, bid_price_micros, bid_quantity, ask_price_micros, ask_quantity"
_QUOTES: Final = f"""
SELECT {_QUOTE} FROM quotes
WHERE symbol = $1 AND at_ns BETWEEN $2 AND $3 AND (at_ns, symbol_sequence) {{beyond}} ($4, $5)
ORDER BY at_ns {{direction}}, symbol_sequence {{direction}} LIMIT $6
"""

_LATEST_TRADES: Final = f"""
SELECT s.symbol, latest.* FROM unnest($1::text[]) AS s (symbol) CROSS JOIN LATERAL (
    SELECT {_TRADE} FROM fills WHERE symbol = s.symbol AND side = 'buy' ORDER BY trade_id DESC LIMIT 1
) AS latest
"""
_LATEST_QUOTES: Final = f"""
SELECT s.symbol, latest.* FROM unnest($1::text[]) AS s (symbol) CROSS JOIN LATERAL (
    SELECT {_QUOTE} FROM quotes WHERE symbol = s.symbol ORDER BY at_ns DESC, symbol_sequence DESC LIMIT 1
) AS latest
"""

# $1 symbols, $2 and $3 the first and last bar's beginning, $4 bars, $5 minutes to read, $6 width, $7 longest bar in ns.
# No bar has more minutes than it is wide, so so many minutes hold all bars that are asked for. A trade that is in no
# minute bar yet counts as a bar of its own.
_BARS: Final = f"""
SELECT s.symbol, bar.* FROM unnest($1::text[]) AS s (symbol) CROSS JOIN LATERAL (
    SELECT * FROM (
        SELECT {{bucket}} AS start_ns,
            (min(ARRAY[first_trade_id, open_micros]))[2] AS open_micros, max(high_micros) AS high_micros,
            min(low_micros) AS low_micros, (max(ARRAY[last_trade_id, close_micros]))[2] AS close_micros,
            sum(volume) AS volume, sum(trades) AS trades, sum(value) AS value,
            min(first_trade_id) AS first_trade_id, max(last_trade_id) AS last_trade_id
        FROM (
            (SELECT start_ns AS minute_ns, open_micros, high_micros, low_micros, close_micros, volume, trades, value,
                first_trade_id, last_trade_id
            FROM minute_bars WHERE symbol = s.symbol AND start_ns BETWEEN $2 AND least($3, {MAX_NS} - $7) + $7
            ORDER BY start_ns {{direction}} LIMIT $5)
            UNION ALL
            SELECT at_ns - at_ns % {MINUTE_NS}, price_micros, price_micros, price_micros, price_micros, quantity, 1,
                price_micros::numeric * quantity, trade_id, trade_id
            FROM fills WHERE symbol = s.symbol AND side = 'buy'
            AND trade_id > coalesce((SELECT last_trade_id FROM market_data_progress), 0)
        ) AS minutes GROUP BY 1
    ) AS bars WHERE start_ns BETWEEN $2 AND $3 ORDER BY start_ns {{direction}} LIMIT $4
) AS bar
"""

_MONTHS: Final = """
extract(epoch FROM date_trunc('month', {utc}) - make_interval(months => (extract(month FROM {utc})::int - 1) % $6::int)
)::bigint * {second}
""".replace("{utc}", f"(to_timestamp(minute_ns / {NS_PER_S}) AT TIME ZONE 'UTC')").replace("{second}", str(NS_PER_S))
_MONDAY_NS: Final = 4 * DAY_NS  # the first one after the epoch
_BUCKETS: Final = {
    Unit.DAY: f"minute_ns - minute_ns % {DAY_NS} % $6::bigint",
    Unit.WEEK: f"minute_ns - (minute_ns - {_MONDAY_NS}) % $6::bigint",
    Unit.MONTH: _MONTHS,
}


# -- series ------------------------------------------------------------------------------------------


class MarketData:
    """Raises DatabaseError."""

    def __init__(self, history: AgedReads) -> None:
        self._history = history

    async def trades(self, symbol: str, window: Window, after: Cursor | None, count: int) -> list[Item]:
        """The first ``count`` in the window beyond ``after``."""
        _, number = after or (0, MAX_NS if window.descending else -1)
        first, last = (0, number - 1) if window.descending else (number + 1, MAX_NS)
        query = _TRADES.format(direction=_direction(window))
        rows = await self._fetch(query, symbol, first, last, window.start_ns, window.end_ns, count)
        return await _items(rows, _place_of_trade, _shown_trade)

    async def quotes(self, symbol: str, window: Window, after: Cursor | None, count: int) -> list[Item]:
        after = after or ((MAX_NS, MAX_NS) if window.descending else (-1, -1))
        query = _QUOTES.format(direction=_direction(window), beyond="<" if window.descending else ">")
        rows = await self._fetch(query, symbol, window.start_ns, window.end_ns, *after, count)
        return await _items(rows, _place_of_quote, _shown_quote)

    async def bars(
        self, symbol: str, window: Window, after: Cursor | None, count: int, *, timeframe: Timeframe
    ) -> list[Item]:
        """Those that begin within the window, each whole; the last one may still be forming."""
        first_ns, last_ns = window.start_ns, window.end_ns
        if after is not None and window.descending:
            last_ns = min(last_ns, after[0] - 1)
        elif after is not None:
            first_ns = max(first_ns, after[0] + 1)
        rows = await self._bars([symbol], Window(first_ns, last_ns, window.descending), count, timeframe)
        rows.sort(key=_start_of_bar, reverse=window.descending)
        return await _items(rows, _place_of_bar, _shown_bar)

    # -- the latest, by symbol -------------------------------------------------------------------------

    async def latest_trades(self, symbols: Sequence[str]) -> dict[str, Fields]:
        rows = await self._fetch(_LATEST_TRADES, symbols)
        return {row["symbol"]: _shown_trade(row) for row in rows}

    async def latest_quotes(self, symbols: Sequence[str]) -> dict[str, Fields]:
        rows = await self._fetch(_LATEST_QUOTES, symbols)
        return {row["symbol"]: _shown_quote(row) for row in rows}

    async def latest_bars(
        self, symbols: Sequence[str], timeframe: Timeframe, count: int = 1
    ) -> dict[str, list[Fields]]:
        """Up to ``count`` of each symbol that has any, the newest first; symbols in the order of the alphabet."""
        rows = await self._bars(symbols, Window(0, MAX_NS, descending=True), count, timeframe)
        rows.sort(key=lambda row: (row["symbol"], -row["start_ns"]))
        found: dict[str, list[Fields]] = {}
        for row in rows:
            found.setdefault(row["symbol"], []).append(_shown_bar(row))
        return found

    async def _bars(
        self, symbols: Sequence[str], window: Window, count: int, timeframe: Timeframe
    ) -> list[asyncpg.Record]:
        query = _BARS.format(bucket=_BUCKETS[timeframe.unit], direction=_direction(window))
        minutes = (count + 1) * timeframe.most_minutes  # one bar more: the window may begin amid another one
        bounds = (window.start_ns, window.end_ns, count, minutes, timeframe.width, timeframe.longest_ns)
        return await self._fetch(query, symbols, *bounds)

    async def _fetch(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        return await self._history.run(lambda database: database.fetch(query, *arguments))


async def _items(
    rows: Iterable[asyncpg.Record], place: Callable[[asyncpg.Record], Cursor], shown: Callable[[asyncpg.Record], Fields]
) -> list[Item]:
    items: list[Item] = []
    for row in rows:
        items.append(Item(place(row), msgspec.Raw(_encode(shown(row)))))
        if len(items) % _ROWS_AT_ONCE == 0:
            await asyncio.sleep(0)
    return items


def _direction(window: Window) -> str:
    return "DESC" if window.descending else "ASC"


def _start_of_bar(row: asyncpg.Record) -> int:
    start_ns: int = row["start_ns"]
    return start_ns


def _place_of_bar(row: asyncpg.Record) -> Cursor:
    return row["start_ns"], 0


def _place_of_trade(row: asyncpg.Record) -> Cursor:
    return row["at_ns"], row["trade_id"]


def _place_of_quote(row: asyncpg.Record) -> Cursor:
    return row["at_ns"], row["symbol_sequence"]


def _shown_trade(row: asyncpg.Record) -> Fields:
    return trade_fields(
        trade_id=row["trade_id"],
        at_ns=row["at_ns"],
        price_micros=row["price_micros"],
        quantity=row["quantity"],
        auction=row["auction"],
    )


def _shown_quote(row: asyncpg.Record) -> Fields:
    prices = (row["bid_price_micros"], row["bid_quantity"], row["ask_price_micros"], row["ask_quantity"])
    return quote_fields(Quote(*prices), row["at_ns"])


def _shown_bar(row: asyncpg.Record) -> Fields:
    sums = {name: int(row[name]) for name in ("volume", "trades", "value")}
    return bar_fields(Bar(**{**row, **sums}))
