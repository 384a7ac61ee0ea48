"""Auction traders."""

from __future__ import annotations

from simulator.days.simulation import Simulation
from simulator.tests.days.floor import AAA, PRICE, a_day
from trading.core.orders import Phase

CALLS = {"opening_call": "09:50", "open": "10:00", "closing_call": "10:55", "close": "11:00"}


def test_it_takes_part_in_both_calls_and_in_nothing_else() -> None:
    group = {"kind": "auction", "count": 40, "cash": "10000000", "shares": 50_000}
    day = a_day({**group, "arrivals": {"kind": "poisson", "per_s": 0.02}}, sessions=CALLS)
    simulation = Simulation(day, 1)
    simulation.advance(36_001 * 10**9)
    market = simulation.marketplace
    opening = market.exchange.last_trade_id
    assert opening > 20
    assert abs(market.listings[AAA].last_micros / PRICE - 1) < 0.002
    simulation.advance(39_299 * 10**9)
    assert market.exchange.last_trade_id == opening
    for desk in market.desks:
        desk.catch_up(desk.now_ns)
        assert not desk.orders
    assert simulation.run().balance
    assert market.exchange.last_trade_id > opening + 20
    assert market.listings[AAA].phase is Phase.CLOSED
