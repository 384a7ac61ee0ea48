"""What the load means to do: one operation, the kinds there are, and what a whole schedule is drawn from."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import msgspec

from loadtests.arrivals import Arrivals, Poisson
from trading.core.orders import OrderType, Side, TimeInForce


class Kind(StrEnum):
    """The operations of a load trader, as the record names them."""

    PLACE = "place"
    REPLACE = "replace"
    CANCEL = "cancel"
    READ = "read"  # of the account
    POSITIONS = "positions"
    ORDERS = "orders"  # open orders
    LOOKUP = "lookup"  # an order, by its client_order_id
    LOGIN = "login"


class Flow(StrEnum):
    """What one arrival is meant to be, before it is known whether there is anything to cancel."""

    PASSIVE = "passive"
    MARKETABLE = "marketable"
    MARKET = "market"
    CANCEL = "cancel"
    REPLACE = "replace"
    READ = "read"
    POSITIONS = "positions"
    ORDERS = "orders"
    LOGIN = "login"


@dataclass(frozen=True, slots=True)
class Mix:
    """The share of each kind of flow; they need not sum to one."""

    passive: float = 0.0
    marketable: float = 0.0
    market: float = 0.0
    cancel: float = 0.0
    replace: float = 0.0
    read: float = 0.0  # the account, or by turns one order
    positions: float = 0.0
    orders: float = 0.0
    login: float = 0.0

    def shares(self) -> list[float]:
        weights: list[float] = [getattr(self, flow.value) for flow in Flow]
        return [weight / sum(weights) for weight in weights]


TRADING_DAY: Final = Mix(passive=0.55, marketable=0.15, market=0.05, cancel=0.20, read=0.05)


@dataclass(frozen=True, slots=True)
class ScheduleOptions:
    """``accounts`` counts the load accounts; prices lie within ``max_offset_ticks`` of the reference price.

    An infinite ``duration_s`` never ends. Until ``shape_from_s`` arrivals that change their rate keep the first one.
    """

    seed: int
    accounts: int
    symbols: tuple[str, ...]
    rate_per_s: float = 300.0
    duration_s: float = 40.0
    arrivals: Arrivals = field(default_factory=Poisson)
    shape_from_s: float = 0.0
    mix: Mix = TRADING_DAY
    max_quantity: int = 20
    max_offset_ticks: int = 20
    min_age_s: float = 1.0  # of an order before its trader cancels, replaces or looks it up


class IntendedOperation(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """``client_order_id`` is the order placed (as a replacement, too), canceled or looked up, ``replaces`` the one
    that is replaced; ``price_offset_ticks`` counts from the instrument's reference price (None: a market order, or no
    order at all)."""

    operation_id: int
    offset_ns: int  # from the start of the run
    kind: Kind
    account: int
    client_order_id: str | None = None
    symbol: str | None = None
    side: Side | None = None
    order_type: OrderType | None = None
    time_in_force: TimeInForce | None = None
    quantity: int | None = None  # whole shares
    price_offset_ticks: int | None = None
    replaces: str | None = None


def client_order_id(seed: int, operation_id: int) -> str:
    return f"load-{seed}-{operation_id}"
