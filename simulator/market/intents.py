"""What a market's trader can see, and what it can want."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np

from trading.core.orders import Side, TimeInForce


@dataclass(frozen=True, slots=True)
class Place:
    """``limit_price_micros`` None: a market order."""

    side: Side
    quantity: int
    limit_price_micros: int | None
    time_in_force: TimeInForce = TimeInForce.DAY


@dataclass(frozen=True, slots=True)
class Cancel:
    client_order_id: str


@dataclass(frozen=True, slots=True)
class Look:
    """Read the own open orders and position: how a trader learns that a resting order was filled."""


Intent: TypeAlias = Place | Cancel | Look


@dataclass(frozen=True, slots=True)
class WorkingOrder:
    """An own order that rests in the book, as far as its trader knows."""

    client_order_id: str
    side: Side
    limit_price_micros: int
    quantity: int


@dataclass(frozen=True, slots=True)
class View:
    """``inventory`` counts shares beyond those the trader began with; ``prints`` are trade prices, oldest first."""

    tick_micros: int
    reference_price_micros: int
    prints: tuple[int, ...]
    working: tuple[WorkingOrder, ...]
    under_way: int  # own operations without an answer yet
    inventory: int

    @property
    def last_price_micros(self) -> int:
        return self.prints[-1] if self.prints else self.reference_price_micros


class Trader(Protocol):
    """A strategy. It may remember what it thought, but everything random comes from ``rng``, and each decision
    draws the same count of numbers whatever it sees: so its stream never depends on what others do."""

    def pause_s(self, rng: np.random.Generator) -> float: ...

    def decide(self, view: View, rng: np.random.Generator) -> Iterable[Intent]: ...


def on_grid(price_micros: float, tick_micros: int) -> int:
    """The nearest valid price, at least one tick."""
    return max(tick_micros, round(price_micros / tick_micros) * tick_micros)
