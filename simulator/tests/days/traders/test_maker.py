"""Market makers."""

from __future__ import annotations

from math import log, log1p
from typing import Any

import pytest

from simulator.days.traders.maker import Maker, MakerGroup
from simulator.tests.days.floor import AAA, NEVER_BEFORE_THE_END, PRICE, TICK, floor
from trading.core.orders import BUY, SELL, TimeInForce

OPTIONS: dict[str, Any] = {
    "gamma": 0.1,
    "sigma_ticks": 2.0,
    "horizon_s": 5.0,
    "k": 1.5,
    "error_ticks": 1e-9,
    "unit_shares": 100,
}


def test_its_quotes_are_those_of_avellaneda_and_stoikov() -> None:
    """Their closed form, at the figures of their section 3.3 but for the horizon."""
    maker = Maker(MakerGroup.model_validate({"kind": "maker", "arrivals": NEVER_BEFORE_THE_END, **OPTIONS}))
    variance = 2.0**2 * 5.0
    spread = 0.1 * variance + 2 / 0.1 * log(1 + 0.1 / 1.5)
    for units in (-2.0, 0.0, 3.0):
        bid, ask = maker.quotes(10_000.0, units)
        assert ask - bid == pytest.approx(spread)
        assert (bid + ask) / 2 == pytest.approx(10_000.0 - units * 0.1 * variance)


def test_it_leans_against_its_inventory_and_at_the_limit_quotes_only_one_side() -> None:
    market = floor("maker", levels=1, quote_shares=150, size_sigma=0.01, max_units=1.2, **OPTIONS)
    market.act()
    (bid, _), (ask, _) = market.resting(BUY)[0], market.resting(SELL)[0]
    assert bid == -ask
    market.other.limit(SELL, 200, PRICE + bid * TICK, TimeInForce.IOC)
    market.wait()
    market.act()
    assert not market.resting(BUY)
    assert market.resting(SELL)[0][0] < ask


def test_it_keeps_what_is_near_enough_and_follows_the_value() -> None:
    market = floor("maker", levels=2, **OPTIONS)
    market.act(5)
    assert market.desk.placed == 4
    market.simulation.marketplace.listings[AAA].fundamental.news.append((0, log1p(0.001)))
    market.act()
    assert market.desk.placed == 8
    assert len(market.resting(BUY)) == len(market.resting(SELL)) == 2
