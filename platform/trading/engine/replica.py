"""One engine's copy of the market: the exchange and the open orders, advanced by commands or by journal records."""

from __future__ import annotations

from typing import Any

from trading.core.commands import Command
from trading.core.events import Event, LedgerPosted, Refused, Repeated
from trading.core.exchange import Exchange, symbol_of
from trading.core.orders import OPEN_STATUSES, OrderId, Side
from trading.core.replay import follow
from trading.core.state import state_of
from trading.infra.journal import Batch
from trading.wire.journal import JournalRecord
from trading.wire.orders import OrderView, fold


class Replica:
    def __init__(self) -> None:
        self.exchange = Exchange()
        self.at_ns = 0  # of the last record
        self._open: dict[OrderId, OrderView] = {}

    @property
    def sequence(self) -> int:
        return self.exchange.sequence

    def execute(self, command: Command, *, epoch: int, batch: Batch) -> JournalRecord | Refused | Repeated:
        """Applies a new command; what it changed is added to ``batch``, which must become durable before any answer."""
        outcome = self.exchange.apply(command)
        if not isinstance(outcome, list):
            return outcome
        record = self._record(command, outcome, epoch)
        touched = self._fold(record)
        self.at_ns = command.at_ns
        for order_id in touched:
            batch.orders[order_id] = self._open[order_id]
        self._drop_closed(touched)
        for key in _touched_balances(outcome):
            batch.balances[key] = self.exchange.balance(*key)
        return record

    def replay(self, record: JournalRecord) -> None:
        """Applies a record that is durable already. Raises ReplayError when it does not repeat itself: do not serve."""
        follow(self.exchange, record.command, record.events)
        self.at_ns = record.at_ns
        self._drop_closed(self._fold(record))

    def state_hash(self) -> str:
        return state_of(self.exchange).hash()

    def full_state(self) -> dict[str, Any]:
        """The whole state's hash with the books, all of one moment."""
        symbols = sorted(self.exchange.symbols())
        return {
            "sequence": self.sequence,
            "symbols": {symbol: self.exchange.symbol_sequence(symbol) for symbol in symbols},
            "state_hash": self.state_hash(),
            "books": {
                symbol: {
                    "bids": self.exchange.book(symbol).levels(Side.BUY),
                    "asks": self.exchange.book(symbol).levels(Side.SELL),
                }
                for symbol in symbols
            },
        }

    def _record(self, command: Command, events: list[Event], epoch: int) -> JournalRecord:
        symbol = symbol_of(events)
        return JournalRecord(
            sequence=self.sequence,
            epoch=epoch,
            at_ns=command.at_ns,
            symbol=symbol,
            symbol_sequence=None if symbol is None else self.exchange.symbol_sequence(symbol),
            command=command,
            events=events,
        )

    def _fold(self, record: JournalRecord) -> set[OrderId]:
        return fold(self._open, record.events, sequence=record.sequence, at_ns=record.at_ns)

    def _drop_closed(self, touched: set[OrderId]) -> None:
        """Lets go of orders that have ended; the database keeps them."""
        for order_id in touched:
            if self._open[order_id].status not in OPEN_STATUSES:
                del self._open[order_id]


def _touched_balances(events: list[Event]) -> set[tuple[Any, str]]:
    return {
        (account_id, event.asset)
        for event in events
        if isinstance(event, LedgerPosted)
        for account_id in (event.debit_account_id, event.credit_account_id)
        if account_id != 0
    }
