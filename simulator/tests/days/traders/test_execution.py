"""Institutional execution."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.days.traders.execution import Execution
from simulator.tests.days.floor import PRICE, TICK, Floor, floor
from trading.core.orders import BUY, SELL, RejectReason, TimeInForce


def worked_off(style: str, *, over_s: float = 300, **options: Any) -> tuple[Floor, list[float]]:
    """Its filled shares after each tenth of the time."""
    parent = {"at": "10:00", "side": "buy", "shares": 3_000, "style": style, "over_s": over_s}
    market = floor("execution", random_parents=False, parents=[parent], piece_shares=60, **options)
    market.make_market(shares=100_000)
    done = []
    for _ in range(10):
        for _ in range(int(over_s / 10)):
            market.act()
        done.append((market.desk.position - market.desk.shares_micros) / 10**6)
    return market, done


def test_twap_buys_evenly_over_its_time_and_then_stops() -> None:
    market, done = worked_off("twap")
    for tenth, shares in enumerate(done, 1):
        assert shares == pytest.approx(300 * tenth, abs=150)
    market.act(30)
    assert market.desk.position - market.desk.shares_micros == 3_000 * 10**6


def test_vwap_follows_the_clock_of_the_market() -> None:
    market, done = worked_off("vwap")
    clock = market.desk.listing.clock
    assert clock.read(10**15) > 0
    assert done[-1] == pytest.approx(3_000, abs=150)


def test_pov_takes_its_share_of_what_others_trade() -> None:
    parent = {"at": "10:00", "side": "buy", "shares": 30_000, "style": "pov"}
    market = floor("execution", random_parents=False, parents=[parent], participation=0.2, piece_shares=100)
    market.make_market(shares=1_000_000)
    market.act()
    third = market.simulation.marketplace.desks[-1]
    assert third is market.other
    for _ in range(60):
        volume = market.desk.quote().volume
        market.act()
        assert market.desk.quote().volume - volume <= 30_000 * 10**6
    # Nobody else traded: it may only ever be a piece ahead, however often it looks.
    assert (market.desk.position - market.desk.shares_micros) / 10**6 < 30_000


def test_a_patient_piece_takes_no_more_than_the_best_price_offers_and_an_urgent_one_sweeps() -> None:
    for urgent, most in ((0.0, 10), (1.0, 1_000)):
        parent = {"at": "10:00", "side": "sell", "shares": 1_000, "style": "twap", "over_s": 1}
        market = floor("execution", random_parents=False, parents=[parent], urgent=urgent, piece_shares=200)
        for ticks in (1, 2, 3):
            market.other.limit(BUY, 10 if ticks == 1 else 500, PRICE - ticks * TICK)
        market.wait()
        market.act(2)
        sold = (market.desk.shares_micros - market.desk.position) / 10**6
        assert sold == most if urgent else sold <= 2 * 500
        assert sold > 0


def test_random_parents_have_pareto_sizes_and_both_sides() -> None:
    market = floor("execution", styles=["twap"], alpha=1.5, least_pieces=4, pause_s=0.001, piece_s=0.001)
    market.make_market(shares=500_000)
    trader = market.desk.trader
    assert isinstance(trader, Execution)
    sides, totals = set(), set()
    for _ in range(120):
        market.act()
        sides.add(trader.side)
        totals.add(trader.total // (60 * 10**6))
    assert sides == {BUY, SELL}
    assert min(totals) >= 4
    assert max(totals) > 8


def test_a_parent_is_not_given_up_for_a_piece_that_is_refused_for_another_reason() -> None:
    parent = {"at": "10:00", "side": "buy", "shares": 3_000, "style": "twap", "over_s": 60}
    market = floor("execution", limits={"orders_per_s": 1}, random_parents=False, parents=[parent], urgent=1.0)
    market.make_market(shares=100_000)
    trader = market.desk.trader
    assert isinstance(trader, Execution)
    for _ in range(80):
        trader.act(market.desk)
        market.wait(0.3)
    refusals = market.simulation.marketplace.refusals
    assert refusals.keys() == {RejectReason.ORDER_RATE_LIMIT}
    market.act(60)
    assert trader.total == trader.done == 3_000 * 10**6
    assert market.desk.position - market.desk.shares_micros == 3_000 * 10**6


def test_a_parent_whose_time_comes_meanwhile_waits_for_the_end_of_the_other() -> None:
    parents = [
        {"at": "10:00", "side": "buy", "shares": 3_000, "style": "twap", "over_s": 100},
        {"at": "10:00:30", "side": "sell", "shares": 600, "style": "twap", "over_s": 20},
    ]
    market = floor("execution", random_parents=False, parents=parents)
    market.make_market(shares=100_000)
    bought = []
    for _ in range(200):
        market.act()
        bought.append((market.desk.position - market.desk.shares_micros) // 10**6)
    assert max(bought) == 3_000
    assert bought[-1] == 3_000 - 600
    assert bought[: bought.index(3_000)] == sorted(bought[: bought.index(3_000)])


def test_a_parent_without_the_shares_is_given_up() -> None:
    parent = {"at": "10:00", "side": "sell", "shares": 1_000, "style": "twap", "over_s": 1}
    market = floor("execution", shares=10, random_parents=False, parents=[parent], urgent=1.0)
    market.make_market()
    market.act(5)
    assert market.desk.placed <= 2
    assert market.other.limit(SELL, 1, PRICE + TICK, TimeInForce.DAY) is not None
