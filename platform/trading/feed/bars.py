"""Bars of the running minute and day, and those that are finished or came to change afterwards."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from trading.core.events import Traded
from trading.feed.messages import Message, bar_message
from trading.wire.market_data import DAY_NS, MINUTE_NS, Bar, MinuteBars, bar_of

BARS: Final = "bars"
UPDATED_BARS: Final = "updatedBars"
DAILY_BARS: Final = "dailyBars"


class Bars:
    """A minute is over as soon as anything of a later one is known, or the clock says so.

    A trade that comes after that changes a bar that was told already: it is told again, as an updated one.
    """

    def __init__(self, minutes: Iterable[Bar] = (), days: Iterable[Bar] = ()) -> None:
        self._minutes = MinuteBars(minutes)
        self._days = {bar.symbol: bar for bar in days}
        self._told: dict[str, Bar] = {}
        self._late: dict[str, Bar] = {}
        self._over_ns = 0  # everything before it is told

    @classmethod
    def loaded(cls, bars: Iterable[Bar]) -> Bars:
        """From the day's bars in the order of time, each of a minute or of part of one."""
        minutes: dict[str, Bar] = {}
        days: dict[str, Bar] = {}
        newest_ns = 0
        for bar in bars:
            if bar.start_ns > newest_ns:
                newest_ns = bar.start_ns
                minutes.clear()
            _merge(minutes, bar, bar.start_ns)
            _merge(days, bar, day_start_ns(bar.start_ns))
        return cls(minutes.values(), days.values())

    def add(self, trade: Traded, at_ns: int) -> None:
        """``finish`` has been called with ``at_ns`` before."""
        self._add_to_day(trade, day_start_ns(at_ns))
        start_ns = at_ns - at_ns % MINUTE_NS
        if start_ns >= self._over_ns:
            self._minutes.add(trade, at_ns)
            return
        told = self._told.get(trade.symbol)
        if told is not None and told.start_ns == start_ns:
            told.add(trade)
        else:
            told = self._told[trade.symbol] = bar_of(trade, start_ns)
        self._late[trade.symbol] = told

    def finish(self, now_ns: int) -> list[tuple[str, str, Message]]:
        """Channel, symbol and message of every bar that is to be told at ``now_ns``."""
        if now_ns < self._over_ns + MINUTE_NS and not self._late:
            return []
        messages = [(UPDATED_BARS, symbol, bar_message("u", bar)) for symbol, bar in self._late.items()]
        self._late.clear()
        for bar in self._minutes.finish(now_ns):
            self._told[bar.symbol] = bar
            messages.append((BARS, bar.symbol, bar_message("b", bar)))
            messages.append((DAILY_BARS, bar.symbol, bar_message("d", self._days[bar.symbol])))
        self._over_ns = max(self._over_ns, now_ns - now_ns % MINUTE_NS)
        return messages

    def _add_to_day(self, trade: Traded, start_ns: int) -> None:
        day = self._days.get(trade.symbol)
        if day is None or day.start_ns != start_ns:
            self._days[trade.symbol] = bar_of(trade, start_ns)
        else:
            day.add(trade)


def _merge(bars: dict[str, Bar], later: Bar, start_ns: int) -> None:
    bar = bars.get(later.symbol)
    if bar is None:
        bars[later.symbol] = replace(later, start_ns=start_ns)
        return
    bar.high_micros = max(bar.high_micros, later.high_micros)
    bar.low_micros = min(bar.low_micros, later.low_micros)
    bar.close_micros = later.close_micros
    bar.volume += later.volume
    bar.trades += later.trades
    bar.value += later.value
    bar.last_trade_id = later.last_trade_id


def day_start_ns(at_ns: int) -> int:
    """Midnight UTC, where days begin in all market data here."""
    return at_ns - at_ns % DAY_NS
