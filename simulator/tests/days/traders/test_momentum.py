"""Momentum traders."""

from __future__ import annotations

import pytest

from simulator.tests.days.floor import PRICE, TICK, floor
from trading.core.orders import BUY, SELL


@pytest.mark.parametrize("direction", [1, -1])
def test_it_goes_with_the_trend_up_to_its_limit(direction: int) -> None:
    market = floor("momentum", short=2, long=5, order_shares=50, max_shares=100)
    for step in range(1, 20):
        market.other.cancel_everything()
        for side, half in ((BUY, -1), (SELL, 1)):
            market.other.limit(side, 1_000, PRICE + (direction * 5 * step + half) * TICK)
        market.wait()
        market.act()
    assert (market.desk.position - market.desk.shares_micros) / 10**6 == direction * 100


def test_it_does_nothing_without_a_trend() -> None:
    market = floor("momentum", short=2, long=5)
    market.make_market()
    market.act(30)
    assert market.trades() == 0
