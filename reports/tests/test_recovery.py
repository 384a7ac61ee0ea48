from __future__ import annotations

from pathlib import Path

import pytest

from reports.outage import outages, outages_under
from reports.record import Record
from reports.recovery import milestones, recoveries
from reports.tests.synthetic import read_rows, write_table


def test_a_kill_is_noticed_taken_over_answered_and_drained_in_that_order(folder: Path) -> None:
    slow, crash = recoveries(Record(folder))
    assert crash.noticed_ms == pytest.approx(310, abs=1)  # from when it was planned, 10 ms before
    assert crash.taken_over_ms == pytest.approx(310, abs=1)
    moments = [at for _, at in milestones(crash)]
    assert None not in moments
    assert moments == sorted(at for at in moments if at is not None)
    assert crash.first_good_ms is not None
    assert 700 < crash.first_good_ms < 1_000
    assert slow.taken_over_ms is None  # nobody had to


def test_queues_are_drained_when_no_more_orders_wait_than_usual(folder: Path) -> None:
    before = recoveries(Record(folder))[1].drained_ms
    rows = read_rows(folder, "operations")
    _, outage = outages(Record(folder))
    assert outage.first_after_ns is not None
    for row in rows:  # everything intended in the next second waits until its end
        if outage.window_start_ns < row["intended_ns"] < outage.first_after_ns + 1e9 and row["done_ns"]:
            row["done_ns"] = max(row["done_ns"], outage.first_after_ns + int(1e9))
    write_table(folder, "operations", rows)
    after = recoveries(Record(folder))[1].drained_ms
    assert before is not None
    assert after is not None
    assert after > before + 500


def test_a_platform_that_never_answers_again_has_no_first_answer(folder: Path) -> None:
    _, outage = outages(Record(folder))
    rows = read_rows(folder, "operations")
    for row in rows:
        if row["done_ns"] is not None and row["done_ns"] > outage.window_start_ns:
            row.update(done_ns=None, outcome="unknown", http_status=None)
    write_table(folder, "operations", rows)
    crash = recoveries(Record(folder))[1]
    assert crash.first_good_ms is None
    assert crash.drained_ms is None


def test_under_a_low_bar_the_outage_is_about_the_silence(folder: Path) -> None:
    record = Record(folder)
    plain, under = outages(record)[1], outages_under(record, 0.1)[1]
    assert under.duration_ms == pytest.approx(plain.duration_ms, abs=150)
    assert outages_under(record, 0.1)[0].duration_ms == 0  # slower answers are answers


def test_a_platform_that_does_half_of_its_work_is_down_under_a_higher_bar(folder: Path) -> None:
    _, crash = outages(Record(folder))
    rows = read_rows(folder, "operations")
    hurt = [r for r in rows if crash.window_start_ns < r["intended_ns"] < crash.window_start_ns + 4e9]
    for row in hurt[::2]:
        row.update(outcome="fail", http_status=503)
    write_table(folder, "operations", rows)
    record = Record(folder)
    assert outages_under(record, 0.2)[1].duration_ms < 2_000 < outages_under(record, 0.8)[1].duration_ms


def test_a_run_without_faults_had_nothing_to_recover_from(folder: Path) -> None:
    events = (folder / "events.jsonl").read_text().splitlines(keepends=True)
    (folder / "events.jsonl").write_text("".join(line for line in events if '"event": "fault"' not in line))
    assert recoveries(Record(folder)) == []
