"""Zero intelligence, one side at a time; against the analytic answers see the facts' tests."""

from __future__ import annotations

import pytest

from simulator.days.simulation import Simulation
from simulator.tests.days.floor import PRICE, TICK, a_day
from trading.core.order_book import BookSide

NEAR = {"median_ms": 1e-6, "spread": 0, "jitter_ms": 0}


def flow(seconds: int, **options: object) -> Simulation:
    side = {"kind": "zero_intelligence", "latency": NEAR, **options}
    day = a_day(
        {**side, "side": "buy", "cash": "500000000", "shares": 0},
        {**side, "side": "sell", "shares": 5_000_000},
        symbols=[{"symbol": "AAA", "price": "100.00", "band_pct": 0, "collar_pct": 50}],
    )
    simulation = Simulation(day, 1)
    simulation.advance((36_000 + seconds) * 10**9)
    return simulation


def test_limit_and_market_orders_come_at_their_rates() -> None:
    simulation = flow(1_000, limit_rates=[2.0, 1.0], market_rate=0.5, cancel_rates=[1.0, 1.0])
    rows = simulation.recorder.rows["orders"]
    placed = [row for row in rows if row[5] == "place"]
    limits = [row for row in placed if row[7] == "limit"]
    # Two sides of three limit orders a second; market orders only where the other side has something.
    assert len(limits) == pytest.approx(6_000, rel=0.05)
    assert 0.8 * 1_000 < len(placed) - len(limits) < 1.05 * 1_000


def test_each_order_is_canceled_at_its_rate() -> None:
    """Without takers the orders of a side are a queue with servers without end: a Poisson number, mean rate by rate."""
    simulation = flow(400, limit_rates=[0.0, 0.0, 3.0], market_rate=1e-9, cancel_rates=[0.5])
    counts = []
    for second in range(405, 1_400, 5):
        simulation.advance((36_000 + second) * 10**9)
        counts += [len(list(half.queue())) for half in _halves(simulation)]
    assert sum(counts) / len(counts) == pytest.approx(3.0 / 0.5, rel=0.1)


def test_orders_come_at_their_distance_from_the_other_side() -> None:
    simulation = flow(60, limit_rates=[0.0, 0.0, 1.0], market_rate=1e-9, cancel_rates=[0.01])
    bids, asks = _halves(simulation)
    bid, ask = bids.best(), asks.best()
    assert bid is not None
    assert ask is not None
    assert (ask - bid) // TICK == 3
    assert abs(bid - PRICE) < 100 * TICK


def _halves(simulation: Simulation) -> tuple[BookSide, BookSide]:
    (listing,) = simulation.marketplace.listings.values()
    return listing.bids, listing.asks
