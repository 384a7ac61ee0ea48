"""Liquidity ladders."""

from __future__ import annotations

from math import log1p

from simulator.days.traders.ladder import LadderGroup
from simulator.tests.days.floor import AAA, NEVER_BEFORE_THE_END, floor
from trading.core.orders import BUY, SELL


def test_it_stands_deep_on_both_sides() -> None:
    market = floor("ladder", levels=10, first_ticks=3, gap_ticks=2, error_ticks=1e-9)
    market.act()
    for side, sign in ((BUY, -1), (SELL, 1)):
        assert [sign * ticks for ticks, _ in market.resting(side)] == [3 + 2 * level for level in range(10)]


def test_its_depth_has_a_hump() -> None:
    group = LadderGroup.model_validate({"kind": "ladder", "arrivals": NEVER_BEFORE_THE_END, "hump_level": 5})
    sizes = [group.shares_at(level) for level in range(15)]
    assert max(sizes) == sizes[5]
    assert sizes[0] < sizes[5] > sizes[14]


def test_it_moves_only_what_is_too_far_off() -> None:
    market = floor("ladder", levels=5, drift_ticks=3, error_ticks=1e-9)
    market.act(3)
    assert market.desk.placed == 10
    market.simulation.marketplace.listings[AAA].fundamental.news.append((0, log1p(0.002)))
    market.act()
    market.act()
    assert market.desk.placed == 20
    assert len(market.resting(BUY)) == len(market.resting(SELL)) == 5
