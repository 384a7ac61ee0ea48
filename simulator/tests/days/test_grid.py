"""Grids in blocks: the numbers of one long draw, whichever block is asked for and how often, in bounded memory."""

from __future__ import annotations

import tracemalloc

import numpy as np

from simulator.days.clock import Activity, market_clock
from simulator.days.fundamental import Worth, fundamental
from simulator.days.grid import BLOCK, Blocks, normal_draws
from simulator.days.streams import generator
from trading.core.orders import NS_PER_S

DAY_S = 86_400


def test_blocks_are_the_generators_next_numbers_and_can_be_had_again_in_any_order() -> None:
    steps = 2 * BLOCK + 17
    rng, whole = generator(1, "grid"), generator(1, "grid").standard_normal(steps + 1)
    draws = normal_draws(rng, steps)
    for number in (2, 0, 1, 2, 1):
        assert (draws.block(number) == whole[:steps][number * BLOCK : (number + 1) * BLOCK]).all()
    assert rng.standard_normal() == whole[-1]


def test_only_a_few_blocks_are_kept_and_one_that_went_is_built_anew() -> None:
    built: list[int] = []

    def build(number: int) -> list[int]:
        built.append(number)
        return [number]

    blocks = Blocks(100, build)
    for number in range(100):
        blocks.make(number)
    assert sum(block is not None for block in blocks.kept) == 8
    assert blocks.kept[0] is None
    assert blocks.make(0) == [0]
    assert built[-1] == 0


def test_activity_is_an_ornstein_uhlenbeck_path_without_a_seam_between_blocks() -> None:
    """The recursion in one piece, as Barndorff-Nielsen and Shephard have it, against the blocks."""
    activity, steps = Activity(u_shape=1.0, volatility=1.0, scales_s=(240.0,)), BLOCK + 1_000
    clock = market_clock(activity, generator(4, "seam"), start_ns=0, end_ns=steps * NS_PER_S)
    rng, keep = generator(4, "seam"), np.exp(-1.0 / 240.0)
    shocks, level, path = rng.standard_normal(steps), float(rng.standard_normal()), []
    for shock in shocks:
        level = keep * level + np.sqrt(1 - keep * keep) * shock
        path.append(level)
    rates = np.exp(path) / np.exp(path).mean()
    readings = [clock.read(step * NS_PER_S) for step in range(steps + 1)]
    np.testing.assert_allclose(np.diff(readings), rates, rtol=1e-6)
    assert abs(readings[-1] - steps) < 1e-6


def test_a_clock_and_a_worth_of_five_days_take_no_more_memory_than_those_of_a_day() -> None:
    peaks = {days: _peak(days) for days in (1, 5)}
    assert peaks[5] < 1.2 * peaks[1]


def _peak(days: int) -> int:
    """Bytes, while every half hour is looked at, and far ahead of it."""
    steps = days * DAY_S
    tracemalloc.start()
    rng = generator(1, "market of AAA")
    clock = market_clock(Activity(6.0, 1.0), rng, start_ns=0, end_ns=steps * NS_PER_S)
    common = normal_draws(generator(1, "common factor"), steps)
    worth = fundamental(
        Worth(jumps_per_day=60, jump=0.01), 10**8, clock, rng=rng, common=common, steps=steps, start_ns=0
    )
    for second in range(0, steps, 1_800):
        reading = clock.read(second * NS_PER_S)
        assert abs(clock.when(reading) - second * NS_PER_S) <= 1_000
        assert clock.when(reading + 7_200) > second * NS_PER_S
        assert worth.micros(second * NS_PER_S) > 0
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak
