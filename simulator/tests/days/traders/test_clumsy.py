"""Whoever makes the day's mistake."""

from __future__ import annotations

from simulator.days.simulation import Simulation
from simulator.tests.days.floor import AAA, NEVER_BEFORE_THE_END, PRICE, TICK, a_day
from trading.core.orders import BUY


def test_a_mistake_takes_what_is_there_down_to_its_limit() -> None:
    noise = {"kind": "noise", "cash": "500000000", "arrivals": NEVER_BEFORE_THE_END}
    slip = {"kind": "fat_finger", "at": "10:30", "side": "sell", "shares": 5_000, "limit_pct": 2}
    simulation = Simulation(a_day(noise, happenings=[slip]), 1)
    simulation.advance(36_001 * 10**9)
    (buyer, clumsy) = simulation.marketplace.desks
    for ticks in (1, 100, 199, 300):
        buyer.limit(BUY, 100, PRICE - ticks * TICK)
    simulation.advance(38_000 * 10**9)
    assert simulation.marketplace.listings[AAA].last_micros == PRICE - 199 * TICK
    clumsy.catch_up(2**62)
    assert clumsy.shares == 5_000 - 300
    assert simulation.run().balance
