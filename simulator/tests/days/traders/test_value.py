"""Value traders."""

from __future__ import annotations

from math import log

import pytest

from simulator.tests.days.floor import AAA, floor
from trading.core.orders import BUY, SELL


@pytest.mark.parametrize(("change", "sign"), [(0.01, 1), (-0.01, -1)])
def test_it_takes_what_is_cheap_or_dear_against_what_it_knows(change: float, sign: int) -> None:
    market = floor("value")
    market.make_market()
    market.simulation.marketplace.listings[AAA].fundamental.news.append((0, log(1 + change)))
    market.act(3)
    assert sign * (market.desk.position - market.desk.shares_micros) > 0


def test_it_offers_around_the_value_when_there_is_nothing_to_gain() -> None:
    market = floor("value", error_bp=0.5, edge_bp=3, max_working=6)
    market.make_market()
    market.act(6)
    assert market.trades() == 0
    assert all(-6 <= ticks <= -1 for ticks, _ in market.resting(BUY))
    assert all(1 <= ticks <= 6 for ticks, _ in market.resting(SELL))
    assert len(market.resting(BUY)) + len(market.resting(SELL)) > 2
