"""Whoever makes the day's mistake."""

from __future__ import annotations

from simulator.days.simulation import Simulation
from simulator.tests.days.floor import AAA, NEVER_BEFORE_THE_END, PRICE, TICK, a_day
from trading.core.orders import BUY, MICROS_PER_SHARE


def test_two_at_the_same_moment_are_of_two_traders_and_both_happen() -> None:
    noise = {"kind": "noise", "cash": "500000000", "arrivals": NEVER_BEFORE_THE_END}
    slip = {"kind": "fat_finger", "at": "10:30", "side": "sell", "shares": 5, "limit_pct": 2}
    simulation = Simulation(a_day(noise, happenings=[slip, {**slip, "shares": 7}]), 1)
    simulation.advance(36_001 * 10**9)
    simulation.marketplace.desks[0].limit(BUY, 100, PRICE)
    simulation.advance(38_000 * 10**9)
    clumsy = simulation.marketplace.desks[1:]
    assert [(desk.requests, row[3]) for desk, row in zip(clumsy, simulation.recorder.rows["trades"], strict=True)] == [
        (1, 5 * MICROS_PER_SHARE),
        (1, 7 * MICROS_PER_SHARE),
    ]


def test_a_mistake_that_the_exchange_refuses_is_recorded_as_refused() -> None:
    """What the price will be at its moment is not known beforehand."""
    noise = {"kind": "noise", "arrivals": NEVER_BEFORE_THE_END}
    slips = [{"kind": "fat_finger", "at": "10:30", "side": "buy", "shares": shares} for shares in (1, 10**7)]
    simulation = Simulation(a_day(noise, happenings=slips), 1)
    simulation.advance(38_000 * 10**9)
    assert [row[2:] for row in simulation.recorder.rows["happenings"][-2:]] == [
        ("fat finger", "buy 1 shares"),
        ("fat finger refused", "buy 10000000 shares: order_value_too_large"),
    ]


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
