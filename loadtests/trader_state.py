"""What a trader knows of its own business, from the answers it got: what cancels and replacements are aimed at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from msgspec.structs import replace

from loadtests.intended import IntendedOperation, Kind
from trading.core.orders import OPEN_STATUSES, OrderStatus, Side

_KEPT: Final = 1_000  # open orders and unclear ones; the oldest are forgotten first


class OpenOrder(NamedTuple):
    client_order_id: str
    order_id: str
    symbol: str
    side: Side


@dataclass(slots=True)
class TraderState:
    """One account's: ``open`` by client_order_id, oldest first; ``positions`` in shares, as far as answers told;
    ``unclear`` holds orders that were sent and not answered."""

    open: dict[str, OpenOrder] = field(default_factory=dict)
    positions: dict[str, float] = field(default_factory=dict)
    unclear: dict[str, None] = field(default_factory=dict)

    def aim(self, operation: IntendedOperation) -> tuple[IntendedOperation, OpenOrder | None]:
        """The operation at a live order: the one it was drawn for, or the oldest where that is known to have ended.

        None: no order's id is known. A target is given out once.
        """
        name = operation.replaces if operation.kind is Kind.REPLACE else operation.client_order_id
        target = self.open.pop(name or "", None)
        if target is None and name not in self.unclear and self.open:
            target = self.open.pop(next(iter(self.open)))
        return (operation if target is None else retargeted(operation, target)), target

    def sent(self, client_order_id: str) -> None:
        self.unclear[client_order_id] = None
        _limit(self.unclear)

    def answered(self, client_order_id: str) -> None:
        """Whatever the answer was, it is clear now."""
        self.unclear.pop(client_order_id, None)

    def add(self, order: OpenOrder, status: str, filled: float) -> None:
        """A new order as its answer tells it; ``filled`` shares change the position."""
        if filled:
            signed = filled if order.side is Side.BUY else -filled
            self.positions[order.symbol] = self.positions.get(order.symbol, 0.0) + signed
        self.see(order, status)

    def see(self, order: OpenOrder, status: str) -> None:
        """An order of before, as it is now."""
        if status and status not in _OPEN:
            self.open.pop(order.client_order_id, None)
            return
        self.open.setdefault(order.client_order_id, order)
        _limit(self.open)

    def set_positions(self, positions: Iterable[tuple[str, float]]) -> None:
        self.positions = dict(positions)


_OPEN: Final = frozenset(OrderStatus(status).value for status in OPEN_STATUSES)


def retargeted(operation: IntendedOperation, target: OpenOrder) -> IntendedOperation:
    """A replacement stays on its target's side of the market, which is not always the side it was drawn for: its
    target may itself have replaced another order than was drawn.
    """
    if operation.kind is not Kind.REPLACE:
        return replace(operation, client_order_id=target.client_order_id, symbol=target.symbol)
    if (operation.replaces, operation.symbol, operation.side) == (target.client_order_id, target.symbol, target.side):
        return operation
    ticks = abs(operation.price_offset_ticks or 1)
    return replace(
        operation,
        replaces=target.client_order_id,
        symbol=target.symbol,
        side=target.side,
        price_offset_ticks=ticks if target.side is Side.SELL else -ticks,
    )


def _limit(kept: dict[str, OpenOrder] | dict[str, None]) -> None:
    if len(kept) > _KEPT:
        del kept[next(iter(kept))]
