"""Retail traders."""

from __future__ import annotations

from simulator.tests.days.floor import PRICE, TICK, floor
from trading.core.orders import MICROS_PER_SHARE, SELL


def test_it_buys_for_dollars_in_fractions_of_shares() -> None:
    market = floor("retail", shares=0, follow=1.0, median_dollars=250, size_sigma=0.3)
    market.make_market(shares=100_000)
    market.act(20)
    assert market.trades() >= 20
    assert market.desk.position > 0
    assert market.desk.position % MICROS_PER_SHARE
    spent = market.desk.position * (PRICE + TICK) / MICROS_PER_SHARE**2
    assert 20 * 150 < spent < 20 * 450
    assert not market.desk.orders


def test_it_goes_with_the_move_of_the_day() -> None:
    market = floor("retail", follow=1.0)
    market.make_market(shares=100_000)
    market.other.cancel_everything()
    market.other.limit(SELL, 1, PRICE - 50 * TICK)
    market.wait()
    market.act(1)  # takes the cheap share: the last price is below the day's reference now
    market.make_market(shares=100_000)
    before = market.desk.position
    market.act(10)
    assert market.desk.position < before
