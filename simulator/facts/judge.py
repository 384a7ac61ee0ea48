"""The facts a market is judged by: what each must measure, and pass, fail or cannot tell for one run or several.

A fact passes when its whole confidence interval lies in its range, and fails when no part of it does. The level is
shared out among all facts of all symbols (Bonferroni), so that a good market fails one of them by chance in at most one
report of twenty.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import inf, log
from typing import Final

from simulator.facts import flow, prices
from simulator.facts.evidence import Estimate, together
from simulator.facts.observed import Observed
from simulator.facts.time_of_day import apart_from_time_of_day

FAMILY_ERROR: Final = 0.05


class FactVerdict(StrEnum):
    PASS = "pass"
    FAIL = "fail"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, slots=True)
class Fact:
    """``low`` to ``high``: where the measure lies in real markets, generously. ``levelled``: measured without the day's
    shape."""

    name: str
    measure: str
    low: float
    high: float
    of: Callable[[Observed], Estimate]
    levelled: bool = False

    def measured(self, runs: Sequence[Observed]) -> list[Estimate]:
        return apart_from_time_of_day(self.of, runs) if self.levelled else [self.of(run) for run in runs]


@dataclass(frozen=True, slots=True)
class Finding:
    fact: Fact
    estimate: Estimate
    interval: tuple[float, float]
    verdict: FactVerdict


def _steps(observed: Observed, from_s: float, to_s: float) -> range:
    return range(max(1, round(from_s / observed.step_s)), round(to_s / observed.step_s) + 1)


FACTS: Final[Sequence[Fact]] = (
    Fact("heavy tails", "Hill index of returns", 1.8, 5.0, lambda o: prices.tail_index(o.returns)),
    Fact("bounce", "autocorrelation of returns, lag 1", -0.5, 0.1, lambda o: prices.bounce(o.returns)),
    Fact(
        "no linear memory", "mean autocorrelation, lags 2..10", -0.04, 0.04, lambda o: prices.linear_memory(o.returns)
    ),
    Fact(
        "volatility clusters",
        "autocorrelation of |returns|, 3 to 10 min",
        0.02,
        0.6,
        lambda o: prices.volatility_memory(o.returns, _steps(o, 180, 600)),
        levelled=True,
    ),
    Fact(
        "slow decay of volatility",
        "|returns|, 10 to 20 min by 30 s to 3 min",
        0.09,  # of 1 / lag: memory is long when it decays more slowly than that
        1.0,
        lambda o: prices.volatility_decay(o.returns, _steps(o, 30, 180), _steps(o, 600, 1_200)),
        levelled=True,
    ),
    Fact(
        "aggregational normality",
        "log of the fall of kurtosis over 18 steps",
        0.2,
        inf,
        lambda o: prices.normalizing(o.returns, 18),
    ),
    Fact(
        "volume and volatility",
        "correlation of logarithms",
        0.1,
        0.95,
        lambda o: prices.volume_and_volatility(o.volumes, o.returns),
        levelled=True,
    ),
    Fact(
        "intraday shape",
        "log of trades at the ends by the middle",
        log(1.2),
        log(8),
        lambda o: flow.ends_to_middle(o.takers_per_minute),
    ),
    Fact(
        "sign memory",
        "autocorrelation of signs, lags 10..50",
        0.02,
        0.7,
        lambda o: flow.sign_memory(o.signs, range(10, 51)),
    ),
    Fact(
        "long memory of signs",
        "lags 100..300 by 10..50",
        0.14,  # of 1 / lag
        1.0,
        lambda o: flow.sign_decay(o.signs, range(10, 51), range(100, 301)),
    ),
    Fact("impact", "share of the middle's moves that go with orders", 0.05, 1.0, lambda o: flow.impact(o.responses)),
    Fact(
        "concave impact",
        "exponent of impact by volume",
        -0.2,
        0.9,
        lambda o: flow.impact_exponent(o.taken, o.responses),
    ),
    Fact("spread", "mean in ticks", 1.0, 15.0, lambda o: flow.time_weighted(o.spreads, o.spread_durations)),
    Fact(
        "spread varies",
        "deviation by mean",
        0.15,
        2.0,
        lambda o: flow.spread_variation(o.spreads, o.spread_durations),
    ),
    Fact(
        "depth grows", "levels 4..6 by the best", 1.05, 20.0, lambda o: flow.depth_growth(o.best_depth, o.deeper_depth)
    ),
    Fact("orders per trade", "placed by taking", 2.0, 100.0, lambda o: flow.counted(o.placed, o.trades)),
    Fact("cancellations", "canceled by placed", 0.3, 0.99, lambda o: flow.counted(o.canceled, o.placed)),
)


def judge(runs: Sequence[Observed], facts: Sequence[Fact] = FACTS, *, symbols: int = 1) -> list[Finding]:
    """What independent runs of one market say together. ``symbols``: how many the whole report judges."""
    return judge_estimates({fact: fact.measured(runs) for fact in facts}, symbols=symbols)


def judge_estimates(measured: Mapping[Fact, Sequence[Estimate]], *, symbols: int = 1) -> list[Finding]:
    level = 1.0 - FAMILY_ERROR / max(1, len(measured) * symbols)
    return [_finding(fact, together(estimates), level) for fact, estimates in measured.items()]


def _finding(fact: Fact, estimate: Estimate, level: float) -> Finding:
    low, high = estimate.interval(level)
    if fact.low <= low and high <= fact.high:
        verdict = FactVerdict.PASS
    elif high < fact.low or low > fact.high:
        verdict = FactVerdict.FAIL
    else:
        verdict = FactVerdict.CANNOT_TELL
    return Finding(fact, estimate, (low, high), verdict)


def fact_named(name: str) -> Fact:
    """Raises StopIteration for one that does not exist."""
    return next(fact for fact in FACTS if fact.name == name)
