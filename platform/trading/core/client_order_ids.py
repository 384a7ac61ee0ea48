"""Exactly once: every client_order_id ever accepted, with just enough of its order to recognise a retry.

This is the one part of the exchange that grows with history, so it keeps plain integers in plain tuples: small, and
soon ignored by the garbage collector.
"""

from __future__ import annotations

from typing import TypeAlias

from trading.core.commands import PlaceOrder
from trading.core.events import Refused, Repeated
from trading.core.orders import AccountId, OrderId, OrderType, RejectReason, Side, Symbol, TimeInForce

Kind: TypeAlias = tuple[Symbol, Side, OrderType, TimeInForce]
Placed: TypeAlias = tuple[OrderId, int, int, int | None]  # with the number of its kind, quantity, limit price


class ClientOrderIds:
    def __init__(self) -> None:
        self._kinds: dict[Kind, int] = {}
        self._placed: dict[AccountId, dict[str, Placed]] = {}

    def open(self, account_id: AccountId) -> None:
        self._placed[account_id] = {}

    def find(self, account_id: AccountId, client_order_id: str) -> OrderId | None:
        placed = self._placed.get(account_id, {}).get(client_order_id)
        return None if placed is None else placed[0]

    def answer(self, command: PlaceOrder) -> Repeated | Refused | None:
        """The answer to an order whose client_order_id was accepted before; None when it is new."""
        placed = self._placed[command.account_id].get(command.client_order_id)
        if placed is None:
            return None
        order_id, kind = placed[0], self._kinds.get(command[3:7])
        if placed == (order_id, kind, command.quantity, command.limit_price_micros):
            return Repeated(order_id)
        message = f"client_order_id {command.client_order_id!r} belongs to order {order_id}, which has other terms"
        return Refused(RejectReason.CLIENT_ORDER_ID_REUSED, message)

    def remember(self, command: PlaceOrder, order_id: OrderId) -> None:
        _, account_id, client_order_id, symbol, side, order_type, time_in_force, quantity, limit_micros = command
        kind = self._kinds.setdefault((symbol, side, order_type, time_in_force), len(self._kinds))
        self._placed[account_id][client_order_id] = (order_id, kind, quantity, limit_micros)
