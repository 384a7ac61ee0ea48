from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reports.gate import judge
from reports.objectives import ObjectiveError, parse_objective
from reports.record import Record
from reports.results import CheckVerdict, ObjectiveOutcome, VerdictKind
from reports.run_folder import EventLog
from reports.tests.conftest import write_checks
from reports.tests.synthetic import read_rows, write_table


def set_objectives(folder: Path, *objectives: dict[str, Any]) -> None:
    path = folder / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "objectives": objectives}))


def starve(folder: Path) -> None:
    rows = read_rows(folder, "operations")
    for row in rows[::20]:
        row["sent_ns"] += 60_000_000
    write_table(folder, "operations", rows)


def test_a_run_that_meets_everything_passes(folder: Path) -> None:
    verdict = judge(Record(folder))
    assert (verdict.verdict, verdict.exit_code, verdict.reasons) == (VerdictKind.PASS, 0, [])
    assert Record(folder).verdict() == verdict


def test_a_platform_that_never_recovers_fails_though_its_record_ends_early(folder: Path) -> None:
    with EventLog(folder) as log:
        log.add("not_recovered", why="no engine led within 20 s of the healing")
        log.add("ended_early", why="no engine led within 20 s of the healing")
    (folder / "engine.json").unlink()
    verdict = judge(Record(folder))
    assert (verdict.verdict, verdict.exit_code) == (VerdictKind.FAIL, 1)
    assert verdict.reasons[0] == "the platform never recovered: no engine led within 20 s of the healing"


def test_a_violated_check_fails_the_run(folder: Path) -> None:
    write_checks(folder, CheckVerdict.VIOLATED, lost=2)
    verdict = judge(Record(folder))
    assert (verdict.verdict, verdict.exit_code) == (VerdictKind.FAIL, 1)
    assert any("Acknowledged orders exist exactly once" in reason for reason in verdict.reasons)
    assert any(reason.startswith("lost_orders over 0: 2 lost of 987") for reason in verdict.reasons)


def test_a_check_that_cannot_tell_makes_the_run_inconclusive(folder: Path) -> None:
    write_checks(folder, CheckVerdict.CANNOT_TELL)
    verdict = judge(Record(folder))
    assert (verdict.verdict, verdict.exit_code) == (VerdictKind.INCONCLUSIVE, 3)


def test_a_run_whose_checks_never_ran_does_not_pass(folder: Path) -> None:
    (folder / "checks.json").unlink()
    assert judge(Record(folder)).verdict is VerdictKind.INVALID


def test_an_invalid_run_neither_passes_nor_fails_but_shows_what_was_lost(folder: Path) -> None:
    starve(folder)
    assert judge(Record(folder)).exit_code == 4
    write_checks(folder, CheckVerdict.VIOLATED, lost=2)
    verdict = judge(Record(folder))
    assert verdict.verdict is VerdictKind.INVALID
    assert "late" in verdict.reasons[0]
    assert any("2 lost of 987" in reason for reason in verdict.reasons)


def test_a_missed_objective_fails_before_anything_is_inconclusive(folder: Path) -> None:
    write_checks(folder, CheckVerdict.CANNOT_TELL)
    set_objectives(folder, {"objective": "outage_ms", "max": 500})
    verdict = judge(Record(folder))
    assert verdict.verdict is VerdictKind.FAIL
    assert verdict.reasons[0].startswith("outage_ms over 500: longest outage 7")


def test_an_outage_objective_can_be_about_one_fault(folder: Path) -> None:
    set_objectives(folder, {"objective": "outage_ms", "max": 500, "scope": "latency"})
    assert judge(Record(folder)).verdict is VerdictKind.PASS
    set_objectives(folder, {"objective": "outage_ms", "max": 500, "scope": "freeze"})
    assert judge(Record(folder)).verdict is VerdictKind.INCONCLUSIVE


@pytest.mark.parametrize(
    ("bound", "outcome"),
    [(60, ObjectiveOutcome.MET), (22, ObjectiveOutcome.CANNOT_TELL), (5, ObjectiveOutcome.MISSED)],
)
def test_a_bound_within_the_interval_of_too_few_samples_is_inconclusive(
    folder: Path, bound: float, outcome: ObjectiveOutcome
) -> None:
    set_objectives(folder, {"objective": "latency_p99_ms", "max": bound})
    (objective,) = judge(Record(folder)).objectives
    assert objective.outcome is outcome


def test_latency_inside_the_fault_windows_is_judged_apart(folder: Path) -> None:
    set_objectives(folder, {"objective": "latency_p90_ms", "max": 50, "scope": "inside_faults"})
    (objective,) = judge(Record(folder)).objectives
    assert objective.outcome is ObjectiveOutcome.MISSED


def test_an_error_ratio_is_judged_against_what_was_sent(folder: Path) -> None:
    set_objectives(folder, {"objective": "error_ratio", "max": 0.01})
    assert judge(Record(folder)).verdict is VerdictKind.PASS
    rows = read_rows(folder, "operations")
    for row in rows[::10]:
        row.update(outcome="fail", http_status=503)
    write_table(folder, "operations", rows)
    assert judge(Record(folder)).objectives[0].outcome is ObjectiveOutcome.MISSED


@pytest.mark.parametrize(
    "entry",
    [
        {"objective": "latency_p98_ms", "max": 1},
        {"objective": "outage_ms", "max": "1 s"},
        {"objective": "outage_ms", "max": -1},
        {"objective": "outage_ms", "max": True},
        {"objective": "latency_p99_ms", "max": 1, "scope": "outside"},
        {"objective": "lost_orders", "max": 0, "scope": "outside_faults"},
        {"objective": "doubled_orders", "max": 0, "scope": "all"},
        {"objective": "checks", "max": 0, "scope": "kill"},
        {"max": 1},
    ],
)
def test_an_objective_that_means_nothing_is_refused(folder: Path, entry: dict[str, Any]) -> None:
    with pytest.raises(ObjectiveError):
        parse_objective(entry)
    set_objectives(folder, entry)
    assert judge(Record(folder)).verdict is VerdictKind.INVALID


def test_an_empty_folder_is_invalid_and_nothing_breaks(tmp_path: Path) -> None:
    verdict = judge(Record(tmp_path))
    assert (verdict.verdict, verdict.figures.orders_acknowledged) == (VerdictKind.INVALID, None)
