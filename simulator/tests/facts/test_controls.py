"""The facts tell markets from what only looks like one: negative controls, real prices, and the ordinary day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from arch.data import nasdaq, sp500
from backtesting.test import EURUSD
from scipy.signal import fftconvolve

from simulator.days.clock import u_shape
from simulator.facts import prices
from simulator.facts.evidence import NOTHING, Estimate, Floats
from simulator.facts.judge import FACTS, FactVerdict, fact_named, judge, judge_estimates
from simulator.facts.observed import Observed, RecordError, observe, symbols_of
from simulator.tests.days.played import played

PASS, FAIL = FactVerdict.PASS, FactVerdict.FAIL
RUNS = 10


@cache
def good() -> Observed:
    return observe(played("default").folder, "AAA")


def verdicts(runs: Sequence[Observed]) -> dict[str, FactVerdict]:
    return {finding.fact.name: finding.verdict for finding in judge(runs)}


def test_one_ordinary_day_fails_no_fact_and_passes_most() -> None:
    """Several days of several seeds are judged by the benchmark ``simulator/benchmarks/facts.py``."""
    found = verdicts([good()])
    assert FAIL not in found.values()
    assert sum(verdict is PASS for verdict in found.values()) >= len(FACTS) / 2
    assert symbols_of(played("default").folder) == ["AAA"]


def test_a_gaussian_random_walk_fails_the_facts_that_it_lacks_and_no_other() -> None:
    rng = np.random.default_rng(1)
    found = price_verdicts([rng.standard_normal(2_340) * 1e-4 for _ in range(RUNS)])
    lacking = {"heavy tails", "volatility clusters", "aggregational normality"}
    assert {name for name, verdict in found.items() if verdict is FAIL} == lacking
    assert found["bounce"] is found["no linear memory"] is PASS


def test_noise_under_the_day_s_shape_neither_clusters_nor_moves_with_volume() -> None:
    rng, day, runs = np.random.default_rng(5), good(), []
    for _ in range(RUNS):
        shape = u_shape((np.arange(len(day.returns)) + 0.5) / len(day.returns), 6.0)
        returns = rng.standard_normal(len(shape)) * np.sqrt(shape) * 1e-4
        runs.append(replace(day, returns=returns, volumes=rng.poisson(20 * shape).astype(float)))
    found = verdicts(runs)
    assert found["volatility clusters"] is found["volume and volatility"] is FAIL
    alone = verdicts(runs[:1])  # whether it is the shape of all days or only of this one cannot be seen
    assert alone["volatility clusters"] is FactVerdict.CANNOT_TELL


def test_returns_that_remember_fail_the_facts_of_no_memory() -> None:
    rng, runs = np.random.default_rng(2), []
    for _ in range(RUNS):
        noise = rng.standard_normal(2_340)
        runs.append(np.convolve(noise, 0.8 ** np.arange(12))[:2_340] * 1e-4)
    found = price_verdicts(runs)
    assert found["bounce"] is FAIL
    assert found["no linear memory"] is FAIL


def test_a_shuffled_copy_of_a_good_day_fails_whatever_is_about_order() -> None:
    rng, day = np.random.default_rng(3), good()
    shuffled = [
        replace(
            day,
            returns=rng.permutation(day.returns),
            volumes=rng.permutation(day.volumes),
            signs=rng.permutation(day.signs),
            takers_per_minute=rng.permutation(day.takers_per_minute),
        )
        for _ in range(4 * RUNS)
    ]
    found = verdicts(shuffled)
    in_order = {"volatility clusters", "volume and volatility", "sign memory", "intraday shape"}
    assert {name for name, verdict in found.items() if verdict is FAIL} >= in_order
    assert found["heavy tails"] is not FAIL
    assert found["spread"] is PASS


@pytest.mark.parametrize("kept", [0.9, 0.95, 0.97])
def test_signs_that_forget_exponentially_have_a_memory_but_no_long_one(kept: float) -> None:
    """``kept``: the autocorrelation at lag one, whose powers are those at the others."""
    rng, day = np.random.default_rng(8), good()
    turns = [np.where(rng.random(len(day.signs)) < (1 + kept) / 2, 1.0, -1.0) for _ in range(RUNS)]
    found = verdicts([replace(day, signs=np.cumprod(each)) for each in turns])
    assert found["sign memory"] is PASS
    assert found["long memory of signs"] is FAIL


def test_signs_that_forget_as_a_power_of_the_lag_have_a_long_memory() -> None:
    """Signs of fractionally integrated noise (Hosking, Biometrika 68 (1981) 165): lag ** -0.4."""
    rng, day = np.random.default_rng(9), good()
    count, lags = len(day.signs), np.arange(1, len(day.signs))
    weights = np.concatenate(([1.0], np.cumprod((lags - 1 + 0.3) / lags)))
    noises = [fftconvolve(rng.standard_normal(2 * count), weights)[count : 2 * count] for _ in range(2 * RUNS)]
    found = verdicts([replace(day, signs=np.sign(noise)) for noise in noises])
    assert found["sign memory"] is found["long memory of signs"] is PASS


@pytest.mark.parametrize("kept", [0.9, 0.96])
def test_volatility_that_forgets_exponentially_clusters_and_does_not_decay_slowly(kept: float) -> None:
    """``kept``: the autocorrelation of its logarithm from one step of 10 s to the next."""
    rng = np.random.default_rng(10)
    weights = kept ** np.arange(300) * np.sqrt(1 - kept**2)
    found = verdicts([with_volatility(weights, rng) for _ in range(2 * RUNS)])
    assert found["slow decay of volatility"] is FAIL
    assert found["volatility clusters"] is (PASS if kept > 0.9 else FAIL)


def test_volatility_that_forgets_as_a_power_of_the_lag_decays_slowly() -> None:
    """Of fractionally integrated noise, as that of real markets (Andersen et al., Econometrica 71 (2003) 579)."""
    rng, lags = np.random.default_rng(11), np.arange(1, 2_000)
    weights = np.concatenate(([1.0], np.cumprod((lags - 1 + 0.4) / lags)))
    found = verdicts([with_volatility(weights / np.sqrt((weights**2).sum()), rng) for _ in range(4 * RUNS)])
    assert found["slow decay of volatility"] is found["volatility clusters"] is PASS


def with_volatility(weights: Floats, rng: np.random.Generator) -> Observed:
    """The good day, with the returns of one whose log-volatility is noise so weighted."""
    count = len(good().returns)
    log_volatility = fftconvolve(rng.standard_normal(count + len(weights)), weights)[len(weights) :][:count]
    return replace(good(), returns=1e-4 * np.exp(log_volatility) * rng.standard_normal(count))


def test_impact_that_grows_as_the_square_of_volume_is_no_concave_impact() -> None:
    rng, day = np.random.default_rng(4), good()
    runs = []
    for _ in range(RUNS):
        responses = (day.taken / 1e8) ** 2 * rng.uniform(0.5, 1.5, len(day.taken))
        runs.append(replace(day, responses=responses))
    assert verdicts(runs)["concave impact"] is FAIL


@pytest.mark.parametrize("against", [RUNS, RUNS - 2, 0])
def test_a_market_that_does_not_move_with_its_orders_never_passes_for_one_with_impact(against: int) -> None:
    """``against``: in so many of the days prices move the other way, in the others with the root of the volume; with
    none, all move at random."""
    rng, day, runs = np.random.default_rng(6), good(), []
    for number in range(RUNS):
        noise = 0.02 * rng.standard_normal(len(day.taken))
        moves = np.sqrt(day.taken / day.taken.mean()) * (1.0 if number >= against else -1.0) if against else 0.0
        runs.append(replace(day, responses=moves + noise))
    found = verdicts(runs)
    assert found["concave impact"] is FactVerdict.CANNOT_TELL
    assert found["impact"] is (FactVerdict.CANNOT_TELL if against == RUNS - 2 else FAIL)


@pytest.mark.parametrize(
    ("market", "passing"),
    [
        ("sp500", {"bounce", "no linear memory", "volatility clusters", "volume and volatility"}),
        ("nasdaq", {"heavy tails", "bounce", "no linear memory", "volatility clusters", "volume and volatility"}),
        ("eurusd", {"heavy tails", "bounce", "no linear memory", "aggregational normality", "volume and volatility"}),
    ],
)
def test_real_prices_pass_what_applies_at_their_scale_and_fail_nothing(market: str, passing: set[str]) -> None:
    """Daily 1999-2018, and hourly. A few crises make a tail or a kurtosis hard to tell from so few days."""
    returns, volumes = real(market)
    found = price_verdicts([returns], [volumes])
    assert FAIL not in found.values()
    assert {name for name, verdict in found.items() if verdict is PASS} >= passing


def test_a_report_of_a_single_fact_needs_evidence() -> None:
    fact = fact_named("spread")
    (sure,) = judge_estimates({fact: [Estimate(2.0, 0.1, 19)]})
    (vague,) = judge_estimates({fact: [Estimate(2.0, 1.0, 19)]})
    (wrong,) = judge_estimates({fact: [Estimate(0.2, 0.1, 19)]})
    assert [sure.verdict, vague.verdict, wrong.verdict] == [PASS, FactVerdict.CANNOT_TELL, FAIL]


def test_more_symbols_share_one_level() -> None:
    fact = fact_named("spread")
    (alone,) = judge_estimates({fact: [Estimate(2.0, 0.1, 19)]})
    (of_four,) = judge_estimates({fact: [Estimate(2.0, 0.1, 19)]}, symbols=4)
    assert alone.interval == pytest.approx((1.791, 2.209), abs=1e-3)  # Student's t at 5 %: 2.093
    assert of_four.interval == pytest.approx((1.724, 2.276), abs=1e-3)  # at 5/4 %: 2.759


def test_several_runs_are_judged_by_how_much_they_differ() -> None:
    fact = fact_named("spread")
    alike = [Estimate(value, 9.0, 19) for value in (2.0, 2.1, 1.9, 2.0)]
    apart = [Estimate(value, 0.01, 19) for value in (1.0, 9.0, 2.0, 30.0)]
    assert judge_estimates({fact: alike})[0].verdict is PASS
    assert judge_estimates({fact: apart})[0].verdict is FactVerdict.CANNOT_TELL
    assert judge_estimates({fact: [*alike, NOTHING]})[0].verdict is FactVerdict.CANNOT_TELL


@pytest.mark.parametrize("steps", [1, 30])
@pytest.mark.parametrize("runs", [1, 2])
def test_too_few_steps_and_a_price_that_never_moves_tell_nothing(steps: int, runs: int) -> None:
    day = good()
    short = replace(day, begins_s=day.begins_s[:steps], returns=day.returns[:steps], volumes=day.volumes[:steps])
    still = replace(day, returns=np.zeros(len(day.returns)))
    for found in (verdicts([short] * runs), verdicts([still] * runs)):
        assert found["volatility clusters"] is found["volume and volatility"] is FactVerdict.CANNOT_TELL


def test_a_folder_that_is_no_record_is_refused() -> None:
    with pytest.raises(RecordError, match="cannot be read"):
        observe(played("calm").folder / "nothing", "AAA")


def price_verdicts(returns: Sequence[Floats], volumes: Sequence[Floats] = ()) -> dict[str, FactVerdict]:
    measured = {
        fact_named("heavy tails"): [prices.tail_index(run) for run in returns],
        fact_named("bounce"): [prices.bounce(run) for run in returns],
        fact_named("no linear memory"): [prices.linear_memory(run) for run in returns],
        fact_named("volatility clusters"): [prices.volatility_memory(run, range(18, 61)) for run in returns],
        fact_named("slow decay of volatility"): [
            prices.volatility_decay(run, range(3, 19), range(60, 121)) for run in returns
        ],
        fact_named("aggregational normality"): [prices.normalizing(run, 18) for run in returns],
    }
    if volumes:
        pairs = zip(volumes, returns, strict=True)
        measured[fact_named("volume and volatility")] = [prices.volume_and_volatility(*pair) for pair in pairs]
    return {finding.fact.name: finding.verdict for finding in judge_estimates(measured)}


def real(market: str) -> tuple[Floats, Floats]:
    """Returns, and volumes against their mean of a year where that has grown tenfold."""
    if market == "eurusd":
        return np.diff(np.log(EURUSD.Close.to_numpy())), EURUSD.Volume.to_numpy()[1:].astype(float)
    table: pd.DataFrame = {"sp500": sp500, "nasdaq": nasdaq}[market].load()
    relative = 100 * table["Volume"] / table["Volume"].rolling(250).mean()
    returns = np.log(table["Adj Close"]).diff()
    known = relative.notna() & returns.notna()
    return returns[known].to_numpy(), relative[known].to_numpy()
