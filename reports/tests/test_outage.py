from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from reports.outage import longest_usual_gap_ms, outage_of, outages
from reports.record import Record
from reports.timeline import Fault

MS = 1_000_000
EVERY_10_MS = np.arange(0, 10_000, 10, dtype=np.int64) * MS


def successes(*silences: tuple[int, int]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """An acknowledgement every 10 ms for 10 s, but for the silences (in ms, ends included)."""
    keep = np.ones(len(EVERY_10_MS), dtype=bool)
    for start_ms, end_ms in silences:
        keep &= (start_ms * MS > EVERY_10_MS) | (end_ms * MS < EVERY_10_MS)
    return EVERY_10_MS[keep]


def killed(at_ms: int) -> Fault:
    return Fault("crash", "kill", "engine:active", permanent=True, injected_ns=at_ms * MS)


def test_an_outage_runs_from_the_last_success_before_to_the_first_after() -> None:
    outage = outage_of(killed(3_005), successes((3_010, 3_690)), horizon_ns=9_990 * MS, settle_ns=500 * MS)
    assert outage.last_before_ns == 3_000 * MS
    assert outage.first_after_ns == 3_700 * MS
    assert outage.duration_ms == 700


def test_an_answer_already_on_its_way_at_the_kill_does_not_hide_the_outage() -> None:
    outage = outage_of(killed(3_001), successes((3_020, 3_990)), horizon_ns=9_990 * MS, settle_ns=500 * MS)
    assert outage.duration_ms == 990
    assert outage.window_end_ns == (4_000 + 500) * MS


def test_a_fault_window_lasts_until_the_outage_it_began_has_settled() -> None:
    fault = Fault("cut", "cut", "engine->postgres", injected_ns=2_000 * MS, undone_ns=3_000 * MS)
    outage = outage_of(fault, successes((2_900, 5_990)), horizon_ns=9_990 * MS, settle_ns=500 * MS)
    assert outage.duration_ms == 3_110
    assert outage.window_end_ns == 6_500 * MS


def test_the_longest_of_several_silences_counts_and_those_outside_the_window_do_not() -> None:
    fault = Fault("slow", "latency", "engine->postgres", injected_ns=2_000 * MS, undone_ns=4_000 * MS)
    series = successes((2_200, 2_290), (3_000, 3_190), (7_000, 8_990))
    outage = outage_of(fault, series, horizon_ns=9_990 * MS, settle_ns=500 * MS)
    assert outage.duration_ms == 210


def test_orders_that_never_succeed_again_make_an_outage_without_end() -> None:
    outage = outage_of(killed(3_005), successes((3_010, 10_000)), horizon_ns=9_000 * MS, settle_ns=500 * MS)
    assert not outage.recovered
    assert outage.duration_ms == 6_000


def test_silence_after_the_last_offered_order_is_no_outage() -> None:
    outage = outage_of(killed(9_985), successes(), horizon_ns=9_988 * MS, settle_ns=500 * MS)
    assert outage.duration_ms == 10
    assert outage.recovered


def test_without_any_success_the_outage_is_all_that_was_offered() -> None:
    outage = outage_of(killed(1_000), np.array([], dtype=np.int64), horizon_ns=4_000 * MS, settle_ns=500 * MS)
    assert not outage.recovered
    assert outage.duration_ms == 3_000


def test_each_injected_fault_of_a_record_has_its_outage(folder: Path) -> None:
    slow, crash = outages(Record(folder))
    assert (slow.fault.fault_id, crash.fault.fault_id) == ("slow", "crash")
    assert 150 < slow.duration_ms < 400
    assert 700 < crash.duration_ms < 900


def test_a_window_lasts_as_long_in_every_record(folder: Path) -> None:
    path = folder / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "settle_s": 0.0}))  # no record sets its own measure
    slow, _ = outages(Record(folder))
    assert slow.fault.undone_ns is not None
    assert slow.window_end_ns - slow.fault.undone_ns >= 2_000 * MS


def test_the_usual_gap_is_what_an_outage_must_be_told_from(folder: Path) -> None:
    record = Record(folder)
    usual_ms = longest_usual_gap_ms(record)
    assert usual_ms is not None
    assert 20 < usual_ms < 280
    assert usual_ms < outages(record)[1].duration_ms


def test_an_outage_that_a_fault_causes_while_it_is_being_applied_is_its_own() -> None:
    fault = Fault("planned", "switchover", "postgres:primary", permanent=True, injected_ns=3_500 * MS)
    fault.planned_ns = 3_000 * MS
    outage = outage_of(fault, successes((3_010, 3_390)), horizon_ns=9_990 * MS, settle_ns=500 * MS)
    assert outage.duration_ms == 400
