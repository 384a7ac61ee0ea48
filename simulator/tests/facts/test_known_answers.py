"""Zero intelligence on the real exchange gives the answers that are known analytically."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from math import sqrt
from typing import Any

import numpy as np
import pytest

from simulator.days.desk import Latency
from simulator.days.simulation import Simulation
from simulator.facts.analytic import BestQueue, filled_before_it_moves, invert, middle_goes_up, mm1_lengths
from simulator.facts.evidence import ratio
from simulator.tests.days.floor import AAA, NEVER_BEFORE_THE_END, PRICE, TICK, a_day
from trading.core.orders import BUY, NS_PER_S, SELL

OPEN_NS = 36_000 * NS_PER_S
SHARES = 100 * 10**6
NEAR = {"median_ms": 1e-6, "spread": 0, "jitter_ms": 0}
TOKYO = BestQueue(limit_rate=1.85, market_rate=0.94, cancel_rate=0.71)
OTHERS = BestQueue(limit_rate=0.2, market_rate=0.94, cancel_rate=0.71)


def test_the_inversion_finds_an_exponential_density() -> None:
    times = np.array([0.1, 1.0, 4.0])
    assert invert(lambda s: 2 / (2 + s), times) == pytest.approx(2 * np.exp(-2 * times), rel=1e-5)


@pytest.mark.parametrize(("bids", "asks"), [(1, 1), (1, 3), (4, 2), (5, 5)])
def test_the_transforms_agree_with_the_chain_solved_directly(bids: int, asks: int) -> None:
    assert middle_goes_up(bids, asks, TOKYO) == pytest.approx(_solved(TOKYO)[bids, asks], abs=2e-3)


def test_the_next_move_of_the_middle_is_as_probable_as_cont_stoikov_and_talreja_say() -> None:
    """Each first moment after a move of the middle is one experiment, by the strong Markov property."""
    simulation = zero_intelligence(seed=1)
    simulation.advance(OPEN_NS + 1_500 * NS_PER_S)
    cases = list(_moves(simulation.recorder.rows["quotes"]))
    assert len(cases) > 500
    assert abs(_surprise([(middle_up(b, a), up) for b, a, up in cases])) < 3
    wrong = _solved(BestQueue(limit_rate=1.85, market_rate=0.2, cancel_rate=0.2))
    steep = [(wrong[min(b, 30), min(a, 30)], up) for b, a, up in cases]
    assert _score(steep) > _score([(middle_up(b, a), up) for b, a, up in cases])


def test_an_order_is_filled_before_the_middle_moves_as_often_as_they_say() -> None:
    simulation = zero_intelligence(seed=2)
    prober = next(desk for desk in simulation.marketplace.desks if desk.kind == "noise")
    prober.latency = Latency(0, 0)
    cases: list[tuple[int, int, bool]] = []
    simulation.advance(OPEN_NS + 20 * NS_PER_S)
    while len(cases) < 250:
        if (case := _probe(simulation)) is not None:
            cases.append(case)
    assert abs(_surprise([(fill(place, asks, TOKYO), filled) for place, asks, filled in cases])) < 3
    assert abs(_surprise([(fill(place, asks, OTHERS), filled) for place, asks, filled in cases])) > 3


def test_one_level_without_cancellations_is_an_mm1_queue() -> None:
    load = 0.6
    simulation = _one_level(arrivals=1.2, service=2.0)
    simulation.advance(OPEN_NS + 3_500 * NS_PER_S)
    rows = [row for row in simulation.recorder.rows["quotes"] if row[0] > OPEN_NS + 10 * NS_PER_S]
    times = np.array([row[0] for row in rows]) / NS_PER_S
    lengths = np.array([row[3] // SHARES for row in rows])[:-1]
    held = np.diff(times)
    for length, share in enumerate(mm1_lengths(load, 3)):
        low, high = ratio((lengths == length) * held, held).interval(0.999)
        assert low < share < high
        assert high - low < 0.2
    mean_low, mean_high = ratio(lengths * held, held).interval(0.999)
    assert mean_low < load / (1 - load) < mean_high


def test_the_spread_scales_as_the_santa_fe_model_says() -> None:
    """Spread = μ/α · f(δ/μ): half as many limit orders at each price make it twice as wide; twice the speed of
    everything leaves it as it is (Smith et al., Quantitative Finance 3 (2003) 481, table 2)."""
    base, sparse, fast = (santa_fe_spread(*rates) for rates in ((0.1, 1.0, 0.1), (0.05, 1.0, 0.1), (0.2, 2.0, 0.2)))
    assert sparse / base == pytest.approx(2.0, rel=0.2)
    assert fast / base == pytest.approx(1.0, rel=0.15)


# -- markets -----------------------------------------------------------------------------------------


def zero_intelligence(seed: int) -> Simulation:
    side = {"kind": "zero_intelligence", "latency": NEAR}
    return Simulation(
        a_day(
            {**side, "side": "buy", "cash": "500000000", "shares": 0},
            {**side, "side": "sell", "shares": 5_000_000},
            {"kind": "noise", "cash": "500000000", "arrivals": NEVER_BEFORE_THE_END},
            symbols=[{"symbol": "AAA", "price": "100.00", "band_pct": 0, "collar_pct": 50}],
        ),
        seed,
    )


def santa_fe_spread(limit_rate: float, market_rate: float, cancel_rate: float) -> float:
    """The mean in ticks, limit orders coming at each of 120 prices at ``limit_rate``."""
    rates = {"limit_rates": [limit_rate] * 120, "cancel_rates": [cancel_rate], "market_rate": market_rate}
    side = {"kind": "zero_intelligence", "latency": NEAR, **rates}
    simulation = Simulation(
        a_day(
            {**side, "side": "buy", "cash": "500000000", "shares": 0},
            {**side, "side": "sell", "shares": 5_000_000},
            symbols=[{"symbol": "AAA", "price": "100.00", "band_pct": 0, "collar_pct": 50}],
        ),
        3,
    )
    simulation.advance(OPEN_NS + round(600 * 0.1 / cancel_rate) * NS_PER_S)
    rows = [row for row in simulation.recorder.rows["quotes"] if row[2] is not None and row[4] is not None]
    rows = rows[len(rows) // 10 :]
    held = np.diff([row[0] for row in rows])
    spreads = np.array([(row[4] - row[2]) / TICK for row in rows])[:-1]
    return float((spreads * held).sum() / held.sum())


def _one_level(arrivals: float, service: float) -> Simulation:
    """Buyers join one price at a rate, sellers take from it at another; a wall of asks holds the price."""
    side = {"kind": "zero_intelligence", "latency": NEAR, "cancel_rates": [0.0]}
    simulation = Simulation(
        a_day(
            {**side, "side": "buy", "cash": "500000000", "limit_rates": [arrivals], "market_rate": 1e-9},
            {**side, "side": "sell", "shares": 5_000_000, "limit_rates": [1e-9], "market_rate": service},
            {"kind": "noise", "shares": 1_000_000, "arrivals": NEVER_BEFORE_THE_END},
        ),
        4,
    )
    simulation.advance(OPEN_NS + 1)
    simulation.marketplace.desks[-1].limit(SELL, 1_000_000, PRICE)
    return simulation


# -- experiments -------------------------------------------------------------------------------------


def _moves(rows: Iterable[Sequence[Any]]) -> Iterator[tuple[int, int, bool]]:
    """(bid orders, ask orders, went up) at each first moment of a spread of one tick at a new middle."""
    state = None
    middle = None
    for _, _, bid, bid_quantity, ask, ask_quantity in rows:
        if bid is None or ask is None:
            state = middle = None
            continue
        if state is not None and bid + ask != middle:
            yield (*state, bid + ask > middle)
            state = None
        if ask - bid == TICK and bid + ask != middle and not bid_quantity % SHARES and not ask_quantity % SHARES:
            state = (bid_quantity // SHARES, ask_quantity // SHARES)
        elif ask - bid != TICK:
            state = None
        middle = bid + ask


def _probe(simulation: Simulation) -> tuple[int, int, bool] | None:
    """Joins the bid while the spread is one tick: (its place, asks there, whether it is filled before the move)."""
    prober = next(desk for desk in simulation.marketplace.desks if desk.kind == "noise")
    simulation.advance(prober.now_ns + NS_PER_S)
    quote = prober.quote()
    bid, ask = quote.bid_micros, quote.ask_micros
    if bid is None or ask is None or ask - bid != TICK:
        return None
    order = prober.limit(BUY, 100, bid)
    assert order is not None
    simulation.advance(prober.now_ns + 1)
    quote = prober.quote()
    case = quote.bid_quantity // SHARES, quote.ask_quantity // SHARES
    began_ns, was_there = prober.now_ns, (quote.bid_micros, quote.ask_micros) == (bid, ask)
    while True:
        simulation.advance(prober.now_ns + NS_PER_S // 5)
        prober.catch_up(prober.now_ns)
        quotes = simulation.marketplace.listings[AAA].quotes
        moved = [q.at_ns for q in quotes if q.at_ns > began_ns and (q.bid_micros, q.ask_micros) != (bid, ask)]
        filled_ns = next(
            (
                r[0]
                for r in reversed(simulation.recorder.rows["trades"])
                if (r[7], r[8]) == (prober.number, order.number)
            ),
            None,
        )
        if filled_ns is not None or moved:
            break
    prober.cancel_everything()
    simulation.advance(prober.now_ns + 1)
    prober.catch_up(prober.now_ns)
    return (*case, filled_ns is not None and (not moved or filled_ns <= moved[0])) if was_there else None


@cache
def middle_up(bids: int, asks: int) -> float:
    return middle_goes_up(bids, asks, TOKYO)


@cache
def fill(place: int, asks: int, queue: BestQueue) -> float:
    return filled_before_it_moves(place, asks, queue)


def _surprise(cases: list[tuple[float, bool]]) -> float:
    """How many standard errors the outcomes are off the probabilities that they were given."""
    off = sum(outcome - chance for chance, outcome in cases)
    return off / sqrt(sum(chance * (1 - chance) for chance, _ in cases))


def _score(cases: list[tuple[float, bool]]) -> float:
    """The quadratic score: the right probabilities have the least on average."""
    return sum((outcome - chance) ** 2 for chance, outcome in cases) / len(cases)


@cache
def _solved(queue: BestQueue, longest: int = 40) -> np.ndarray:
    """P(up) by (bids, asks), from the equations of the two queues themselves, iterated to their solution."""
    chance = np.full((longest + 2, longest + 2), 0.5)
    chance[0, :], chance[:, 0] = 0.0, 1.0
    births = queue.limit_rate
    deaths = queue.market_rate + np.arange(longest + 2) * queue.cancel_rate
    for _ in range(1_500):
        chance[-1, 1:], chance[1:, -1] = chance[-2, 1:], chance[1:, -2]
        inner = births * (chance[2:, 1:-1] + chance[1:-1, 2:])
        inner += deaths[1:-1, None] * chance[:-2, 1:-1] + deaths[None, 1:-1] * chance[1:-1, :-2]
        chance[1:-1, 1:-1] = inner / (2 * births + deaths[1:-1, None] + deaths[None, 1:-1])
    return chance
