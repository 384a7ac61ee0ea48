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

    def find(self, account_id: AccountId, client_order_id: str) -> OrderId | None:
        placed = self._placed.get(account_id, {}).get(client_order_id)
        return None if placed is None else placed[0]

    def answer(self, command: PlaceOrder) -> Repeated | Refused | None:
        """The answer to an order whose client_order_id was accepted before; None when it is new."""
        placed = self._placed.get(command.account_id)
        if placed is None or (found := placed.get(command.client_order_id)) is None:
            return None
        order_id = found[0]
        if found == (order_id, self._kinds.get(_kind(command)), command.quantity, command.limit_price_micros):
            return Repeated(order_id)
        message = f"client_order_id {command.client_order_id!r} belongs to order {order_id}, which has other terms"
        return Refused(RejectReason.CLIENT_ORDER_ID_REUSED, message)

    def remember(self, command: PlaceOrder, order_id: OrderId) -> None:
        kind = self._kinds.setdefault(_kind(command), len(self._kinds))
        placed = self._placed.setdefault(command.account_id, {})
        placed[command.client_order_id] = (order_id, kind, command.quantity, command.limit_price_micros)


def _kind(command: PlaceOrder) -> Kind:
    return command.symbol, command.side, command.order_type, command.time_in_force
