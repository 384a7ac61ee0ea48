"""Noise traders."""

from __future__ import annotations

from simulator.tests.days.floor import floor
from trading.core.orders import BUY, SELL


def test_it_trades_and_rests_on_both_sides_without_preference() -> None:
    market = floor("noise", marketable=0.5)
    market.make_market(shares=10**6)
    market.act(200)
    trades = market.trades()
    assert 60 < trades < 140
    bought = (market.desk.position - market.desk.shares_micros) / 10**6
    assert abs(bought) < 100 * trades


def test_it_keeps_at_most_one_order_a_side() -> None:
    market = floor("noise", marketable=0)
    market.make_market()
    market.act(50)
    assert len(market.resting(BUY)) <= 1
    assert len(market.resting(SELL)) <= 1
    assert all(-8 <= ticks <= -1 for ticks, _ in market.resting(BUY))
