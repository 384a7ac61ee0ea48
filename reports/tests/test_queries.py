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
from reports.outage import outages
from reports.queries import connect, queries, text, views
from reports.record import Record
from reports.render import rebuild
from reports.tests.synthetic import read_rows, write_table


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


def early_refusals_and_a_torn_line(folder: Path) -> None:
    rows = read_rows(folder, "operations")
    for number, row in enumerate(rows):
        if row["outcome"] == "ok" and number % 7 == 0:
            row.update(outcome="fail", http_status=(503, 429, 422)[number % 3])
    write_table(folder, "operations", rows)
    with (folder / "events.jsonl").open("a") as file:
        file.write('{"at_ns": 17')


Change = Callable[[Path], None]
CHANGES = (
    as_recorded,
    nothing_succeeds_after_the_kill,
    a_fault_is_never_undone_and_the_measured_phase_never_ends,
    no_fault_is_injected,
    early_refusals_and_a_torn_line,
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


def test_each_query_gives_rows(folder: Path) -> None:
    rebuild(folder)
    assert [name for name in queries() if not rows_of(folder, name)] == []


def test_the_page_shows_every_query_and_the_views_and_the_folder_holds_them(folder: Path) -> None:
    rebuild(folder)
    page = html.unescape((folder / "report.html").read_text())
    assert [name for name, query in queries().items() if query not in page] == []
    assert views() in page
    assert (folder / "queries.sql").read_text() == text()
    with connect(folder) as connection:
        connection.execute(text())  # as a whole, too
