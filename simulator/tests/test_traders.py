"""Decisions of the single traders: a view and a stream in, intents out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from simulator.market.intents import Cancel, Look, Place, Trader, View, WorkingOrder
from simulator.market.traders.maker import Maker, MakerOptions
from simulator.market.traders.momentum import Momentum, MomentumOptions
from simulator.market.traders.noise import Noise
from trading.core.orders import Side, TimeInForce

TICK, REFERENCE = 10_000, 100_000_000
EMPTY = View(TICK, REFERENCE, prints=(), working=(), under_way=0, inventory=0)
CALM = MakerOptions(volatility_ticks=0.0)


def rng() -> np.random.Generator:
    return np.random.default_rng(1)


def test_a_maker_quotes_a_ladder_on_both_sides_of_its_fair_value() -> None:
    places = _places(Maker(CALM), EMPTY)
    bids = sorted((p.limit_price_micros or 0 for p in places if p.side is Side.BUY), reverse=True)
    asks = sorted(p.limit_price_micros or 0 for p in places if p.side is Side.SELL)
    assert [(REFERENCE - bid) // TICK for bid in bids] == [2, 4, 6]
    assert [(ask - REFERENCE) // TICK for ask in asks] == [2, 4, 6]


def test_a_maker_shades_its_prices_against_its_inventory() -> None:
    flat, full = (_places(Maker(CALM), replace(EMPTY, inventory=shares)) for shares in (0, 1_500))
    for before, after in zip(flat, full, strict=True):
        assert (after.limit_price_micros or 0) < (before.limit_price_micros or 0)


@pytest.mark.parametrize(("inventory", "side"), [(3_000, Side.SELL), (-3_000, Side.BUY)])
def test_a_maker_at_its_limit_quotes_only_the_side_that_brings_it_back(inventory: int, side: Side) -> None:
    assert {place.side for place in _places(Maker(CALM), replace(EMPTY, inventory=inventory))} == {side}


def test_a_maker_keeps_what_is_near_enough_and_replaces_what_is_not_or_is_worn_down() -> None:
    working = (
        WorkingOrder("near", Side.BUY, REFERENCE - 3 * TICK, 200),
        WorkingOrder("far", Side.BUY, REFERENCE - 30 * TICK, 200),
        WorkingOrder("worn", Side.SELL, REFERENCE + 2 * TICK, 50),
    )
    intents = list(Maker(CALM).decide(replace(EMPTY, working=working), rng()))
    assert [intent.client_order_id for intent in intents if isinstance(intent, Cancel)] == ["far", "worn"]
    assert sum(isinstance(intent, Place) for intent in intents) == 5
    assert isinstance(intents[0], Look)


def test_a_maker_waits_for_the_answers_to_its_last_cycle() -> None:
    assert list(Maker(CALM).decide(replace(EMPTY, under_way=1), rng())) == []


def test_a_noise_trader_leans_against_its_inventory() -> None:
    stream = rng()
    trader = Noise()
    decided = [i for _ in range(500) for i in trader.decide(replace(EMPTY, inventory=1_500), stream)]
    sides = [intent.side for intent in decided if isinstance(intent, Place)]
    assert sides.count(Side.SELL) > 3 * sides.count(Side.BUY) > 0


def test_a_noise_trader_with_enough_orders_only_withdraws() -> None:
    working = tuple(WorkingOrder(str(n), Side.BUY, REFERENCE, 1) for n in range(15))
    stream = rng()
    decided = [i for _ in range(100) for i in Noise().decide(replace(EMPTY, working=working), stream)]
    assert not any(isinstance(intent, Place) for intent in decided)
    assert sum(isinstance(intent, Cancel) for intent in decided) == 100


@pytest.mark.parametrize(("step", "side"), [(TICK, Side.BUY), (-TICK, Side.SELL)])
def test_a_momentum_trader_goes_with_the_trend_and_leaves_nothing_in_the_book(step: int, side: Side) -> None:
    prints = tuple(REFERENCE + n * step for n in range(30))
    places = _places(Momentum(), replace(EMPTY, prints=prints))
    assert [(place.side, place.time_in_force) for place in places] == [(side, TimeInForce.IOC)]


def test_a_momentum_trader_without_a_trend_does_nothing_and_with_too_much_lets_go() -> None:
    assert _places(Momentum(), replace(EMPTY, prints=(REFERENCE,) * 30)) == []
    full = replace(EMPTY, inventory=MomentumOptions().max_inventory)
    assert [place.side for place in _places(Momentum(), full)] == [Side.SELL]


@pytest.mark.parametrize("kind", [Maker, Noise, Momentum])
def test_a_decision_draws_the_same_whatever_the_trader_sees(kind: type[Trader]) -> None:
    views = [
        EMPTY,
        replace(EMPTY, inventory=10_000, under_way=3),
        replace(EMPTY, prints=tuple(range(REFERENCE, REFERENCE + 100))),
        replace(EMPTY, working=tuple(WorkingOrder(str(n), Side.SELL, REFERENCE, 9) for n in range(20))),
    ]
    following = set()
    for view in views:
        stream = rng()
        list(kind().decide(view, stream))
        following.add(stream.random())
    assert len(following) == 1


def _places(trader: Trader, view: View) -> list[Place]:
    return [intent for intent in trader.decide(view, rng()) if isinstance(intent, Place)]
