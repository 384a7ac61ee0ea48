from __future__ import annotations

import math

import numpy as np
import pytest

from reports.bounds import bound_text, percentile_ranks, rate_upper_bound


def test_nothing_seen_in_n_trials_bounds_the_rate_by_three_over_n() -> None:
    assert rate_upper_bound(0, 12_431) == pytest.approx(3 / 12_431, rel=0.002)
    assert bound_text(0, 12_431, "lost") == "0 lost of 12,431: at most 0.024 % at 95 %"


@pytest.mark.parametrize(("count", "trials"), [(0, 10), (1, 10), (2, 100), (5, 50), (12, 9_000)])
def test_at_the_clopper_pearson_bound_so_few_are_seen_in_one_run_of_twenty(count: int, trials: int) -> None:
    rate = rate_upper_bound(count, trials)
    seen = sum(math.comb(trials, k) * rate**k * (1 - rate) ** (trials - k) for k in range(count + 1))
    assert seen == pytest.approx(0.05)


def test_without_trials_or_without_a_single_success_nothing_is_bounded() -> None:
    assert rate_upper_bound(0, 0) == 1.0
    assert rate_upper_bound(7, 7) == 1.0


@pytest.mark.parametrize("quantile", [0.5, 0.99])
def test_the_interval_of_a_percentile_covers_the_true_one_as_often_as_it_says(quantile: float) -> None:
    rng = np.random.default_rng(5)
    low, high = percentile_ranks(2_000, quantile)
    assert low is not None
    assert high is not None
    samples = np.sort(rng.exponential(size=(2_000, 2_000)), axis=1)
    true = -np.log(1 - quantile)
    covered = float(((samples[:, low] <= true) & (true <= samples[:, high])).mean())
    assert 0.94 <= covered <= 0.975


def test_too_few_samples_have_no_upper_end_of_the_interval() -> None:
    assert percentile_ranks(100, 0.99)[1] is None
    assert percentile_ranks(3, 0.5)[0] is None
