from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reports.baseline import BaselineError, keep_baseline, kept_baseline, series
from reports.comparison import change, side_of
from reports.dependence import Interval, Timed
from reports.goodput import goodput_by_second
from reports.latency import Scope, response_times
from reports.measures import decide, measure, measure_change
from reports.objectives import parse_objective
from reports.record import Record
from reports.results import ObjectiveOutcome, ObjectiveResult
from reports.run_folder import write_json
from reports.staleness import staleness
from reports.tests.synthetic import read_rows, write_table
from reports.tests.synthetic_platform import MS, S

MET, MISSED, CANNOT_TELL = ObjectiveOutcome.MET, ObjectiveOutcome.MISSED, ObjectiveOutcome.CANNOT_TELL


def asked(folder: Path, **entry: Any) -> ObjectiveResult:
    record = Record(folder)
    return measure(record, record.checks(), parse_objective(entry))


@pytest.mark.parametrize(
    ("interval", "outcome"),
    [
        (Interval(1, 10), MET),
        (Interval(1, 11), CANNOT_TELL),
        (Interval(10, 12), CANNOT_TELL),
        (Interval(10.1, 12), MISSED),
        (Interval(None, 10), MET),
        (Interval(None, 11), CANNOT_TELL),
        (Interval(11, None), MISSED),
        (Interval(None, None), CANNOT_TELL),
    ],
)
def test_an_objective_is_decided_by_where_the_interval_lies(interval: Interval, outcome: ObjectiveOutcome) -> None:
    assert decide(interval, parse_objective({"objective": "outage_ms", "max": 10})) is outcome


@pytest.mark.parametrize(
    ("interval", "outcome"),
    [(Interval(10, 20), MET), (Interval(9, 20), CANNOT_TELL), (Interval(1, 9), MISSED), (Interval(None, 9), MISSED)],
)
def test_the_goodput_must_not_be_less(interval: Interval, outcome: ObjectiveOutcome) -> None:
    assert decide(interval, parse_objective({"objective": "goodput_per_s", "min": 10})) is outcome


def test_what_cannot_be_told_says_how_many_more_samples_would_tell(folder: Path) -> None:
    found = asked(folder, objective="latency_p99_ms", max=22)
    assert found.outcome is CANNOT_TELL
    assert found.more_samples is not None
    assert f"about {found.more_samples:,} more samples" in found.summary
    assert "s at this rate, would" in found.summary


def test_a_bound_that_no_sample_passes_is_met_though_the_intervals_end_cannot_be_told(folder: Path) -> None:
    """One slow half second says as much of the percentile as one sample, and of a bound far beyond it nothing."""
    first_ns = response_times(Record(folder), "place", Scope.OUTSIDE_FAULTS).at_ns[0]
    rows = read_rows(folder, "operations")
    for row in rows:
        if row["done_ns"] and first_ns <= row["intended_ns"] < first_ns + S // 2:
            row["done_ns"] += 60 * MS
    write_table(folder, "operations", rows)
    found = asked(folder, objective="latency_p99_ms", max=200)
    assert (found.high, found.outcome) == (None, MET)
    assert "0.00% were beyond 200.0 ms" in found.summary
    assert asked(folder, objective="latency_p99_ms", max=60).outcome is CANNOT_TELL
    assert asked(folder, objective="latency_p99_ms", max=20).outcome is MISSED


def test_the_latency_of_any_kind_of_operation_can_be_asked_for(folder: Path) -> None:
    cancels = response_times(Record(folder), "cancel", Scope.OUTSIDE_FAULTS)
    found = asked(folder, objective="latency_p50_ms", max=1_000, operation="cancel")
    assert found.outcome is MET
    assert found.measured == np.quantile(cancels.values, 0.5, method="inverted_cdf")
    assert asked(folder, objective="latency_p50_ms", max=1, operation="login").outcome is CANNOT_TELL


def test_goodput_counts_good_answers_of_the_measured_phase(folder: Path) -> None:
    record = Record(folder)
    mean = float(goodput_by_second(record).mean())
    assert asked(folder, objective="goodput_per_s", min=mean - 1).outcome is MET
    assert asked(folder, objective="goodput_per_s", min=mean + 1).outcome is MISSED
    rows = read_rows(folder, "operations")
    for row in rows[::2]:
        row.update(outcome="fail", http_status=503)
    write_table(folder, "operations", rows)
    assert float(goodput_by_second(Record(folder)).mean()) == pytest.approx(mean / 2, rel=0.1)


def test_goodput_outside_faults_leaves_out_the_seconds_that_a_fault_touched(folder: Path) -> None:
    record = Record(folder)
    every, outside = goodput_by_second(record), goodput_by_second(record, Scope.OUTSIDE_FAULTS)
    inside = goodput_by_second(record, Scope.INSIDE_FAULTS)
    assert len(outside) + len(inside) == len(every)
    assert outside.min() > inside.min()


def test_staleness_is_from_the_commit_to_the_arrival_and_leaves_snapshots_out(folder: Path) -> None:
    ages = staleness(Record(folder))
    assert ages.values == pytest.approx(2.0, abs=0.01)
    rows = read_rows(folder, "feed")
    changes = [row for row in rows if row["kind"] == "o" and '"r": true' not in row["message"]]
    assert len(ages) < len(changes)  # the measured phase's
    for row in changes:
        row["received_ns"] += 50_000_000
    write_table(folder, "feed", rows)
    assert asked(folder, objective="feed_staleness_p90_ms", max=40).outcome is MISSED
    assert asked(folder, objective="feed_staleness_p90_ms", max=60).outcome is MET


def test_errors_outside_faults_are_a_sample_and_those_inside_are_counted(folder: Path) -> None:
    found = asked(folder, objective="error_ratio", max=0.05)
    assert found.outcome is MET
    assert found.low is not None
    assert found.high is not None
    assert found.measured is not None
    assert found.low <= found.measured < found.high
    inside = asked(folder, objective="error_ratio", max=0.05, scope="inside_faults")
    assert inside.low == inside.measured == inside.high


def test_an_error_ratio_too_near_its_bound_asks_for_more_orders(folder: Path) -> None:
    found = asked(folder, objective="error_ratio", max=0.003, scope="outside_faults")
    assert (found.measured, found.outcome) == (0, CANNOT_TELL)
    assert found.more_samples is not None


# -- against a baseline ----------------------------------------------------------------------------


def slowed(folder: Path, factor: float, to: Path) -> Path:
    """A copy in which every order takes ``factor`` as long."""
    shutil.copytree(folder, to)
    rows = read_rows(to, "operations")
    for row in rows:
        if row["done_ns"] is not None:
            row["done_ns"] = row["intended_ns"] + round((row["done_ns"] - row["intended_ns"]) * factor)
    write_table(to, "operations", rows)
    return to


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.2, 1.6])
def test_one_run_against_another_neither_passes_nor_fails_for_what_may_be_the_runs_own(
    folder: Path, tmp_path: Path, factor: float
) -> None:
    entry = {"objective": "latency_p50_ms", "max": "+20 %", "baseline": "before"}
    other = slowed(folder, factor, tmp_path / "after")
    keep_baseline(other, [parse_objective(entry)], {"before": folder})
    found = asked(other, **entry)
    assert found.outcome is CANNOT_TELL
    assert "that takes 3 runs a side" in found.summary
    assert found.measured == pytest.approx(100 * (factor - 1), abs=0.5)
    shutil.rmtree(folder)
    assert asked(other, **entry) == found  # from its own record alone


@pytest.mark.parametrize(("factor", "outcome"), [(1.0, MET), (1.6, MISSED)])
def test_a_change_is_told_by_three_runs_a_side_and_by_no_fewer_on_either(
    folder: Path, factor: float, outcome: ObjectiveOutcome
) -> None:
    objective = parse_objective({"objective": "latency_p50_ms", "max": "+20 %", "baseline": "before"})
    run = series(Record(folder), objective)
    theirs = [Timed(run.at_ns, run.values * by) for by in (0.99, 1.0, 1.01)]
    ours = [Timed(run.at_ns, run.values * by * factor) for by in (0.99, 1.0, 1.01)]
    assert measure_change(ours, theirs, objective).outcome is outcome
    assert measure_change(ours[:2], theirs, objective).outcome is CANNOT_TELL
    assert measure_change(ours, theirs[:2], objective).outcome is CANNOT_TELL


def test_the_tail_of_too_few_samples_is_not_compared(folder: Path, tmp_path: Path) -> None:
    entry = {"objective": "latency_p99.9_ms", "max": "+10 %", "baseline": "before"}
    other = slowed(folder, 3.0, tmp_path / "after")
    keep_baseline(other, [parse_objective(entry)], {"before": folder})
    assert asked(other, **entry).outcome is CANNOT_TELL


def test_a_baseline_that_holds_nothing_to_compare_with_is_refused(folder: Path, tmp_path: Path) -> None:
    entry = parse_objective({"objective": "latency_p50_ms", "max": "+10 %", "baseline": "b", "operation": "login"})
    with pytest.raises(BaselineError, match="no login was answered"):
        keep_baseline(folder, [entry], {"b": folder})
    assert asked(folder, objective="latency_p50_ms", max="+10 %", baseline="b").outcome is CANNOT_TELL


def test_every_run_of_a_baseline_is_kept_apart(folder: Path, tmp_path: Path) -> None:
    entry = parse_objective({"objective": "latency_p50_ms", "max": "+10 %", "baseline": "b"})
    tree = tmp_path / "tree"
    for factor in (1.0, 1.1, 1.2):
        slowed(folder, factor, tree / f"run-{factor}")
    (tree / "repeats.json").write_text("{}")
    keep_baseline(folder, [entry], {"b": tree})
    medians = [float(np.median(run.values)) for run in kept_baseline(Record(folder), entry)]
    assert medians[1] / medians[0] == pytest.approx(1.1, abs=0.01)
    assert medians[2] / medians[0] == pytest.approx(1.2, abs=0.01)


def test_runs_that_differ_more_than_their_samples_say_widen_the_interval() -> None:
    rng = np.random.default_rng(1)
    at_ns = np.arange(1_000, dtype=np.int64) * 10_000_000
    steady = [Timed(at_ns, np.exp(rng.normal(0, 0.1, 1_000))) for _ in range(5)]
    moody = [Timed(run.at_ns, run.values * np.exp(rng.normal(0, 0.2))) for run in steady]
    for runs, wide in ((steady, False), (moody, True)):
        side = side_of(runs, 0.5)
        assert (side.high - side.low > 0.1) == wide


def test_a_change_has_the_intervals_of_both_sides() -> None:
    rng = np.random.default_rng(2)
    at_ns = np.arange(2_000, dtype=np.int64) * 10_000_000
    a, b = (Timed(at_ns, rng.exponential(mean, 2_000)) for mean in (12.0, 10.0))
    found = change(side_of([a], 0.5), side_of([b], 0.5))
    assert found.low is not None
    assert found.high is not None
    assert found.low < 20 < found.high
    back = change(side_of([b], 0.5), side_of([a], 0.5))
    assert (1 + found.percent / 100) * (1 + back.percent / 100) == pytest.approx(1)


def test_a_baseline_under_another_load_is_refused(folder: Path, tmp_path: Path) -> None:
    other = slowed(folder, 1.0, tmp_path / "after")
    run = Record(other).run
    write_json(other / "run.json", {**run, "configuration": {**run["configuration"], "load": {"rate_per_s": 400}}})
    entry = parse_objective({"objective": "latency_p50_ms", "max": "+10 %", "baseline": "b"})
    with pytest.raises(BaselineError, match=r"other load \(configuration\.load\.rate_per_s\)"):
        keep_baseline(other, [entry], {"b": folder})
