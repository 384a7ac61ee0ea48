"""The canonical state: everything two exchanges must agree on to be the same, as plain values, and its hash.

The values come from a live exchange (``state_of``) or from the database's tables (``State.of_rows``), so that a
journal replay, the database and the running engine can be compared by one line of text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

from trading.core.exchange import Exchange, OpenOrder
from trading.core.orders import AccountId, OrderId, OrderType, Side, Symbol, TimeInForce

_STATE_VERSION = 1


class InstrumentState(NamedTuple):
    symbol: Symbol
    tick_micros: int
    symbol_sequence: int  # commands that changed this market so far


class BalanceState(NamedTuple):
    account_id: AccountId
    asset: str
    available: int
    reserved: int


class OpenOrderState(NamedTuple):
    order_id: OrderId
    account_id: AccountId
    client_order_id: str
    symbol: Symbol
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    quantity: int
    limit_price_micros: int
    leaves: int


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Sorted and complete; open orders by symbol, side and price, and as they queue at each price."""

    instruments: tuple[InstrumentState, ...]
    accounts: tuple[AccountId, ...]
    balances: tuple[BalanceState, ...]
    open_orders: tuple[OpenOrderState, ...]
    sequence: int
    last_order_id: int
    last_trade_id: int

    @classmethod
    def of_rows(
        cls,
        *,
        instruments: Iterable[InstrumentState],
        accounts: Iterable[AccountId],
        balances: Iterable[BalanceState],
        open_orders: Iterable[OpenOrderState],
        sequence: int,
        last_order_id: int,
        last_trade_id: int,
    ) -> State:
        """From rows in any order, zero balances included. Within a level orders queue in the order of their ids."""
        return cls(
            instruments=tuple(sorted(instruments)),
            accounts=tuple(sorted(accounts)),
            balances=tuple(sorted(row for row in balances if row.available or row.reserved)),
            open_orders=tuple(sorted(open_orders, key=_by_level_and_id)),
            sequence=sequence,
            last_order_id=last_order_id,
            last_trade_id=last_trade_id,
        )

    def hash(self) -> str:
        """64 hexadecimal digits; equal exactly when the states are."""
        fields = [_STATE_VERSION, self.sequence, self.last_order_id, self.last_trade_id]
        rows = [self.instruments, self.accounts, self.balances, self.open_orders]
        return blake2b(json.dumps([fields, rows]).encode("ascii"), digest_size=32).hexdigest()


def state_of(exchange: Exchange) -> State:
    symbols = exchange.symbols()
    return State(
        instruments=tuple(
            InstrumentState(symbol, exchange.tick_micros(symbol), exchange.symbol_sequence(symbol))
            for symbol in symbols
        ),
        accounts=tuple(exchange.account_ids()),
        balances=tuple(BalanceState(*row) for row in exchange.balances()),
        open_orders=tuple(order for symbol in symbols for order in _open_orders(exchange, symbol)),
        sequence=exchange.sequence,
        last_order_id=exchange.last_order_id,
        last_trade_id=exchange.last_trade_id,
    )


def _open_orders(exchange: Exchange, symbol: Symbol) -> Iterable[OpenOrderState]:
    """In canonical order: the book's own queues, level by level."""
    for side in Side:
        rows = [_open_order(order) for order in exchange.open_orders(symbol, side)]
        yield from sorted(rows, key=lambda row: row.limit_price_micros)  # stable: each queue stays as it is


def _open_order(order: OpenOrder) -> OpenOrderState:
    return OpenOrderState(*order.accepted[:8], order.price_micros, order.leaves)


def _by_level_and_id(row: OpenOrderState) -> tuple[str, str, int, int]:
    return row.symbol, row.side, row.limit_price_micros, row.order_id
