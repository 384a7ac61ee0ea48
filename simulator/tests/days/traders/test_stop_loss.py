"""The stop-loss herd."""

from __future__ import annotations

from simulator.tests.days.floor import PRICE, TICK, floor
from trading.core.orders import BUY, SELL, TimeInForce


def test_its_stop_sells_into_a_fall_and_then_it_watches() -> None:
    market = floor("stop_loss", nearest_pct=0.5, farthest_pct=0.6, fraction=0.001)
    for ticks in (1, 100, 150):
        market.other.limit(BUY, 2_000 if ticks > 1 else 10, PRICE - ticks * TICK)
    market.wait()
    market.act(3)
    assert market.desk.placed == 1
    assert market.trades() == 0
    seller = market.simulation.marketplace.desks[-1]
    assert seller is market.other
    before = market.desk.shares
    # The other one cannot sell to itself: the tested trader's own bid takes what makes the price.
    market.desk.limit(BUY, 1, PRICE - 70 * TICK)
    market.wait()
    market.other.cancel(market.other.working(BUY)[0])
    market.wait()
    market.other.limit(SELL, 1, PRICE - 70 * TICK, TimeInForce.IOC)
    market.wait()
    assert market.desk.shares == before + 1 - 1_000
    market.act(3)
    assert market.desk.placed == 2
