"""Quotes and bars as they follow from books and trades, and the fields Alpaca's market data shows them in.

Field names: https://docs.alpaca.markets/reference/stockbars, stocktrades, stockquotes. Prices are JSON numbers of
dollars, sizes of shares; a price of 0 with a size of 0 says that nobody bids, or offers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any, Final, NamedTuple

from trading.core.events import Traded
from trading.core.orders import BUY, NS_PER_S, Side
from trading.wire.feed import Levels, number_of
from trading.wire.orders import rfc3339

MINUTE_NS: Final = 60 * NS_PER_S
DAY_NS: Final = 24 * 60 * MINUTE_NS

# One market, which the codes of the consolidated tapes have no letter for: E is their "market independent".
EXCHANGE: Final = "E"
TAPE: Final = "C"
_REGULAR: Final = ["@"]
_AUCTION: Final = ["@", "X"]  # X: a cross
_TWO_SIDED: Final = ["R"]
_ONE_SIDED: Final = ["Y"]
_NOT_FIRM: Final = ["N"]  # nobody is there, or bids and offers that meet wait for an auction


# -- quotes ----------------------------------------------------------------------------------------


class Quote(NamedTuple):
    """The best price of each side in micro-dollars, and what rests there in micro-shares; zeros for an empty side."""

    bid_price_micros: int = 0
    bid_quantity: int = 0
    ask_price_micros: int = 0
    ask_quantity: int = 0


@dataclass(slots=True)
class _Best:
    """One side's levels and, on top of a heap, its best price. Prices of levels that are gone sink out of it later."""

    sign: int  # -1 for bids, so that the least key is the best
    levels: Levels = field(default_factory=dict)
    _heap: list[int] = field(default_factory=list)
    _known: set[int] = field(default_factory=set)

    def set(self, price_micros: int, size: int) -> None:
        if size:
            self.levels[price_micros] = size
            if price_micros not in self._known:
                self._known.add(price_micros)
                heappush(self._heap, self.sign * price_micros)
        else:
            self.levels.pop(price_micros, None)

    def top(self) -> tuple[int, int]:
        heap, levels = self._heap, self.levels
        while heap:
            price_micros = self.sign * heap[0]
            if price_micros in levels:
                return price_micros, levels[price_micros]
            self._known.discard(self.sign * heappop(heap))
        return 0, 0


class BestQuote:
    """One symbol's quote, kept up to date from its levels' sizes."""

    def __init__(self, levels: Iterable[tuple[Side, int, int]] = ()) -> None:
        """``levels``: side, price in micro-dollars, size in micro-shares."""
        self._bids, self._asks = _Best(-1), _Best(1)
        self.quote = Quote()
        self.change(levels)

    def size(self, side: Side, price_micros: int) -> int:
        return (self._bids if side is BUY else self._asks).levels.get(price_micros, 0)

    def change(self, levels: Iterable[tuple[Side, int, int]]) -> Quote | None:
        """Takes the new sizes of levels, 0 for one that is gone. Returns the quote if that changed it."""
        for side, price_micros, size in levels:
            (self._bids if side is BUY else self._asks).set(price_micros, size)
        quote = Quote(*self._bids.top(), *self._asks.top())
        if quote == self.quote:
            return None
        self.quote = quote
        return quote


def quote_fields(quote: Quote, at_ns: int) -> dict[str, Any]:
    return {
        "t": rfc3339(at_ns),
        "ax": EXCHANGE,
        "ap": number_of(quote.ask_price_micros),
        "as": number_of(quote.ask_quantity),
        "bx": EXCHANGE,
        "bp": number_of(quote.bid_price_micros),
        "bs": number_of(quote.bid_quantity),
        "c": _conditions(quote),
        "z": TAPE,
    }


def _conditions(quote: Quote) -> list[str]:
    if quote.bid_quantity and quote.ask_quantity:
        return _TWO_SIDED if quote.bid_price_micros < quote.ask_price_micros else _NOT_FIRM
    return _ONE_SIDED if quote.bid_quantity or quote.ask_quantity else _NOT_FIRM


# -- trades ----------------------------------------------------------------------------------------


def trade_fields(*, trade_id: int, at_ns: int, price_micros: int, quantity: int, auction: bool) -> dict[str, Any]:
    return {
        "t": rfc3339(at_ns),
        "x": EXCHANGE,
        "p": number_of(price_micros),
        "s": number_of(quantity),
        "c": _AUCTION if auction else _REGULAR,
        "i": trade_id,
        "z": TAPE,
    }


# -- bars ------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Bar:
    """Some time's trades in one symbol. ``value`` is the sum of price times quantity, in millionths of millionths."""

    symbol: str
    start_ns: int
    open_micros: int
    high_micros: int
    low_micros: int
    close_micros: int
    volume: int
    trades: int
    value: int
    first_trade_id: int
    last_trade_id: int

    def add(self, trade: Traded) -> None:
        price_micros = trade.price_micros
        self.high_micros = max(self.high_micros, price_micros)
        self.low_micros = min(self.low_micros, price_micros)
        self.close_micros = price_micros
        self.volume += trade.quantity
        self.trades += 1
        self.value += price_micros * trade.quantity
        self.last_trade_id = trade.trade_id


def bar_of(trade: Traded, start_ns: int) -> Bar:
    """A bar of this one trade."""
    price_micros, quantity, number = trade.price_micros, trade.quantity, trade.trade_id
    prices = (price_micros, price_micros, price_micros, price_micros)
    return Bar(trade.symbol, start_ns, *prices, quantity, 1, price_micros * quantity, number, number)


class MinuteBars:
    """The bars of the minute that is open, for all symbols. Time never goes back from one trade to the next."""

    def __init__(self, open_bars: Iterable[Bar] = ()) -> None:
        self.open: dict[str, Bar] = {bar.symbol: bar for bar in open_bars}
        self._start_ns = max((bar.start_ns for bar in self.open.values()), default=0)

    def add(self, trade: Traded, at_ns: int) -> list[Bar]:
        """Returns the bars that are finished now: those of earlier minutes. ``open[symbol]`` has the trade in it."""
        start_ns = at_ns - at_ns % MINUTE_NS
        finished = self.finish(at_ns)
        bar = self.open.get(trade.symbol)
        if bar is None:
            self.open[trade.symbol] = bar_of(trade, start_ns)
        else:
            bar.add(trade)
        return finished

    def finish(self, now_ns: int) -> list[Bar]:
        """The bars of minutes that are over at ``now_ns``, each once, by symbol."""
        start_ns = now_ns - now_ns % MINUTE_NS
        if start_ns <= self._start_ns:
            return []
        self._start_ns = start_ns
        finished = sorted(self.open.values(), key=lambda bar: bar.symbol)
        self.open = {}
        return finished


def bar_fields(bar: Bar) -> dict[str, Any]:
    return {
        "t": f"{rfc3339(bar.start_ns)[:19]}Z",
        "o": number_of(bar.open_micros),
        "h": number_of(bar.high_micros),
        "l": number_of(bar.low_micros),
        "c": number_of(bar.close_micros),
        "v": number_of(bar.volume),
        "n": bar.trades,
        "vw": number_of((2 * bar.value + bar.volume) // (2 * bar.volume)),  # to the nearest millionth
    }
