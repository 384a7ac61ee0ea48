"""The day's shape, taken out of returns and volumes: a U shape alone makes both cluster, and move together.

Andersen and Bollerslev, Intraday periodicity and volatility persistence in financial markets (J. Empirical Finance 4
(1997) 115).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import hypot

import numpy as np

from simulator.facts.evidence import Estimate, Floats
from simulator.facts.observed import Observed

_BINS = 26  # of a quarter of an hour in a whole day
_DEGREE = 4  # of the logarithm's polynomial in time: fits a U and a slope, and little of how one day went


def apart_from_time_of_day(of: Callable[[Observed], Estimate], runs: Sequence[Observed]) -> list[Estimate]:
    """The measure of each run without the shape that the others show.

    A run alone has its own taken out, and with it some of its slow swings: how much that changes is part of its error.
    """
    if len(runs) > 1:
        return [of(_levelled(run, [*runs[:place], *runs[place + 1 :]])) for place, run in enumerate(runs)]
    (run,) = runs
    raw, level = of(run), of(_levelled(run, runs))
    return [Estimate(level.value, hypot(level.error, raw.value - level.value), level.freedom)]


def _levelled(run: Observed, shown_by: Sequence[Observed]) -> Observed:
    """Its returns and volumes divided by their shape, which has mean one."""
    begins_s = np.concatenate([each.begins_s for each in shown_by])
    sizes = np.concatenate([np.abs(each.returns - each.returns.mean()) for each in shown_by])
    volumes = np.concatenate([each.volumes for each in shown_by])
    return replace(
        run,
        returns=(run.returns - run.returns.mean()) / _shape(begins_s, sizes, run.begins_s),
        volumes=run.volumes / _shape(begins_s, volumes, run.begins_s),
    )


def _shape(times: Floats, amounts: Floats, moments: Floats) -> Floats:
    """At these moments, what is usual at that time by what is usual: fitted to the means of equal spans."""
    edges = np.linspace(times.min(), times.max(), _BINS + 1)
    counts, sums = np.histogram(times, edges)[0], np.histogram(times, edges, weights=amounts)[0]
    seen = sums > 0
    if not seen.any():
        return np.ones(len(moments))
    logs = np.log(sums[seen] / counts[seen])
    fit = np.polynomial.Polynomial.fit((edges[1:] + edges[:-1])[seen] / 2, logs, min(_DEGREE, int(seen.sum()) - 1))
    shape = np.exp(fit(np.clip(moments, edges[0], edges[-1])))
    return np.asarray(shape / shape.mean())
