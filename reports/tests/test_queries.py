"""The queries that the report shows beside its numbers give those numbers."""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reports.charts import heat_chart, rate_chart, slower_than
from reports.gate import verdict_of
from reports.latency import (
    QUANTILES,
    LatencyRow,
    Scope,
    errors_in,
    latency_by_node,
    latency_by_phase,
    latency_table,
    response_ms,
)
from reports.outage import longest_usual_gap_ms, outages
from reports.queries import connect, queries, text, views
from reports.record import Record
from reports.records import GENERATOR_FULL, WORKER_LOST
from reports.recovery import milestones, recoveries
from reports.render import rebuild
from reports.tests.synthetic import read_rows, with_commits, write_table
from reports.tests.test_render import QUALITY
from reports.validity import judge_validity


def as_recorded(_: Path) -> None:
    """A slow link that was undone, and a kill for good."""


def nothing_succeeds_after_the_kill(folder: Path) -> None:
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    killed_ns = next(e["at_ns"] for e in events if e.get("fault_id") == "crash" and e["state"] == "injected")
    rows = read_rows(folder, "operations")
    for row in rows:
        if row["done_ns"] is not None and row["done_ns"] > killed_ns:
            row.update(done_ns=None, outcome="unknown", http_status=None, answer=None)
    write_table(folder, "operations", rows)


def without_events_of(folder: Path, *words: str) -> None:
    lines = (folder / "events.jsonl").read_text().splitlines(keepends=True)
    (folder / "events.jsonl").write_text("".join(line for line in lines if not any(word in line for word in words)))


def a_fault_is_never_undone_and_the_measured_phase_never_ends(folder: Path) -> None:
    without_events_of(folder, '"undone"', '"phase": "measure", "state": "ended"')


def no_fault_is_injected(folder: Path) -> None:
    without_events_of(folder, '"injected"')


def refusals_of_every_sort_and_a_torn_line(folder: Path) -> None:
    rows = read_rows(folder, "operations")
    for number, row in enumerate(rows):
        if row["outcome"] == "ok" and number % 7 == 0:
            row.update(outcome="fail", http_status=(503, 429, 422, 401, 404, 403, None)[number // 7 % 7])
    write_table(folder, "operations", rows)
    with (folder / "events.jsonl").open("a") as file:
        file.write('{"at_ns": 17')


def the_generator_was_full_and_a_worker_was_lost(folder: Path) -> None:
    rows = read_rows(folder, "operations")
    for number, row in enumerate(rows):
        if number % 40 == 0:
            answer = GENERATOR_FULL if number % 80 else f"{WORKER_LOST}: not offered"
            row.update(sent_ns=None, done_ns=None, outcome="fail", http_status=None, order_id=None, answer=answer)
    write_table(folder, "operations", rows)


Change = Callable[[Path], None]
CHANGES = (
    as_recorded,
    nothing_succeeds_after_the_kill,
    a_fault_is_never_undone_and_the_measured_phase_never_ends,
    no_fault_is_injected,
    refusals_of_every_sort_and_a_torn_line,
    the_generator_was_full_and_a_worker_was_lost,
)


@pytest.fixture(params=CHANGES, ids=lambda change: change.__name__)
def changed(request: pytest.FixtureRequest, folder: Path) -> Path:
    request.param(folder)
    return folder


def rows_of(folder: Path, name: str) -> list[Any]:
    with connect(folder) as connection:
        return connection.execute(queries()[name]).fetchall()


def assert_same(row: LatencyRow, samples: int, percentiles: list[float], longest: float) -> None:
    found = dict(zip(QUANTILES, percentiles, strict=True))
    assert samples == row.count
    assert longest == pytest.approx(row.max_ms, rel=1e-12)
    assert {name: found[name] for name in row.percentiles} == pytest.approx(
        {name: percentile.value for name, percentile in row.percentiles.items()}, rel=1e-12
    )


def test_the_numbers_that_matter_are_what_their_queries_give(changed: Path) -> None:
    figures = verdict_of(Record(changed)).figures
    assert rows_of(changed, "orders_acknowledged") == [(figures.orders_acknowledged,)]
    lost = (figures.lost_orders, figures.doubled_orders, figures.unknown_orders)
    assert rows_of(changed, "lost_doubled_unknown") == [lost]
    assert rows_of(changed, "rate_offered_achieved") == [
        pytest.approx((figures.rate_offered_per_s, figures.rate_achieved_per_s), rel=1e-12)
    ]
    ((percentiles,),) = rows_of(changed, "order_p50_p99")
    shown = (figures.latency_p50_ms, figures.latency_p99_ms)
    assert [p for p, told in zip(percentiles, shown, strict=True) if told is not None] == pytest.approx(
        [told for told in shown if told is not None], rel=1e-12
    )
    found = [(o.fault_id, o.outage_ms) for o in figures.outages]
    assert [(row[0], row[3]) for row in rows_of(changed, "outage")] == found


def test_the_windows_of_faults_are_what_their_view_gives(changed: Path) -> None:
    with connect(changed) as connection:
        found = connection.execute(
            "SELECT fault_id, window_start_ns, window_end_ns, last_before_ns FROM outages ORDER BY window_start_ns"
        ).fetchall()
    assert found == [
        (o.fault.fault_id, o.window_start_ns, o.window_end_ns, o.last_before_ns) for o in outages(Record(changed))
    ]


def test_every_row_of_the_latency_table_is_what_its_query_gives(changed: Path) -> None:
    rows = latency_table(Record(changed))
    assert rows
    found = {}
    for kind, near_fault, samples, response, service, longest, longest_service in rows_of(changed, "latency"):
        scope = Scope.INSIDE_FAULTS if near_fault else Scope.OUTSIDE_FAULTS
        found[kind, scope, "response"] = samples, response, longest
        found[kind, scope, "service"] = samples, service, longest_service
    assert set(found) == {(row.kind, row.scope, row.measure) for row in rows}
    for row in rows:
        assert_same(row, *found[row.kind, row.scope, row.measure])


def test_latency_by_node_and_by_phase_is_what_the_queries_give(changed: Path) -> None:
    for name, rows in (
        ("latency_by_node", latency_by_node(Record(changed))),
        ("latency_by_phase", latency_by_phase(Record(changed))),
    ):
        found = {(kind, where): measured for kind, where, *measured in rows_of(changed, name)}
        assert set(found) == {(row.kind, row.where) for row in rows}
        for row in rows:
            assert_same(row, *found[row.kind, row.where])


def test_errors_and_what_the_charts_draw_are_what_their_queries_give(changed: Path) -> None:
    record = Record(changed)
    errors = errors_in(record)
    assert rows_of(changed, "errors") == [(errors.errors, errors.sent)]
    heat = np.array(heat_chart(record)["traces"][0]["counts"])
    assert sum(orders for _, _, orders in rows_of(changed, "heat")) == heat.sum()
    width_s = 0.25
    offered = rate_chart(record)["traces"][0]
    counted = [count for series, _, count in rows_of(changed, "rate_over_time") if series == "offered"]
    assert sum(offered["y"]) * width_s == pytest.approx(sum(counted), rel=0.02)
    tail = {ms: percent for near, ms, percent in rows_of(changed, "slower_than") if not near}
    x, y = slower_than(response_ms(record, "place", Scope.OUTSIDE_FAULTS))
    assert [tail[ms] for ms in x] == pytest.approx(list(y))


def test_what_a_recovery_was_made_of_is_what_its_query_gives(changed: Path) -> None:
    record = Record(changed)
    told = {each.outage.fault.fault_id: [at for _, at in milestones(each)] for each in recoveries(record)}
    found = {fault_id: moments for fault_id, *moments in rows_of(changed, "recovery")}
    assert found == told
    assert rows_of(changed, "usual_gap") == [(longest_usual_gap_ms(record),)]


def a_worker_is_lost(folder: Path) -> None:
    events = [
        {"at_ns": 1, "event": "load_worker", "node": "load:1", "clock_offset_ns": -1_250_000},
        {"at_ns": 2, "event": "load_worker", "node": "load:2", "clock_offset_ns": 30_000},
        {"at_ns": 3, "event": "load_worker_lost", "node": "load:2", "not_offered": 12, "unclear": 3, "accepted": True},
    ]
    with (folder / "events.jsonl").open("a") as file:
        file.writelines(json.dumps(event) + "\n" for event in events)


def _said_of_workers(rows: list[Any]) -> str:
    apart = [abs(ms) for event, _, ms, *_ in rows if event == "load_worker"]
    lost = [row for row in rows if row[0] == "load_worker_lost"]
    text = f"{len(apart) - len(lost)} of {len(apart)} workers stayed, clocks within {max(apart):.2f} ms; degraded: "
    return text + "; ".join(
        f"the load's worker {node} was lost: {not_offered} operations of its share were not offered, {unclear} may"
        " have been sent"
        for _, node, _, not_offered, unclear in lost
    )


# What a finding says, from the rows of its query.
SAID: dict[str, Callable[[list[Any]], str]] = {
    "phases": lambda rows: f"{len(rows)} phases: {', '.join(phase for phase, *_ in rows)}",
    "warm_up": lambda rows: (
        "{:,} orders of the load acknowledged before the measured phase;"
        " median at the beginning {:.1f} ms, later {:.1f} ms".format(*rows[0])
    ),
    "schedule": lambda rows: (
        "{:,} of {:,} operations sent, p99 {:,.1f} ms after their intended start, {:.2%} more than 50 ms late".format(
            *rows[0]
        )
    ),
    "offered": lambda rows: "{:,} operations intended, never more than {:.2f} s apart".format(*rows[0]),
    "workers": _said_of_workers,
    "generator": lambda rows: "; ".join(
        f"{node} {mean:.0f} % of a core, at most {most:.0f} %" for node, mean, most, _ in rows
    ),
    "control": lambda rows: "{:,} probes of a no-op endpoint, p50 {:.1f} ms, p99 {:.1f} ms".format(*rows[0]),
    "machine": lambda rows: (
        f"{rows[0][0]:.0f} % of 2 cores busy, {rows[0][1] / 100:.0%} with others, {rows[0][2] / 100:.1%} stolen,"
        f" load average {rows[0][3]:.1f}"
    ),
    "clock": lambda rows: "the clock never moved by more than {:.2f} ms in a second against the steady one".format(
        *rows[0]
    ),
    "samples": lambda rows: "{:,} orders answered in the measured phase, {:.2%} of them refused on the merits".format(
        *rows[0]
    ),
    "faults": lambda rows: f"{sum(row[1] for row in rows)} of {len(rows)} faults had their effect measured",
}


def some_were_late(folder: Path) -> None:
    """By times that differ, a few so much that it counts."""
    rows = read_rows(folder, "operations")
    for number, row in enumerate(rows):
        if row["sent_ns"] is not None and number % 5 == 0:
            row["sent_ns"] += (number % 101) * 1_000_000
    write_table(folder, "operations", rows)


@pytest.mark.parametrize("name", SAID)
def test_what_a_finding_says_is_what_its_query_gives(folder: Path, name: str) -> None:
    a_worker_is_lost(folder)
    some_were_late(folder)
    (finding,) = (each for each in judge_validity(Record(folder)) if each.name == name)
    assert SAID[name](rows_of(folder, f"validity_{name}")) == finding.summary


def test_what_is_missing_of_the_schedule_is_what_its_query_gives(folder: Path) -> None:
    write_table(folder, "operations", read_rows(folder, "operations")[:-3])
    ((_, _, recorded, scheduled),) = rows_of(folder, "validity_offered")
    (finding,) = (each for each in judge_validity(Record(folder)) if each.name == "offered")
    assert finding.reasons == [
        f"the load's schedule holds {scheduled:,} operations, the record {recorded:,} of them",
    ]


def test_how_the_feed_served_is_what_its_query_gives(folder: Path) -> None:
    with_feed_quality(folder)
    told = Record(folder).feed_quality
    found = rows_of(folder, "feed")
    assert [[float(cell) for cell in row[:7]] for row in found] == [
        [row.subscribers, row.received, row.reach, row.gaps, row.missed, row.breaks, row.unserved] for row in told
    ]
    assert [[json.loads(cell)["p99"] for cell in row[7:9]] for row in found] == [
        [row.staleness_ms.p99, row.first_book_ms.p99] for row in told
    ]


def with_feed_quality(folder: Path) -> None:
    for number in (1, 2):
        (folder / f"feed_quality-{number}.json").write_text(json.dumps({**QUALITY, "received": 100 * number}))


def test_each_query_gives_rows(folder: Path) -> None:
    a_worker_is_lost(folder)
    with_feed_quality(folder)
    with_commits(folder, "engine:1", [(0, 0.0, 0), (10, 0.1, 20)])
    rebuild(folder)
    assert [name for name in queries() if not rows_of(folder, name)] == []


def test_the_page_shows_every_query_and_the_views_and_the_folder_holds_them(folder: Path) -> None:
    with_feed_quality(folder)
    with_commits(folder, "engine:1", [(0, 0.0, 0), (10, 0.1, 20)])
    rebuild(folder)
    page = html.unescape((folder / "report.html").read_text())
    assert [name for name, query in queries().items() if query not in page] == []
    assert views() in page
    assert (folder / "queries.sql").read_text() == text()
    with connect(folder) as connection:
        connection.execute(text())  # as a whole, too
