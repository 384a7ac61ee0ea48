"""A small market for tests of single traders: the one under test, and another with whom the test makes the market."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from simulator.days.day import Day
from simulator.days.desk import Desk
from simulator.days.simulation import Simulation
from trading.core.orders import BUY, MICROS_PER_SHARE, NS_PER_S, SELL, Phase, Side, Symbol

AAA = Symbol("AAA")
TICK = 10_000
PRICE = 100_000_000
OPEN_NS = 36_000 * NS_PER_S
NEVER_BEFORE_THE_END = {"kind": "replay", "times": ["10:59:59"]}


@dataclass(frozen=True, slots=True)
class Floor:
    """``desk`` is the trader under test. Both wake only at the very end: the test decides when they act."""

    simulation: Simulation
    desk: Desk
    other: Desk

    def act(self, times: int = 1) -> None:
        for _ in range(times):
            self.desk.catch_up(self.desk.now_ns)
            self.desk.trader.act(self.desk)
            self.wait()

    def wait(self, seconds: float = 1.0) -> None:
        """Until every request has arrived and every answer is back."""
        self.simulation.advance(self.desk.now_ns + round(seconds * NS_PER_S))
        self.desk.catch_up(self.desk.now_ns)
        self.other.catch_up(self.other.now_ns)

    def make_market(self, *, half_spread_ticks: int = 1, shares: int = 1_000) -> None:
        self.other.limit(BUY, shares, PRICE - half_spread_ticks * TICK)
        self.other.limit(SELL, shares, PRICE + half_spread_ticks * TICK)
        self.wait()

    def resting(self, side: Side) -> list[tuple[int, int]]:
        """(ticks from 100 dollars, shares) of the tested trader's orders in the book."""
        exchange = self.simulation.marketplace.exchange
        return [
            ((order.price_micros - PRICE) // TICK, order.leaves // MICROS_PER_SHARE)
            for order in exchange.open_orders(AAA, side)
            if order.account.account_id == self.desk.account_id
        ]

    def trades(self) -> int:
        return self.simulation.marketplace.exchange.last_trade_id


def a_day(*groups: dict[str, Any], **more: Any) -> Day:
    document = {
        "title": "a test",
        "shows": "what is tested",
        "symbols": [{"symbol": "AAA", "price": "100.00"}],
        "sessions": {"open": "10:00", "close": "11:00"},
        "worth": {"volatility_pct": 0},
        "fees": {"taker_bp": 0, "maker_bp": 0},
        "traders": list(groups),
    }
    return Day.model_validate({**document, **more})


def floor(kind: str, *, seed: int = 1, **options: Any) -> Floor:
    """The market has been open for a second."""
    rich = {"cash": "500000000", "shares": 1_000_000, "arrivals": NEVER_BEFORE_THE_END}
    day = a_day({"kind": kind, **rich, **options}, {"kind": "noise", **rich})
    simulation = Simulation(day, seed)
    simulation.advance(OPEN_NS + NS_PER_S)
    assert simulation.marketplace.listings[AAA].phase is Phase.CONTINUOUS
    own = [desk for desk in simulation.marketplace.desks if desk.kind == kind]
    others = [desk for desk in simulation.marketplace.desks if desk is not own[0]]
    return Floor(simulation, own[0], others[-1])
