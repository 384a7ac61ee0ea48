"""Arrivals: whatever the rate does, in its own time every process is a Poisson process of rate one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice, takewhile
from math import pi, sin

import numpy as np
import pytest
from scipy.stats import kstest

from loadtests.arrivals import (
    KINDS,
    Arrivals,
    ArrivalsError,
    Breakpoint,
    Constant,
    Hawkes,
    Poisson,
    Ramp,
    Sine,
    Spike,
    Step,
    arrivals_text,
    checked,
    offsets_ns,
    parse_arrivals,
)
from trading.core.orders import NS_PER_S

RATE, WARM_UP_S, MEASURED_S = 200.0, 5.0, 40.0
Rate = Callable[[float], float]

# Each kind with its rate as anybody would write it down, from the beginning of the shape.
SHAPES: list[tuple[Arrivals, Rate]] = [
    (Poisson(), lambda t: RATE),
    (Ramp(to_per_s=500, over_s=20), lambda t: RATE + (500 - RATE) * min(t, 20) / 20),
    (Ramp(to_per_s=20, over_s=30), lambda t: RATE + (20 - RATE) * min(t, 30) / 30),
    (Step(to_per_s=400, at_s=10), lambda t: RATE if t < 10 else 400),
    (Spike(to_per_s=900, at_s=10, for_s=5), lambda t: 900 if 10 <= t < 15 else RATE),
    (Sine(amplitude_per_s=200, period_s=8), lambda t: RATE + 200 * sin(2 * pi * t / 8)),
    (Breakpoint(step_per_s=50, every_s=4), lambda t: RATE + 50 * (t // 4)),
]


@pytest.mark.parametrize(("arrivals", "rate"), SHAPES, ids=[repr(arrivals) for arrivals, _ in SHAPES])
def test_in_the_time_of_its_rate_a_process_is_poisson(arrivals: Arrivals, rate: Rate) -> None:
    assert _p_value(arrivals, rate) > 1e-3


@pytest.mark.parametrize(("arrivals", "rate"), SHAPES, ids=[repr(arrivals) for arrivals, _ in SHAPES])
def test_a_rate_that_is_a_tenth_off_would_be_found(arrivals: Arrivals, rate: Rate) -> None:
    assert _p_value(arrivals, lambda t: 1.1 * rate(t)) < 1e-3


def test_constant_arrivals_are_evenly_spaced() -> None:
    assert list(islice(_offsets(Constant(), 4.0), 5)) == [0, 250_000_000, 500_000_000, 750_000_000, 1_000_000_000]


def test_hawkes_arrivals_have_the_rate_asked_for_and_come_in_bursts() -> None:
    offsets = np.fromiter(takewhile(lambda ns: ns < 400 * NS_PER_S, _offsets(Hawkes(0.7, 5.0), 50.0)), np.int64)
    assert len(offsets) == pytest.approx(400 * 50, rel=0.05)
    per_second = np.bincount(offsets // NS_PER_S, minlength=400)
    # In the long run the variance is 1/(1 - branching)² times a Poisson process's; a second is nearly that long.
    assert 5 < per_second.var() / per_second.mean() < 12


def test_a_rate_that_falls_to_zero_ends_the_arrivals() -> None:
    offsets = list(_offsets(Ramp(to_per_s=0, over_s=10), RATE))
    assert len(offsets) == pytest.approx(1_000, abs=160)
    assert offsets[-1] < 10 * NS_PER_S


def test_a_seed_draws_the_same_times_and_another_one_others() -> None:
    for arrivals, _ in SHAPES:
        first, again, other = (list(islice(_offsets(arrivals, RATE, seed=seed), 600)) for seed in (1, 1, 2))
        assert first == again != other
        assert first == sorted(first)


def test_what_is_written_down_is_read_back() -> None:
    for arrivals, _ in SHAPES:
        assert parse_arrivals(arrivals_text(arrivals)) == arrivals
    assert parse_arrivals("constant") == Constant()
    assert set(KINDS) >= {"constant", "poisson", "ramp", "step", "spike", "sine", "breakpoint", "hawkes", "replay"}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("fractal", "there are constant, poisson"),
        ('{"kind": "ramp"}', "to_per_s"),
        ('{"kind": "ramp", "to_per_s": -1, "over_s": 3}', "to_per_s: -1"),
        ('{"kind": "sine", "amplitude_per_s": 1, "period_s": 0}', "period_s: 0"),
        ('{"kind": "hawkes", "branching": 1.0, "decay_per_s": 3}', "only below 1"),
        ('{"kind": "poisson", "rate": 3}', "rate"),
    ],
)
def test_arrivals_that_make_no_sense_are_refused(text: str, complaint: str) -> None:
    with pytest.raises(ArrivalsError, match=complaint):
        parse_arrivals(text)


def test_a_wave_must_not_go_below_zero() -> None:
    with pytest.raises(ArrivalsError, match="amplitude_per_s"):
        checked(Sine(amplitude_per_s=201, period_s=8), RATE)


def _p_value(arrivals: Arrivals, rate: Rate) -> float:
    """Of the gaps in rescaled time being exponential; the integral is taken numerically."""
    end_s = WARM_UP_S + MEASURED_S
    offsets = _offsets(arrivals, RATE, shape_from_s=WARM_UP_S)
    times_s = np.fromiter(takewhile(lambda ns: ns < end_s * NS_PER_S, offsets), np.int64) / NS_PER_S
    grid = np.linspace(0.0, end_s, 450_001)
    rates = [rate(t - WARM_UP_S) if t >= WARM_UP_S else RATE for t in grid]
    mass = np.interp(times_s, grid, np.concatenate(([0.0], np.cumsum(rates[:-1]) * (end_s / 450_000))))
    return float(kstest(np.diff(mass, prepend=0.0), "expon").pvalue)


def _offsets(arrivals: Arrivals, rate_per_s: float, *, shape_from_s: float = 0.0, seed: int = 3) -> Iterator[int]:
    return offsets_ns(arrivals, rate_per_s, shape_from_s=shape_from_s, seed=np.random.SeedSequence(seed))
