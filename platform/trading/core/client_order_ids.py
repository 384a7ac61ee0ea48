"""Exactly once: the latest client_order_ids that were accepted, with what was asked for under them.

They are unique for ever, but a core that kept them for ever would grow with its history. It keeps the latest
``WINDOW``; whoever feeds it commands looks older ones up in the journal first, once any were ``forgotten``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final, TypeAlias

from trading.core.commands import PlaceOrder, ReplaceOrder
from trading.core.events import Refused, Repeated
from trading.core.orders import AccountId, OrderId, RejectReason

WINDOW: Final = 100_000

Request: TypeAlias = PlaceOrder | ReplaceOrder
Placed: TypeAlias = tuple[OrderId, Request]


class ClientOrderIds:
    def __init__(self, window: int = WINDOW) -> None:
        self._placed: dict[tuple[AccountId, str], Placed] = {}
        self._order: deque[tuple[AccountId, str]] = deque()
        self._window = window
        self.forgotten = 0

    def __iter__(self) -> Iterator[Placed]:
        """Oldest first."""
        return (self._placed[key] for key in self._order)

    def find(self, account_id: AccountId, client_order_id: str) -> OrderId | None:
        placed = self._placed.get((account_id, client_order_id))
        return None if placed is None else placed[0]

    def answer(self, request: Request) -> Repeated | Refused | None:
        """The answer to a request whose client_order_id was accepted before; None when it is new."""
        placed = self._placed.get((request.account_id, request.client_order_id))
        return None if placed is None else answer_again(request, *placed)

    def remember(self, request: Request, order_id: OrderId) -> None:
        key = (request.account_id, request.client_order_id)
        self._placed[key] = (order_id, request)
        self._order.append(key)
        if len(self._order) > self._window:
            del self._placed[self._order.popleft()]
            self.forgotten += 1


def answer_again(request: Request, order_id: OrderId, before: Request) -> Repeated | Refused:
    """Was the same asked for when ``order_id`` was accepted? Only the time may differ."""
    if type(request) is type(before) and request[1:] == before[1:]:
        return Repeated(order_id)
    message = f"client_order_id {request.client_order_id!r} belongs to order {order_id}, which has other terms"
    return Refused(RejectReason.CLIENT_ORDER_ID_REUSED, message)
