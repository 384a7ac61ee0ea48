"""One market as its traders see it: its terms, what the asset is worth, and the quotes of the last while."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from simulator.days.clock import MarketClock
from simulator.days.fundamental import Fundamental
from trading.core.order_book import BookSide
from trading.core.orders import Instrument, Phase, Side, Symbol


class Quote(NamedTuple):
    """The best prices (None: nobody there), the last trade's price, and the micro-shares traded so far."""

    at_ns: int
    bid_micros: int | None
    bid_quantity: int
    ask_micros: int | None
    ask_quantity: int
    last_micros: int
    volume: int

    @property
    def mid_micros(self) -> float:
        """The middle, else the last price."""
        if self.bid_micros is None or self.ask_micros is None:
            return float(self.last_micros)
        return (self.bid_micros + self.ask_micros) / 2

    def touch(self, side: Side) -> int | None:
        """The best price an order of this side would meet."""
        return self.ask_micros if side is Side.BUY else self.bid_micros


@dataclass(slots=True)
class Listing:
    """One market: its terms, what it is worth, and the quotes of the last while."""

    instrument: Instrument
    fundamental: Fundamental
    clock: MarketClock
    bids: BookSide
    asks: BookSide
    quotes: list[Quote]
    phase: Phase = Phase.CLOSED
    last_micros: int = 0
    volume: int = 0
    halts: int = 0

    @property
    def symbol(self) -> Symbol:
        return self.instrument.symbol

    @property
    def tick_micros(self) -> int:
        return self.instrument.tick_micros

    def quote_at(self, at_ns: int) -> Quote:
        for quote in reversed(self.quotes):  # nobody is so far away that there are many in between
            if quote[0] <= at_ns:
                return quote
        return self.quotes[0]
