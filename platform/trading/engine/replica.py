"""One engine's copy of the market: the exchange and the open orders, advanced by commands or by journal records."""

from __future__ import annotations

from copy import copy
from typing import Any, Final, NamedTuple, Self

from trading.core.commands import Command
from trading.core.events import Event, LedgerPosted, Refused, Repeated
from trading.core.exchange import Exchange, symbol_of
from trading.core.orders import OPEN_STATUSES, OrderId, Side
from trading.core.replay import check_repeated
from trading.core.running_hash import RunningHash
from trading.core.state import State, restore, state_of
from trading.infra.journal import Batch
from trading.wire.journal import JournalRecord, decode_command, decode_events, encode_events
from trading.wire.orders import OrderView, fold
from trading.wire.snapshot import decode_snapshot, encode_snapshot

# To compare three is quicker than to hash one.
_OPEN: Final = tuple(OPEN_STATUSES)


class StateDiffersError(Exception):
    """Two states that must be the same are not: one of them is wrong, and nobody knows which."""


class Frozen(NamedTuple):
    """One moment of a replica, to be checked and encoded later, and in a thread."""

    state: State
    orders: list[OrderView]
    state_hash: str  # as it was kept up to date, row by touched row

    def encode(self) -> bytes:
        return encode_snapshot(self.state, self.orders)


class Replica:
    def __init__(self) -> None:
        self.exchange = Exchange()
        self._hash: RunningHash | None = None  # from the first time it is asked for; a recovery is quicker without it
        self._open: dict[OrderId, OrderView] = {}

    @property
    def sequence(self) -> int:
        return self.exchange.sequence

    @property
    def at_ns(self) -> int:
        """When the last record was stamped."""
        return self.exchange.now_ns

    def execute(self, command: Command, *, epoch: int, batch: Batch) -> JournalRecord | Refused | Repeated:
        """Applies a new command; what it changed is added to ``batch``, which must become durable before any answer."""
        outcome = self.exchange.apply(command)
        if not isinstance(outcome, list):
            return outcome
        if self._hash:
            self._hash.touch(outcome)
        record = self._record(command, outcome, epoch)
        touched = fold(self._open, outcome, sequence=record.sequence, at_ns=record.at_ns)
        for order_id in touched:
            batch.orders[order_id] = self._open[order_id]
        self._drop_closed(touched)
        for key in _touched_balances(outcome):
            batch.balances[key] = (*self.exchange.balance(*key), self.exchange.cost(*key))
        return record

    def replay(self, command_text: str, events_text: str) -> None:
        """Applies a record that is durable already. Raises ReplayError when it does not repeat itself: do not serve.

        What happens now is compared as it would be written: writing takes a fraction of reading.
        """
        exchange, command = self.exchange, decode_command(command_text)
        sequence = exchange.sequence + 1
        outcome = exchange.apply(command)
        if not isinstance(outcome, list) or encode_events(outcome) != events_text.encode():
            check_repeated(sequence, command, decode_events(events_text), outcome)
            assert isinstance(outcome, list)
        if self._hash:
            self._hash.touch(outcome)
        self._drop_closed(fold(self._open, outcome, sequence=sequence, at_ns=command.at_ns))

    def state_hash(self) -> str:
        """Of the whole state, at the cost of what has changed since it was asked last."""
        if self._hash is None:
            self._hash = RunningHash(self.exchange)
        return self._hash.digest()

    def freeze(self) -> Frozen:
        return Frozen(state_of(self.exchange), [copy(order) for order in self._open.values()], self.state_hash())

    @classmethod
    def restored(cls, snapshot: bytes) -> Self:
        """Goes on as the one that was frozen. Raises SnapshotFormatError."""
        state, orders = decode_snapshot(snapshot)
        replica = cls()
        replica.exchange = restore(state)
        replica._open = {order.order_id: order for order in orders}
        return replica

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

    def _drop_closed(self, touched: set[OrderId]) -> None:
        """Lets go of orders that have ended; the database keeps them."""
        for order_id in touched:
            order = self._open[order_id]
            if order.place is None and order.status not in _OPEN:  # what has a place in a book is open
                del self._open[order_id]


def _touched_balances(events: list[Event]) -> set[tuple[Any, str]]:
    return {
        (account_id, event.asset)
        for event in events
        if isinstance(event, LedgerPosted)
        for account_id in (event.debit_account_id, event.credit_account_id)
        if account_id != 0
    }
