from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reports.latency import Scope, select
from reports.record import Record
from reports.records import GENERATOR_FULL, WORKER_LOST
from reports.run_folder import EventLog
from reports.tests.synthetic import read_rows, write_table
from reports.timeline import measured
from reports.validity import judge_validity

Line = dict[str, Any]


def reasons(folder: Path) -> list[str]:
    return [reason for finding in judge_validity(Record(folder)) for reason in finding.reasons]


def change_events(folder: Path, change: Callable[[Line], Line | None]) -> None:
    path = folder / "events.jsonl"
    changed = [change(json.loads(line)) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(line) + "\n" for line in changed if line is not None))


def test_an_honest_record_may_be_judged(folder: Path) -> None:
    assert reasons(folder) == []


def test_a_generator_starved_of_cpu_makes_the_run_invalid(folder: Path) -> None:
    rows = read_rows(folder, "operations")
    for row in rows[::20]:
        row["sent_ns"] += 60_000_000
    write_table(folder, "operations", rows)
    assert any("more than 50 ms late" in reason for reason in reasons(folder))


def test_operations_that_were_never_sent_make_the_run_invalid(folder: Path) -> None:
    rows = read_rows(folder, "operations")
    for row in rows[::30]:
        row.update(sent_ns=None, done_ns=None, outcome="fail", http_status=None)
    write_table(folder, "operations", rows)
    assert any("were never sent in time" in reason for reason in reasons(folder))


def test_a_few_late_operations_do_not(folder: Path) -> None:
    rows = read_rows(folder, "operations")
    for row in rows[::400]:
        row["sent_ns"] += 60_000_000
    write_table(folder, "operations", rows)
    assert reasons(folder) == []


@pytest.mark.parametrize("schedule_known", [True, False])
def test_a_generator_that_died_half_way_makes_the_run_invalid(folder: Path, schedule_known: bool) -> None:
    if not schedule_known:
        forget_the_schedule(folder)
    start_ns, end_ns = measured(Record(folder))
    rows = [row for row in read_rows(folder, "operations") if row["intended_ns"] < (start_ns + end_ns) // 2]
    write_table(folder, "operations", rows)
    found = reasons(folder)
    assert any("the load generator stopped" in reason for reason in found) != schedule_known
    assert any("the load's schedule holds" in reason for reason in found) == schedule_known


@pytest.mark.parametrize("schedule_known", [True, False])
def test_a_generator_that_paused_makes_the_run_invalid(folder: Path, schedule_known: bool) -> None:
    start_ns, _ = measured(Record(folder))
    if not schedule_known:
        forget_the_schedule(folder)
    rows = read_rows(folder, "operations")
    rows = [row for row in rows if not start_ns + 2e9 < row["intended_ns"] < start_ns + 4e9]
    write_table(folder, "operations", rows)
    found = "the load's schedule holds" if schedule_known else "intended nothing for 2."
    assert any(found in reason for reason in reasons(folder))


@pytest.mark.parametrize(("from_s", "until_s"), [(0, 3), (2, 5), (4, 100)], ids=["begins late", "pauses", "ends early"])
def test_a_schedule_may_hold_pauses_of_any_length(folder: Path, from_s: int, until_s: int) -> None:
    """As those of a sine at its lowest, or of a step to nothing."""
    start_ns, _ = measured(Record(folder))
    rows = read_rows(folder, "operations")
    drawn = [row for row in rows if not start_ns + from_s * 1e9 <= row["intended_ns"] < start_ns + until_s * 1e9]
    write_table(folder, "operations", drawn)
    forget_the_schedule(folder, len({row["operation_id"] for row in drawn if row["source"] == "load"}))
    assert [reason for reason in reasons(folder) if "the load generator" in reason] == []


def forget_the_schedule(folder: Path, scheduled: int | None = None) -> None:
    """Only how many operations it held is known, if that."""
    run = json.loads((folder / "run.json").read_bytes())
    (folder / "run.json").write_text(json.dumps({**run, "scheduled_operations": scheduled}))


def test_a_run_without_load_is_invalid(folder: Path) -> None:
    write_table(folder, "operations", [])
    assert any("intended no operation" in reason for reason in reasons(folder))


def test_a_fault_that_did_not_bite_makes_the_run_invalid(folder: Path) -> None:
    def hits_nothing(line: Line) -> Line:
        if line.get("fault_id") == "slow" and "evidence" in line:
            line["evidence"] = {"bit": False, "summary": "no byte went through the link"}
        return line

    change_events(folder, hits_nothing)
    assert reasons(folder) == ["fault slow (latency engine->postgres) did not bite: no byte went through the link"]


def test_a_fault_without_evidence_did_not_bite(folder: Path) -> None:
    change_events(folder, lambda line: {key: value for key, value in line.items() if key != "evidence"})
    assert len([reason for reason in reasons(folder) if "did not bite" in reason]) == 2


def test_a_fault_that_was_planned_and_never_injected_makes_the_run_invalid(folder: Path) -> None:
    change_events(folder, lambda line: None if line.get("state") == "injected" else line)
    assert len([reason for reason in reasons(folder) if "was never injected" in reason]) == 2


def test_a_fault_that_failed_says_why(folder: Path) -> None:
    def fails(line: Line) -> Line | None:
        if line.get("fault_id") != "slow" or line["state"] == "undone":
            return None if line.get("fault_id") == "slow" else line
        return line if line["state"] == "planned" else {**line, "state": "failed", "error": "toxiproxy is gone"}

    change_events(folder, fails)
    assert reasons(folder) == ["fault slow (latency engine->postgres) was never injected: toxiproxy is gone"]


def test_a_fault_that_was_never_undone_makes_the_run_invalid_unless_it_is_for_good(folder: Path) -> None:
    change_events(folder, lambda line: None if line.get("state") == "undone" else line)
    assert [reason for reason in reasons(folder) if "undone" in reason] == [
        "fault slow (latency engine->postgres) was never undone"
    ]


def test_a_run_that_never_warmed_up_is_invalid(folder: Path) -> None:
    start_ns, _ = measured(Record(folder))
    rows = read_rows(folder, "operations")
    write_table(folder, "operations", [row for row in rows if row["intended_ns"] >= start_ns])
    assert any("warm-up was not reached" in reason for reason in reasons(folder))


def test_a_market_that_trades_before_the_load_does_is_no_warm_up(folder: Path) -> None:
    start_ns, _ = measured(Record(folder))
    rows = read_rows(folder, "operations")
    warm = [{**row, "source": "market" if row["intended_ns"] < start_ns else "load"} for row in rows]
    write_table(folder, "operations", warm)
    assert any("warm-up was not reached" in reason for reason in reasons(folder))


def test_a_generator_that_began_after_the_measured_phase_makes_the_run_invalid(folder: Path) -> None:
    start_ns, _ = measured(Record(folder))
    forget_the_schedule(folder)
    rows = [row for row in read_rows(folder, "operations") if row["intended_ns"] >= start_ns + 2e9]
    write_table(folder, "operations", rows)
    assert any("began 2.0 s after the measured phase" in reason for reason in reasons(folder))


@pytest.mark.parametrize("phase", ["warm_up", "measure", "drain"])
def test_a_run_that_skipped_a_phase_is_invalid(folder: Path, phase: str) -> None:
    change_events(folder, lambda line: None if line.get("phase") == phase else line)
    assert f"the phase {phase} never started" in reasons(folder)


def test_a_run_that_was_interrupted_in_a_phase_is_invalid(folder: Path) -> None:
    change_events(folder, lambda line: None if line.get("phase") == "drain" and line["state"] == "ended" else line)
    assert reasons(folder) == ["the phase drain never ended"]


def test_a_single_operation_without_a_row_makes_the_run_invalid(folder: Path) -> None:
    """What the recorder lost could have been an acknowledged order that the platform lost."""
    rows = read_rows(folder, "operations")
    write_table(folder, "operations", rows[:100] + rows[101:])
    assert any("operations, the record" in reason for reason in reasons(folder))


def test_an_operation_recorded_twice_makes_the_run_invalid(folder: Path) -> None:
    rows = read_rows(folder, "operations")
    write_table(folder, "operations", [*rows, rows[100]])
    assert "the record holds 1 operations of the load more than once" in reasons(folder)


@pytest.mark.parametrize("sent", [True, False])
def test_orders_sent_late_outside_the_faults_make_the_run_invalid_even_if_few_of_all(folder: Path, sent: bool) -> None:
    judged = {(o.source, o.operation_id) for o in select(Record(folder), "place", Scope.OUTSIDE_FAULTS)}
    rows, late = read_rows(folder, "operations"), 0
    for row in rows:
        if (row["source"], row["operation_id"]) in judged and late <= len(judged) // 90:
            row["sent_ns"], late = row["intended_ns"] + 60_000_000 if sent else None, late + 1
            if not sent:
                row.update(done_ns=None, outcome="fail", http_status=None, answer=GENERATOR_FULL)
    write_table(folder, "operations", rows)
    assert any("of the orders outside faults" in reason for reason in reasons(folder))


@pytest.mark.parametrize(
    "name", ["run.json", "events.jsonl", "engine.json", "operations.parquet", "journal.parquet", "balances.parquet"]
)
@pytest.mark.parametrize("damage", [b"", b"\x83\xff\n\x00" * 100, b'{"scenario": []}\n{}\n'])
def test_a_damaged_part_makes_the_run_invalid(folder: Path, name: str, damage: bytes) -> None:
    (folder / name).write_bytes(damage)
    assert reasons(folder)


def test_an_empty_folder_is_invalid_in_every_respect(tmp_path: Path) -> None:
    assert all(finding.reasons for finding in judge_validity(Record(tmp_path)))


def test_a_run_that_was_interrupted_stays_invalid_however_complete_its_record_looks(folder: Path) -> None:
    with EventLog(folder) as log:
        log.add("ended_early", why="interrupted")
    assert reasons(folder) == ["the run ended early: interrupted"]


def test_a_lost_worker_of_the_load_makes_the_run_invalid_unless_the_scenario_accepts_it(folder: Path) -> None:
    lose_worker(folder, accepted=False)
    assert reasons(folder) == [
        "the load's worker load:3 was lost: 300 operations of its share were not offered, 4 may have been sent"
    ]


def test_a_loss_that_the_scenario_accepts_is_told_and_the_rest_is_judged(folder: Path) -> None:
    lose_worker(folder, accepted=True)
    (finding,) = (one for one in judge_validity(Record(folder)) if one.name == "workers")
    assert reasons(folder) == []
    assert "1 of 2 workers stayed" in finding.summary
    assert "degraded: the load's worker load:3 was lost" in finding.summary


def test_workers_whose_clocks_are_apart_make_the_run_invalid(folder: Path) -> None:
    with EventLog(folder) as log:
        log.add("load_worker", worker=1, node="load:2", state="over", clock_offset_ns=7_000_000, clock_error_ns=9)
    assert reasons(folder) == ["the clocks of the load's workers are 7.0 ms apart"]


def lose_worker(folder: Path, *, accepted: bool) -> None:
    """The second of two, with so much of its share that a generator alone would be invalid for it."""
    rows = read_rows(folder, "operations")
    for row in rows[::2][-304:]:
        row.update(sent_ns=None, done_ns=None, http_status=None, order_id=None, outcome="fail")
        row["answer"] = f"{WORKER_LOST}: not offered"
    write_table(folder, "operations", rows)
    with EventLog(folder) as log:
        for number, state in ((1, "over"), (2, "lost")):
            log.add("load_worker", worker=number, node=f"load:{number + 1}", state=state, clock_offset_ns=1_000)
        log.add("load_worker_lost", worker=2, node="load:3", unclear=4, not_offered=300, accepted=accepted)
