from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from reports.baseline import BaselineError, keep_baseline
from reports.gate import judge
from reports.objectives import parse_objective
from reports.record import MissingPartError, Record
from reports.repeats import describe_repeats, judge_together, spread_of
from reports.results import CheckVerdict, ObjectiveOutcome, Verdict, VerdictKind
from reports.run_folder import EventLog, run_folders, write_json
from reports.tests.conftest import write_checks
from reports.tests.synthetic import read_rows, write_table
from reports.tests.test_gate import set_objectives
from reports.tests.test_measures import slowed
from reports.timeline import faults


def repeats(folder: Path, tree: Path, *outages_ms: float, bound: float = 1_000) -> Path:
    """Runs that differ in the outage alone, each judged by itself."""
    set_objectives(
        folder, {"objective": "outage_ms", "max": bound, "scope": "crash"}, {"objective": "lost_orders", "max": 0}
    )
    judge(Record(folder))
    tree.mkdir()
    describe_repeats(tree, scenario="failover/x", repeats=len(outages_ms), seed=7)
    for number, outage_ms in enumerate(outages_ms):
        run = Path(shutil.copytree(folder, tree / f"{number}"))
        verdict = Record(run).verdict()
        missed = outage_ms > bound
        outage = msgspec.structs.replace(
            verdict.objectives[0],
            measured=outage_ms,
            outcome=type(verdict.objectives[0].outcome)("missed" if missed else "met"),
        )
        rewrite(run, msgspec.structs.replace(verdict, objectives=[outage, verdict.objectives[1]]))
    return tree


def rewrite(run: Path, verdict: Verdict) -> None:
    write_json(run / "verdict.json", msgspec.to_builtins(verdict))


def test_outages_clearly_inside_the_bound_pass_together(folder: Path, tmp_path: Path) -> None:
    tree = repeats(folder, tmp_path / "tree", 600, 700, 650, 680, 640)
    verdict = judge_together(tree)
    assert (verdict.verdict, verdict.reasons, verdict.seed) == (VerdictKind.PASS, [], 7)
    outage = verdict.objectives[0]
    assert outage.measured == pytest.approx(654)
    assert outage.low is not None
    assert outage.high is not None
    assert 600 < outage.low < 654 < outage.high < 710
    assert "of 5 runs" in outage.summary
    assert Record(tree).verdict() == verdict


def test_outages_clearly_outside_fail_together(folder: Path, tmp_path: Path) -> None:
    assert judge_together(repeats(folder, tmp_path / "t", 1_600, 1_700, 1_650)).verdict is VerdictKind.FAIL


def test_outages_that_spread_over_the_bound_tell_how_many_more_runs_would_decide(folder: Path, tmp_path: Path) -> None:
    verdict = judge_together(repeats(folder, tmp_path / "t", 600, 1_200, 700, 1_300, 900))
    assert (verdict.verdict, verdict.exit_code) == (VerdictKind.INCONCLUSIVE, 3)
    more = verdict.objectives[0].more_samples
    assert more is not None
    assert f"about {more} more runs would" in verdict.reasons[0]


def test_one_lost_order_in_one_of_many_runs_fails_them_all(folder: Path, tmp_path: Path) -> None:
    tree = repeats(folder, tmp_path / "t", 600, 620, 640)
    run = run_folders(tree)[1]
    verdict = Record(run).verdict()
    lost = msgspec.structs.replace(
        verdict.objectives[1], measured=1, outcome=type(verdict.objectives[1].outcome)("missed")
    )
    rewrite(run, msgspec.structs.replace(verdict, objectives=[verdict.objectives[0], lost]))
    assert judge_together(tree).verdict is VerdictKind.FAIL


def test_a_violated_check_in_one_run_fails_them_all(folder: Path, tmp_path: Path) -> None:
    tree = repeats(folder, tmp_path / "t", 600, 620, 640)
    run = run_folders(tree)[2]
    rewrite(run, msgspec.structs.replace(Record(run).verdict(), violated=["Cash is conserved: 3 dollars too many"]))
    verdict = judge_together(tree)
    assert verdict.verdict is VerdictKind.FAIL
    assert "3 dollars too many" in verdict.reasons[0]


def judged_repeats(folder: Path, tree: Path, *, count: int, **entry: Any) -> Path:
    """Runs that are all alike, each judged by one objective."""
    set_objectives(folder, entry)
    tree.mkdir()
    describe_repeats(tree, scenario="failover/x", repeats=count, seed=7)
    for number in range(count):
        judge(Record(Path(shutil.copytree(folder, tree / f"{number}"))))
    return tree


def test_copies_that_never_came_back_fail_the_repeats_as_they_fail_each_run(folder: Path, tmp_path: Path) -> None:
    events = folder / "events.jsonl"
    events.write_text("".join(line for line in events.read_text().splitlines(True) if "sync_set_grown" not in line))
    tree = judged_repeats(folder, tmp_path / "t", count=5, objective="redundancy_s", max=45)
    assert Record(tree / "0").verdict().verdict is VerdictKind.FAIL
    verdict = judge_together(tree)
    assert verdict.verdict is VerdictKind.FAIL
    assert verdict.objectives[0].measured is not None
    assert verdict.objectives[0].measured < 45
    assert "whatever the mean: not every copy of the database counted again" in verdict.reasons[0]


def test_copies_that_never_came_back_in_one_run_fail_all_though_another_run_cannot_tell(
    folder: Path, tmp_path: Path
) -> None:
    tree = judged_repeats(folder, tmp_path / "t", count=3, objective="redundancy_s", max=45)
    silent, lost, _ = run_folders(tree)
    events = (lost / "events.jsonl").read_text().splitlines(True)
    (lost / "events.jsonl").write_text("".join(line for line in events if "sync_set_grown" not in line))
    (silent / "events.jsonl").write_text("".join(line for line in events if "supervisor_started" not in line))
    assert judge(Record(silent)).verdict is VerdictKind.INCONCLUSIVE
    assert judge(Record(lost)).verdict is VerdictKind.FAIL
    assert judge_together(tree).objectives[0].outcome is ObjectiveOutcome.MISSED


def unended(folder: Path) -> None:
    """No order succeeds after the kill; the load ends soon after it."""
    rows = read_rows(folder, "operations")
    killed_ns = next(fault.began_ns for fault in faults(Record(folder).events) if fault.fault_id == "crash")
    assert killed_ns is not None
    for row in rows:
        if row["kind"] == "place" and (row["done_ns"] or 0) > killed_ns:
            row.update(outcome="fail", http_status=503)
    write_table(folder, "operations", rows)


def test_an_outage_that_never_ended_cannot_be_told_however_often_it_is_repeated(folder: Path, tmp_path: Path) -> None:
    unended(folder)
    tree = judged_repeats(folder, tmp_path / "t", count=5, objective="outage_ms", max=100_000, scope="crash")
    assert Record(tree / "0").verdict().verdict is VerdictKind.INCONCLUSIVE
    verdict = judge_together(tree)
    assert (verdict.verdict, verdict.objectives[0].more_samples) == (VerdictKind.INCONCLUSIVE, None)
    assert "orders did not succeed again while they were offered" in verdict.reasons[0]


def test_an_outage_that_never_ended_in_one_run_fails_all_when_it_was_too_long_already(
    folder: Path, tmp_path: Path
) -> None:
    tree = repeats(folder, tmp_path / "t", 600, 620, 640, 610)
    shutil.rmtree(run_folders(tree)[3])
    unended(folder)
    judge(Record(Path(shutil.copytree(folder, tree / "3"))))
    verdict = judge_together(tree)
    assert (verdict.verdict, verdict.objectives[0].outcome) == (VerdictKind.FAIL, ObjectiveOutcome.MISSED)


@pytest.mark.parametrize(
    ("percentile", "bound", "outcome"),
    [("p90", 12, ObjectiveOutcome.MET), ("p99", 22, ObjectiveOutcome.CANNOT_TELL)],
)
def test_percentiles_that_no_run_tells_are_pooled_unless_samples_are_too_few(
    folder: Path, tmp_path: Path, percentile: str, bound: float, outcome: ObjectiveOutcome
) -> None:
    """Runs of 521 samples each: enough for the p90, whose interval is too wide in each of them, but not for the p99."""
    tree = judged_repeats(folder, tmp_path / "t", count=5, objective=f"latency_{percentile}_ms", max=bound)
    assert Record(tree / "0").verdict().objectives[0].outcome is ObjectiveOutcome.CANNOT_TELL
    (together,) = judge_together(tree).objectives
    assert together.measured is not None
    assert together.measured < bound
    assert together.outcome is outcome


def test_a_check_that_cannot_tell_is_told_of_beside_an_objective_that_cannot(folder: Path, tmp_path: Path) -> None:
    write_checks(folder, CheckVerdict.CANNOT_TELL)
    tree = judged_repeats(folder, tmp_path / "t", count=3, objective="latency_p90_ms", max=12)
    assert Record(tree / "0").verdict().objectives[0].outcome is ObjectiveOutcome.CANNOT_TELL
    verdict = judge_together(tree)
    assert verdict.verdict is VerdictKind.INCONCLUSIVE
    assert verdict.reasons[0] == "repeat 1: Acknowledged orders exist exactly once: <b>0 lost</b>"


def never_recovers(run: Path) -> None:
    """As a run that ends while it waits for the platform leaves it: without checks, and the last of the tables."""
    with EventLog(run) as log:
        log.add("not_recovered", why="no engine led within 20 s of the healing")
        log.add("ended_early", why="no engine led within 20 s of the healing")
    for name in ("checks.json", "engine.json", "verdict.json"):
        (run / name).unlink(missing_ok=True)
    judge(Record(run))


def test_a_platform_that_never_recovers_in_one_run_fails_them_all(folder: Path, tmp_path: Path) -> None:
    tree = repeats(folder, tmp_path / "t", 600, 620, 640, 610)
    never_recovers(run_folders(tree)[1])
    verdict = judge_together(tree)
    assert (verdict.verdict, verdict.exit_code, verdict.invalid) == (VerdictKind.FAIL, 1, [])
    assert verdict.reasons == ["repeat 2: the platform never recovered: no engine led within 20 s of the healing"]
    assert verdict.objectives[0].summary.startswith("mean 616.7 ms of 3 runs")
    assert Record(tree).verdict() == verdict


def test_a_platform_that_never_recovers_fails_the_runs_though_too_few_can_be_judged(
    folder: Path, tmp_path: Path
) -> None:
    tree = repeats(folder, tmp_path / "t", 600, 620)
    never_recovers(run_folders(tree)[0])
    (run_folders(tree)[1] / "verdict.json").unlink()
    verdict = judge_together(tree)
    assert (verdict.verdict, verdict.objectives) == (VerdictKind.FAIL, [])
    assert verdict.reasons[0].startswith("repeat 1: the platform never recovered")
    assert verdict.invalid[0] == "1 of 2 repeats can be judged, at least 2 must"


def test_an_invalid_run_is_left_out_and_too_many_of_them_make_all_invalid(folder: Path, tmp_path: Path) -> None:
    tree = repeats(folder, tmp_path / "t", 600, 620, 640, 610, 630)
    for run, kind in zip(run_folders(tree), (VerdictKind.PASS, VerdictKind.INCONCLUSIVE), strict=False):
        unfit = msgspec.structs.replace(Record(run).verdict(), verdict=VerdictKind.INVALID, reasons=["it was late"])
        rewrite(run, unfit)
        verdict = judge_together(tree)
        if kind is VerdictKind.PASS:
            assert verdict.verdict is VerdictKind.PASS
            assert verdict.objectives[0].summary.startswith("mean 625 ms of 4 runs")
    assert verdict.verdict is VerdictKind.INVALID
    assert verdict.reasons == [
        "3 of 5 repeats can be judged, at least 4 must",
        "repeat 1 is INVALID: it was late",
        "repeat 2 is INVALID: it was late",
    ]


def test_a_run_that_never_got_a_verdict_counts_as_invalid(folder: Path, tmp_path: Path) -> None:
    tree = repeats(folder, tmp_path / "t", 600, 620)
    (run_folders(tree)[0] / "verdict.json").unlink()
    assert judge_together(tree).invalid[0] == "1 of 2 repeats can be judged, at least 2 must"


def test_a_folder_that_is_none_of_repeats_is_one_run(folder: Path) -> None:
    assert run_folders(folder) == [folder]
    with pytest.raises(MissingPartError):
        judge_together(folder)


def test_a_single_run_has_no_interval() -> None:
    spread = spread_of([5.0])
    assert (spread.mean, spread.low, spread.high) == (5.0, None, None)


@pytest.mark.parametrize(("factor", "kind"), [(1.0, VerdictKind.PASS), (2.0, VerdictKind.FAIL)])
def test_a_change_over_repeats_is_that_of_all_runs_against_all_runs_of_the_baseline(
    folder: Path, tmp_path: Path, factor: float, kind: VerdictKind
) -> None:
    entry = {"objective": "latency_p50_ms", "max": "+30 %", "baseline": "before"}
    set_objectives(folder, entry)
    for name, by in (("before", 1.0), ("after", factor)):
        describe_repeats(tmp_path, scenario="gate/x", repeats=4, seed=1)
        tree = tmp_path / name
        for number in range(4):
            slowed(folder, by * (1 + 0.02 * number), tree / f"{number}")
        shutil.move(tmp_path / "repeats.json", tree / "repeats.json")
    for run in run_folders(tmp_path / "after"):
        keep_baseline(run, [parse_objective(entry)], {"before": tmp_path / "before"})
        judge(Record(run))
    verdict = judge_together(tmp_path / "after")
    assert verdict.verdict is kind
    assert "4 runs against 4 runs" in verdict.objectives[0].summary
    assert verdict.objectives[0].measured == pytest.approx(100 * (factor - 1), abs=1)


def test_a_baselines_invalid_runs_are_nothing_to_compare_with(folder: Path, tmp_path: Path) -> None:
    entry = {"objective": "latency_p50_ms", "max": "+30 %", "baseline": "before"}
    judged = judge(Record(folder))
    set_objectives(folder, entry)
    before = [slowed(folder, factor, tmp_path / "before" / f"{factor}") for factor in (1.0, 1.1, 5.0)]
    describe_repeats(tmp_path / "before", scenario="gate/x", repeats=3, seed=1)
    rewrite(before[2], msgspec.structs.replace(judged, verdict=VerdictKind.INVALID))
    after = slowed(folder, 1.0, tmp_path / "after")
    keep_baseline(after, [parse_objective(entry)], {"before": tmp_path / "before"})
    assert set(Record(after).frame("baseline")["run"]) == {"1.0", "1.1"}
    with pytest.raises(BaselineError, match="holds no run that was fit"):
        keep_baseline(after, [parse_objective(entry)], {"before": before[2]})
