"""What is taken from a record: continuous trading alone, each quote for as long as it held."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from simulator.days.loader import find_day
from simulator.days.simulation import Simulation
from simulator.facts.evidence import Floats
from simulator.facts.observed import Observed, observe
from simulator.tests.days.played import Played, played
from trading.core.orders import NS_PER_S

STEP_S = 10


def test_a_halt_and_an_empty_side_count_for_no_quote() -> None:
    day, seen = played("flash-crash"), observe(played("flash-crash").folder, "AAA")
    spans = continuous_s(day)
    assert len(spans) == 3  # two halts
    looked_at = np.concatenate([np.arange(since, until, 0.02) for since, until in spans])
    spreads = spreads_at(day, looked_at)
    assert mean_spread(seen) == pytest.approx(np.nanmean(spreads), rel=0.02)
    both_sides_s = 0.02 * np.isfinite(spreads).sum()
    assert seen.spread_durations.sum() == pytest.approx(both_sides_s, rel=0.01)
    assert both_sides_s < 0.9 * sum(until - since for since, until in spans)
    assert len(seen.takers_per_minute) == sum(int((until - since) // 60) for since, until in spans)


def test_what_a_market_opens_at_again_is_no_order_s_move() -> None:
    """Over the first halt the middle rises by more than any order had moved it."""
    assert np.abs(observe(played("flash-crash").folder, "AAA").responses).max() < 500


def test_the_grid_begins_when_the_market_opens() -> None:
    seen = observe(played("opening-rush").folder, "AAA")
    assert len(seen.returns) == len(seen.volumes) == 3_600 / STEP_S
    assert seen.spread_durations.sum() == pytest.approx(3_600)
    assert len(seen.takers_per_minute) == 60
    assert seen.takers_per_minute[:5].sum() > 0
    assert len(seen.best_depth) == pytest.approx(3_600 / 30, abs=1)


def test_a_day_that_is_left_before_its_end_is_observed_until_then(tmp_path: Path) -> None:
    simulation = Simulation(find_day("calm").day, 1, tmp_path)
    simulation.advance(36_600 * NS_PER_S)
    simulation.close()
    seen = observe(tmp_path, "AAA")
    assert seen.spread_durations.sum() == pytest.approx(600, rel=0.01)
    assert len(seen.takers_per_minute) in (9, 10)


def spreads_at(day: Played, moments_s: Floats) -> Floats:
    """In ticks; not a number while a side is empty."""
    quotes = day.table("quotes")
    latest = quotes.iloc[np.searchsorted(quotes.at_ns, moments_s * 1e9, side="right") - 1]
    return np.asarray((latest.ask_micros - latest.bid_micros) / 10_000, dtype=float)


def mean_spread(seen: Observed) -> float:
    """Time-weighted, in ticks."""
    return float((seen.spreads * seen.spread_durations).sum() / seen.spread_durations.sum())


def continuous_s(day: Played) -> list[tuple[float, float]]:
    phases = day.table("happenings")
    phases = phases[phases.what.isin(["continuous", "halted", "closed"])].reset_index(drop=True)
    times = [at_ns / 1e9 for at_ns in phases.at_ns]
    return [(times[row], times[row + 1]) for row in phases.index[phases.what == "continuous"]]
