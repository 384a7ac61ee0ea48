"""A market's journal for tests, with its trades and quotes as the exchange itself had them after every record."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from tests.core.flow import LIVELY, Flow
from trading.core.commands import Command
from trading.core.events import Traded
from trading.core.exchange import Exchange, symbol_of
from trading.core.orders import BUY, SELL, Symbol
from trading.feed.tape import QuoteRow
from trading.wire.journal import JournalRecord
from trading.wire.market_data import Quote


class Print(NamedTuple):
    """One trade and when it was."""

    trade: Traded
    at_ns: int


@dataclass
class History:
    """Time runs ``stretch`` times as fast as in the flow, where a command comes every tenth of a second."""

    start_ns: int = 0
    stretch: int = 1
    exchange: Exchange = field(default_factory=Exchange)
    records: list[JournalRecord] = field(default_factory=list)
    prints: list[Print] = field(default_factory=list)
    quotes: list[QuoteRow] = field(default_factory=list)
    _flow: Flow | None = None
    _last: dict[Symbol, Quote] = field(default_factory=dict)

    def go_on(self, commands: int, seed: int = 1) -> list[JournalRecord]:
        """The records that so many more commands led to."""
        before = len(self.records)
        if self._flow is None:
            self._flow = Flow(Random(seed), LIVELY)
            for command in self._flow.opening():
                self._apply(command)
        for _ in range(commands):
            self._apply(self._flow.next())
        return self.records[before:]

    def _apply(self, command: Command) -> None:
        outcome = self.exchange.apply(command)
        assert self._flow is not None
        self._flow.saw(outcome)
        if not isinstance(outcome, list):
            return
        symbol = symbol_of(outcome)
        at_ns = self.start_ns + command.at_ns * self.stretch
        number = None if symbol is None else self.exchange.symbol_sequence(symbol)
        self.records.append(
            JournalRecord(
                sequence=self.exchange.sequence,
                epoch=0,
                at_ns=at_ns,
                symbol=symbol,
                symbol_sequence=number,
                command=command,
                events=outcome,
            )
        )
        self.prints += [Print(event, at_ns) for event in outcome if isinstance(event, Traded)]
        if symbol is not None and number is not None:
            self._look_at_book(symbol, at_ns, number)

    def _look_at_book(self, symbol: Symbol, at_ns: int, number: int) -> None:
        book = self.exchange.book(symbol)
        bids, asks = book.levels(BUY), book.levels(SELL)
        quote = Quote(*(bids[0] if bids else (0, 0)), *(asks[0] if asks else (0, 0)))
        if quote != self._last.get(symbol, Quote()):
            self._last[symbol] = quote
            self.quotes.append(QuoteRow(symbol, at_ns, number, quote))
