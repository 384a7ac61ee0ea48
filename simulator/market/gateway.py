"""The seam between a market and an exchange: requests go in, answers come back by callback."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from reports.records import OutcomeKind
from trading.core.orders import OrderStatus, OrderType, Side, TimeInForce

MOST_LISTED: Final = 500  # open orders in one answer, the newest


class Action(StrEnum):
    PLACE = "place"
    CANCEL = "cancel"
    ORDER = "order"
    OPEN_ORDERS = "open_orders"
    POSITIONS = "positions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One operation of one account, meant to happen at ``at_s`` in the market's time.

    A cancel names the order by both ids; the order's own fields are those of a place.
    """

    at_s: float
    account: str
    action: Action
    symbol: str
    client_order_id: str | None = None
    order_id: str | None = None
    side: Side | None = None
    order_type: OrderType | None = None
    time_in_force: TimeInForce | None = None
    quantity: int | None = None
    limit_price_micros: int | None = None
    stop_price_micros: int | None = None
    notional_micros: int | None = None  # instead of a quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderAnswer:
    """Quantities in whole shares, rounded down: a market's trader neither orders nor reckons in fractions."""

    order_id: str
    client_order_id: str
    side: Side
    status: OrderStatus
    quantity: int
    filled_quantity: int
    limit_price_micros: int | None
    average_price_micros: int | None


@dataclass(frozen=True, slots=True)
class Answer:
    """``orders``: the one placed or asked for, or all open ones. ``position``: whole shares held, where asked.

    ``ruled``: it was refused for what it asked, by a platform that is there. ``sent`` False: it never went out, as too
    many others were under way.
    """

    outcome: OutcomeKind
    orders: tuple[OrderAnswer, ...] = ()
    position: int | None = None
    ruled: bool = False
    sent: bool = True


class Gateway(Protocol):
    """Never blocks and never raises for what the other side does; ``on_answer`` is called exactly once."""

    def send(self, request: Request, on_answer: Callable[[Answer], None]) -> None: ...
