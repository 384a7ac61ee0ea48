from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from reports.bounds import percentile_ranks
from reports.dependence import Floats, Timed, inflation, mean_interval, percentile_interval, samples_to_decide

EVERY_NS = 10_000_000


def evenly(values: Floats) -> Timed:
    return Timed(np.arange(len(values), dtype=np.int64) * EVERY_NS, values)


def waves(rng: np.random.Generator, count: int, memory: float) -> Floats:
    """Log-normal samples of which each remembers the one before (AR(1)); the distribution itself stays the same."""
    noise, level = rng.standard_normal(count), 0.0
    levels = np.empty(count)
    for n in range(count):
        level = memory * level + np.sqrt(1 - memory**2) * noise[n]
        levels[n] = level
    return np.exp(levels)


def test_samples_that_know_nothing_of_each_other_have_the_exact_interval_or_little_more() -> None:
    values = np.random.default_rng(1).exponential(size=4_000)
    low, high = percentile_ranks(len(values), 0.9)
    assert low is not None
    assert high is not None
    exact = np.sort(values)[high] - np.sort(values)[low]
    found = percentile_interval(evenly(values), 0.9)
    assert found.low is not None
    assert found.high is not None
    assert exact * 0.99 <= found.high - found.low < 2 * exact


def test_waves_of_seconds_count_for_fewer_samples() -> None:
    values = waves(np.random.default_rng(2), 4_000, 0.99)
    assert inflation(evenly(values), float(np.quantile(values, 0.9))) > 20


def test_what_is_no_steady_sample_counts_each_as_news() -> None:
    values = waves(np.random.default_rng(2), 4_000, 0.99)
    assert inflation(Timed(evenly(values).at_ns, values, steady=False), float(np.median(values))) == 1


@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.99])
def test_the_interval_encloses_the_true_percentile_of_waves_nineteen_times_of_twenty(quantile: float) -> None:
    truth = float(np.exp({0.5: 0.0, 0.9: 1.2815515655, 0.99: 2.326347874}[quantile]))
    rng = np.random.default_rng(3)
    held = [_encloses(percentile_interval(evenly(waves(rng, 3_000, 0.9)), quantile), truth) for _ in range(100)]
    assert np.mean(held) >= 0.92


def _encloses(interval: object, truth: float) -> bool:
    low, high = getattr(interval, "low", None), getattr(interval, "high", None)
    return (low is None or low <= truth) and (high is None or truth <= high)


def test_too_few_samples_leave_an_end_open() -> None:
    found = percentile_interval(evenly(np.arange(200.0)), 0.99)
    assert found.high is None
    assert found.low is not None


def test_more_samples_as_asked_for_do_decide() -> None:
    rng = np.random.default_rng(4)
    values = rng.exponential(size=2_000)
    bound = float(np.quantile(values, 0.92))
    more = samples_to_decide(evenly(values[:200]), 0.9, bound)
    assert more is not None
    longer = percentile_interval(evenly(rng.exponential(size=200 + 4 * more)), 0.9)
    assert longer.high is not None
    assert longer.high <= bound


def test_no_number_of_samples_decides_when_the_percentile_is_the_bound() -> None:
    assert samples_to_decide(evenly(np.arange(100.0)), 0.5, 49.0) is None


def test_the_mean_of_waves_has_a_wider_interval_than_their_number_says() -> None:
    values = np.repeat(np.random.default_rng(5).standard_normal(16), 8)
    naive = 1.96 * values.std(ddof=1) / np.sqrt(len(values))
    found = mean_interval(values)
    assert found.low is not None
    assert found.high is not None
    assert found.high - found.low > 4 * naive


def test_a_few_seconds_are_no_mean() -> None:
    assert list(_ends(mean_interval(np.ones(7)))) == [None, None]


def _ends(interval: object) -> Iterator[float | None]:
    yield from (getattr(interval, "low", 0), getattr(interval, "high", 0))
