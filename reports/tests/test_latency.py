from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reports.latency import Scope, error_ratio, latency_table, percentile, response_ms, service_ms, summarize
from reports.outage import windows
from reports.record import Record
from reports.tests.synthetic import read_rows, write_table
from reports.timeline import measured


def test_percentiles_are_those_of_numpy_on_known_data() -> None:
    samples = np.arange(1.0, 10_001.0)
    for quantile, value in ((0.5, 5_000.0), (0.9, 9_000.0), (0.99, 9_900.0), (0.999, 9_990.0)):
        found = percentile(samples, quantile)
        assert found.value == value == np.quantile(samples, quantile, method="inverted_cdf")
        assert found.low is not None
        assert found.high is not None
        assert found.low < value < found.high


def test_p99_9_is_left_out_when_fewer_than_ten_samples_lie_beyond_it() -> None:
    shown = {
        count: summarize(np.arange(float(count)), kind="place", scope=Scope.ALL, measure="response").percentiles
        for count in (9_999, 10_000)
    }
    assert "p99.9" not in shown[9_999]
    assert "p99.9" in shown[10_000]


def test_response_time_runs_from_the_intended_start_and_service_time_from_the_sending(folder: Path) -> None:
    rows = read_rows(folder, "operations")
    for row in rows:
        row["sent_ns"] = row["intended_ns"] + 2_000_000
    write_table(folder, "operations", rows)
    record = Record(folder)
    waited = response_ms(record) - service_ms(record)
    assert waited == pytest.approx(2.0)


def test_only_orders_of_the_load_in_the_measured_phase_count(folder: Path) -> None:
    rows = read_rows(folder, "operations")
    start_ns, end_ns = measured(Record(folder))
    expected = [row for row in rows if row["kind"] == "place" and start_ns <= row["intended_ns"] < end_ns]
    expected = [row for row in expected if row["source"] == "load"]
    write_table(folder, "operations", [*rows, *({**row, "source": "market"} for row in rows)])
    assert len(response_ms(Record(folder))) == len(expected)


def test_an_order_that_touches_a_fault_window_is_not_outside(folder: Path) -> None:
    record = Record(folder)
    outside, inside = (
        response_ms(record, "place", Scope.OUTSIDE_FAULTS),
        response_ms(record, "place", Scope.INSIDE_FAULTS),
    )
    assert len(outside) + len(inside) == len(response_ms(record))
    assert outside.max() < 100 < inside.max()
    start_ns, _ = windows(record)[0]
    rows = read_rows(folder, "operations")
    before = max(
        (row for row in rows if row["kind"] == "place" and row["done_ns"] < start_ns), key=lambda r: r["done_ns"]
    )
    before["done_ns"] = start_ns + 1
    write_table(folder, "operations", rows)
    assert len(response_ms(Record(folder), "place", Scope.OUTSIDE_FAULTS)) == len(outside) - 1


def test_an_order_that_was_never_answered_is_not_left_out_of_the_percentiles(folder: Path) -> None:
    rows = read_rows(folder, "operations")
    slow = [row for row in rows if row["kind"] == "place"][100:150]
    for row in slow:
        row.update(done_ns=None, http_status=None, outcome="unknown", order_id=None, answer=None)
    write_table(folder, "operations", rows)
    assert percentile(response_ms(Record(folder)), 0.99).value > 5_000


def test_an_order_never_answered_far_from_any_fault_does_not_hide_in_its_window(folder: Path) -> None:
    record = Record(folder)
    start_ns, _ = windows(record)[0]
    count = len(response_ms(record, "place", Scope.OUTSIDE_FAULTS))
    rows = read_rows(folder, "operations")
    early = [r for r in rows if r["kind"] == "place" and measured(record)[0] < r["intended_ns"] < start_ns - 3e9]
    early[0].update(done_ns=None, http_status=None, outcome="unknown", order_id=None, answer=None)
    write_table(folder, "operations", rows)
    outside = response_ms(Record(folder), "place", Scope.OUTSIDE_FAULTS)
    assert len(outside) == count
    assert outside[-1] > 5_000


def test_an_early_refusal_is_an_error_and_no_fast_answer(folder: Path) -> None:
    rows = read_rows(folder, "operations")
    count = len(response_ms(Record(folder)))
    refused = [row for row in rows if row["kind"] == "place"][200:210]
    for row in refused:
        row.update(outcome="fail", http_status=503, order_id=None)
    errors, _ = error_ratio(Record(folder))
    write_table(folder, "operations", rows)
    assert len(response_ms(Record(folder))) == count - 10
    assert error_ratio(Record(folder))[0] == errors + 10


def test_a_refusal_on_the_merits_is_a_good_answer(folder: Path) -> None:
    rows = read_rows(folder, "operations")
    errors, _ = error_ratio(Record(folder))
    for row in [row for row in rows if row["outcome"] == "ok"][100:110]:
        row.update(outcome="fail", http_status=422)
    write_table(folder, "operations", rows)
    assert error_ratio(Record(folder))[0] == errors


def test_the_table_has_a_row_for_every_kind_scope_and_measure(folder: Path) -> None:
    rows = latency_table(Record(folder))
    assert [(row.kind, row.scope, row.measure) for row in rows] == [
        (kind, scope, measure)
        for kind in ("place", "replace", "cancel")
        for scope in (Scope.OUTSIDE_FAULTS, Scope.INSIDE_FAULTS)
        for measure in ("response", "service")
    ]
