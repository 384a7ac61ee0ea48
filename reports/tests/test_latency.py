from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from reports.dependence import Timed
from reports.goodput import goodput_by_second
from reports.latency import (
    Scope,
    errored,
    errors_in,
    latency_by_node,
    latency_by_phase,
    latency_table,
    percentile,
    response_ms,
    response_times,
    samples_needed,
    summarize,
)
from reports.outage import windows
from reports.record import Record
from reports.records import GENERATOR_FULL, WORKER_LOST, OutcomeKind
from reports.run_folder import EventLog
from reports.tests.synthetic import read_rows, write_table
from reports.timeline import measured


def test_percentiles_are_those_of_numpy_on_known_data() -> None:
    samples = evenly(np.random.default_rng(1).permutation(np.arange(1.0, 10_001.0)))
    for quantile, value in ((0.5, 5_000.0), (0.9, 9_000.0), (0.99, 9_900.0), (0.999, 9_990.0)):
        found = percentile(samples, quantile)
        assert found.value == value == np.quantile(samples.values, quantile, method="inverted_cdf")
        assert found.low is not None
        assert found.high is not None
        assert found.low < value < found.high


@pytest.mark.parametrize(("name", "least"), [("p50", 20), ("p99", 1_000), ("p99.9", 10_000), ("p99.99", 100_000)])
def test_a_percentile_is_left_out_when_fewer_than_ten_samples_lie_beyond_it(name: str, least: int) -> None:
    for count in (least - 1, least):
        row = summarize(evenly(np.arange(float(count))), kind="place", scope=Scope.ALL, measure="response")
        assert (name in row.percentiles) == (count == least)


def test_nothing_is_left_of_too_few_samples_but_their_number_and_the_longest() -> None:
    row = summarize(evenly(np.arange(19.0)), kind="place", scope=Scope.ALL, measure="response")
    assert (row.count, row.percentiles, row.max_ms) == (19, {}, 18.0)


def evenly(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Timed:
    """A sample every 10 ms."""
    return Timed(np.arange(len(values), dtype=np.int64) * 10_000_000, values)


def test_response_time_runs_from_the_intended_start_and_service_time_from_the_sending(folder: Path) -> None:
    rows = read_rows(folder, "operations")
    for row in rows:
        row["sent_ns"] = row["intended_ns"] + 2_000_000
    write_table(folder, "operations", rows)
    record = Record(folder)
    response, service = (row for row in latency_table(record) if (row.kind, row.scope) == ("place", "outside_faults"))
    assert (response.measure, service.measure) == ("response", "service")
    for name in ("p50", "p90", "p95"):
        assert response.percentiles[name].value - service.percentiles[name].value == pytest.approx(2.0)


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
    assert percentile(response_times(Record(folder)), 0.99).value > 5_000


@pytest.mark.parametrize(("answer", "counted"), [(GENERATOR_FULL, True), (f"{WORKER_LOST}: not offered", False)])
def test_an_order_never_sent_waited_with_those_before_it_unless_nobody_was_there_to_offer_it(
    folder: Path, answer: str, counted: bool
) -> None:
    count = len(response_ms(Record(folder)))
    rows = read_rows(folder, "operations")
    for row in [row for row in rows if row["kind"] == "place"][100:150]:
        row.update(sent_ns=None, done_ns=None, http_status=None, outcome="fail", order_id=None, answer=answer)
    write_table(folder, "operations", rows)
    assert len(response_ms(Record(folder))) == (count if counted else count - 50)
    assert (percentile(response_times(Record(folder)), 0.99).value > 5_000) == counted


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
    errors = errors_in(Record(folder)).errors
    write_table(folder, "operations", rows)
    assert len(response_ms(Record(folder))) == count - 10
    assert errors_in(Record(folder)).errors == errors + 10


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 413, 422])
def test_a_refusal_on_the_merits_is_a_good_answer_and_that_of_a_valid_request_an_error(
    folder: Path, status: int
) -> None:
    rows = read_rows(folder, "operations")
    before = errors_in(Record(folder)).errors, len(response_ms(Record(folder))), goodput_by_second(Record(folder)).sum()
    start_ns, end_ns = measured(Record(folder))
    answered = [row for row in rows if row["outcome"] == "ok" and row["kind"] == "place"]
    for row in [row for row in answered if start_ns <= row["intended_ns"] and row["done_ns"] < end_ns - 1e9][:10]:
        row.update(outcome="fail", http_status=status)
    write_table(folder, "operations", rows)
    bad = 0 if status in (403, 422) else 10
    now = errors_in(Record(folder)).errors, len(response_ms(Record(folder))), goodput_by_second(Record(folder)).sum()
    assert now == (before[0] + bad, before[1] - bad, before[2] - bad)


@pytest.mark.parametrize(
    ("kind", "merits"),
    [
        ("place", {403, 422}),
        ("replace", {403, 404, 422}),
        ("cancel", {404, 422}),
        ("lookup", {404}),
        ("positions", {404}),
        ("read", set()),
        ("login", set()),
    ],
)
def test_what_is_on_the_merits_depends_on_what_was_asked(folder: Path, kind: str, merits: set[int]) -> None:
    asked = replace(Record(folder).operations[0], kind=kind, outcome=OutcomeKind.FAIL)
    assert {status for status in range(400, 600) if not errored(replace(asked, http_status=status))} == merits
    assert errored(replace(asked, http_status=None))
    assert errored(replace(asked, outcome=OutcomeKind.UNKNOWN, http_status=422))


def test_the_table_has_a_row_for_every_kind_scope_and_measure(folder: Path) -> None:
    rows = latency_table(Record(folder))
    assert [(row.kind, row.scope, row.measure) for row in rows] == [
        (kind, scope, measure)
        for kind in ("place", "replace", "cancel")
        for scope in (Scope.OUTSIDE_FAULTS, Scope.INSIDE_FAULTS)
        for measure in ("response", "service")
    ]


def test_rows_by_node_name_the_node_behind_an_address(folder: Path) -> None:
    rows = read_rows(folder, "operations")
    for number, row in enumerate(rows):
        row["endpoint"] = f"http://127.0.0.1:{9000 + number % 2}"
    write_table(folder, "operations", rows)
    with EventLog(folder) as log:
        log.add("load_links", nodes={"http://127.0.0.1:9000": "api:1"})
    record = Record(folder)
    places = {row.where: row for row in latency_by_node(record) if row.kind == "place"}
    assert set(places) == {"api:1", "http://127.0.0.1:9001"}
    everywhere = len(response_times(record, "place", Scope.OUTSIDE_FAULTS))
    assert sum(row.count for row in places.values()) == everywhere


def test_rows_by_phase_show_the_warm_up_apart(folder: Path) -> None:
    rows = latency_by_phase(Record(folder))
    assert {"warm_up", "measure"} <= {row.where for row in rows if row.kind == "place"}
    load = [o for o in Record(folder).operations if o.source == "load"]
    answered = sum(1 for o in load if o.done_ns is not None and not errored(o))
    assert sum(row.count for row in rows) == answered


def test_errors_are_counted_apart_inside_and_outside_the_windows(folder: Path) -> None:
    record = Record(folder)
    outside, inside = errors_in(record, Scope.OUTSIDE_FAULTS), errors_in(record, Scope.INSIDE_FAULTS)
    assert outside.sent_inside == inside.sent_outside == 0
    assert outside.sent + inside.sent == errors_in(record).sent
    assert outside.errors + inside.errors == errors_in(record).errors


def test_what_must_stand_behind_a_percentile() -> None:
    assert [samples_needed(q) for q in (0.5, 0.9, 0.99, 0.9999)] == [20, 100, 1_000, 100_000]
