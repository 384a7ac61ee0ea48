from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from reports.against import compare, runs_in
from reports.against_page import bar, write_comparison
from reports.compared import Comparison, FigureChange
from reports.gate import judge
from reports.latency import Scope
from reports.record import MissingPartError, Record
from reports.repeats import describe_repeats
from reports.results import CheckVerdict, VerdictKind
from reports.tests.conftest import write_checks
from reports.tests.synthetic import read_rows, write_table
from reports.tests.test_measures import slowed


@pytest.fixture
def baseline(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "before"))


def compared(run: Path, baseline: Path) -> Comparison:
    return compare(runs_in(run), runs_in(baseline))


def described(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    run = json.loads((folder / "run.json").read_text())
    change(run)
    (folder / "run.json").write_text(json.dumps(run))


def figure(found: Comparison, name: str, operation: str = "place") -> FigureChange:
    outside = (each for each in found.figures if each.scope is Scope.OUTSIDE_FAULTS)
    return next(each for each in outside if (each.operation, each.figure) == (operation, name))


def test_a_run_against_itself_has_not_changed(folder: Path, baseline: Path) -> None:
    found = compared(folder, baseline)
    assert (found.comparable, found.blockers, found.differences) == (True, [], [])
    assert {each.percent for each in found.figures} == {0.0}
    assert {each.told for each in found.figures} == {"no clear difference"}
    assert [each.difference_ms for each in found.outages] == [0.0, 0.0]
    assert all(each.hold_both for each in found.checks)
    assert {(each.baseline, each.run) for each in found.objectives} == {("met", "met")}


def test_orders_twice_as_slow_are_found_with_an_interval_that_leaves_out_no_change(
    folder: Path, baseline: Path, tmp_path: Path
) -> None:
    found = compared(slowed(folder, 2.0, tmp_path / "after"), baseline)
    median = figure(found, "p50")
    assert median.percent == pytest.approx(100, abs=0.1)
    assert median.low is not None
    assert median.high is not None
    assert 0 < median.low < 100 < median.high
    assert median.told == "higher"
    assert median.run.value == pytest.approx(2 * median.baseline.value, rel=1e-3)
    assert median.baseline.low is not None
    assert median.baseline.low < median.baseline.value


def test_one_run_a_side_is_told_to_hold_nothing_of_what_differs_between_runs(folder: Path, baseline: Path) -> None:
    assert "takes 3 runs a side" in compared(folder, baseline).cautions[0]


def test_repeats_on_both_sides_give_outages_an_interval_too(folder: Path, tmp_path: Path) -> None:
    for name, factor in (("before", 1.0), ("after", 1.5)):
        tree = tmp_path / name
        tree.mkdir()
        describe_repeats(tree, scenario="quickstart", repeats=3, seed=1)
        for number in range(3):
            judge(Record(slowed(folder, factor * (1 + 0.01 * number), tree / f"{number}")))
    found = compared(tmp_path / "after", tmp_path / "before")
    assert found.comparable
    assert not any("runs a side" in caution for caution in found.cautions)
    assert (found.run.runs, found.baseline.runs) == (3, 3)
    assert figure(found, "p50").percent == pytest.approx(50, abs=1)
    assert figure(found, "p50").told == "higher"
    assert all(each.low_ms is not None and each.high_ms is not None for each in found.outages)


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("configuration", {"load": {"rate_per_s": 900}}, "other load (configuration.load.rate_per_s)"),
        ("topology", {"nodes": [{"name": "api:1"}]}, "other topology (topology.nodes."),
    ],
)
def test_another_load_or_topology_forbids_the_comparison(
    folder: Path, baseline: Path, key: str, value: Any, why: str
) -> None:
    described(folder, lambda run: run.update({key: value}))
    found = compared(folder, baseline)
    assert not found.comparable
    assert any(why in blocker for blocker in found.blockers)


def test_an_invalid_run_forbids_the_comparison_and_says_why(folder: Path, baseline: Path) -> None:
    (baseline / "feed.parquet").unlink()
    found = compared(folder, baseline)
    assert (found.comparable, found.baseline.verdict) == (False, VerdictKind.INVALID)
    assert "before is INVALID: the record is incomplete: feed.parquet is missing" in found.blockers


def test_what_was_made_differently_is_named_but_forbids_nothing(folder: Path, baseline: Path) -> None:
    described(folder, lambda run: run.update(seed=8, commit="fedc", machine={**run["machine"], "cores": 64}))
    found = compared(folder, baseline)
    assert found.comparable
    assert [(each.key, each.baseline, each.run) for each in found.differences] == [
        ("seed", 1, 8),
        ("commit", "0123456789abcdef", "fedc"),
        ("machine.cores", 2, 64),
    ]
    told = "; ".join(found.cautions)
    assert all(word in told for word in ("another seed", "another machine (machine.cores)", "other versions (commit)"))


def test_how_busy_the_machine_was_at_the_start_is_no_difference(folder: Path, baseline: Path) -> None:
    described(folder, lambda run: run["machine"].update(load_average=[9.0, 9.0, 9.0]))
    assert compared(folder, baseline).differences == []


def test_a_fault_of_one_side_alone_is_shown_without_a_difference(folder: Path, baseline: Path) -> None:
    events = (folder / "events.jsonl").read_text().splitlines(keepends=True)
    (folder / "events.jsonl").write_text("".join(line for line in events if '"slow"' not in line))
    slow = next(each for each in compared(folder, baseline).outages if each.fault == "latency engine->postgres")
    assert (slow.run, slow.difference_ms) == (None, None)
    assert slow.baseline is not None


def test_errors_of_one_side_show_in_the_difference_of_the_ratios(folder: Path, baseline: Path) -> None:
    rows = read_rows(folder, "operations")
    for row in rows:
        if row["kind"] == "place" and row["operation_id"] % 10 == 0:
            row.update(outcome="fail", http_status=503, order_id=None)
    write_table(folder, "operations", rows)
    found = {each.scope: each for each in compared(folder, baseline).errors}
    outside, inside = found[Scope.OUTSIDE_FAULTS], found[Scope.INSIDE_FAULTS]
    assert inside.difference is not None
    assert (inside.low, inside.high) == (None, None)  # counted whole
    assert outside.difference is not None
    assert outside.difference == pytest.approx(0.1, abs=0.02)
    assert outside.low is not None
    assert outside.high is not None
    assert 0 < outside.low < outside.difference < outside.high


def test_a_check_that_one_side_violates_stands_beside_the_other_sides(folder: Path, baseline: Path) -> None:
    write_checks(folder, CheckVerdict.VIOLATED, lost=1)
    found = compared(folder, baseline)
    assert [(each.baseline, each.run) for each in found.checks] == [("holds", "violated")]
    assert found.comparable


def test_the_same_two_records_give_the_same_bytes_and_the_pages_figures_as_json(folder: Path, baseline: Path) -> None:
    found, page = write_comparison(folder, baseline)
    first = page.read_bytes(), page.with_suffix(".json").read_bytes()
    write_comparison(folder, baseline)
    assert first == (page.read_bytes(), page.with_suffix(".json").read_bytes())
    assert page == folder / "against-before.html"
    assert msgspec.convert(json.loads(first[1]), Comparison) == found
    assert b"no clear difference" in first[0]


def test_a_page_of_what_cannot_be_compared_says_so_first_and_calls_nothing_higher(
    folder: Path, baseline: Path, tmp_path: Path
) -> None:
    (baseline / "feed.parquet").unlink()
    _, page = write_comparison(slowed(folder, 2.0, tmp_path / "after"), baseline)
    text = page.read_text()
    assert "<h1>Not comparable</h1>" in text
    assert "<script>alert" not in text
    assert ">higher<" not in text


def test_a_folder_without_a_runs_description_cannot_be_compared(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingPartError):
        compared(folder, tmp_path)


def test_an_interval_beyond_the_bar_is_cut_off_at_its_end(folder: Path, baseline: Path) -> None:
    median = figure(compared(folder, baseline), "p50")
    drawn = bar(msgspec.structs.replace(median, percent=25.0, low=-50.0, high=None))
    assert drawn == {"low": 0.0, "width": 100.0, "value": 75.0}
