"""Which part of a run was nearest to its limit, and what the report calls it."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports.gate import verdict_of
from reports.queries import connect, queries
from reports.record import Record
from reports.render import rebuild
from reports.resources import bottleneck, uses
from reports.results import NearestLimit
from reports.tests.synthetic import read_rows, write_table


def with_metric(folder: Path, node: str, metric: str, percent: float) -> None:
    """The same in every second, whatever the record had."""
    rows = read_rows(folder, "metrics")
    moments = sorted({row["at_ns"] for row in rows})
    rows = [row for row in rows if (row["node"], row["metric"]) != (node, metric)]
    rows += [{"at_ns": at, "node": node, "metric": metric, "labels": "", "value": percent} for at in moments]
    write_table(folder, "metrics", rows)


def said(folder: Path) -> str:
    return bottleneck(uses(Record(folder)))


def test_a_run_without_one_says_so_and_what_came_nearest(folder: Path) -> None:
    assert said(folder).startswith(
        "Nothing was near its limit. The nearest was the machine: 75% of its 2 cores, most by "
    )


def test_a_process_of_one_thread_ends_at_one_core(folder: Path) -> None:
    with_metric(folder, "api:1", "cpu_percent", 93.0)
    assert said(folder) == "The bottleneck was api:1: 93% of the one core that it can use."
    nearest = verdict_of(Record(folder)).figures.nearest_limit
    assert nearest == NearestLimit(name="api:1", share=uses(Record(folder))[0].share)
    assert nearest.share == pytest.approx(0.93)


def test_a_server_of_many_processes_may_use_more_than_one(folder: Path) -> None:
    with_metric(folder, "postgres:1", "cpu_percent", 130.0)
    (use,) = (each for each in uses(Record(folder)) if each.name == "postgres:1")
    assert use.limit == 2
    assert use.share == pytest.approx(0.65)
    assert said(folder).startswith("Nothing")


def test_a_machine_that_is_full_is_named_with_who_filled_it(folder: Path) -> None:
    with_metric(folder, "machine", "busy_percent", 180.0)
    with_metric(folder, "postgres:1", "cpu_percent", 120.0)
    assert said(folder).startswith(
        "The bottleneck was the machine: 90% of its 2 cores, most by postgres:1 (120% of one), "
    )


def test_the_report_names_it_and_its_query_gives_every_row(folder: Path) -> None:
    with_metric(folder, "machine", "busy_percent", 190.0)
    with_metric(folder, "engine:2", "run_queue_wait_percent", 12.5)
    with_metric(folder, "postgres:1", "cpu_percent", 50.0)
    rebuild(folder)
    page = (folder / "report.html").read_text()
    assert "The bottleneck was the machine: 95% of its 2 cores" in page
    assert "| nearest to its limit | machine, 95% of its processors |" in (folder / "summary.md").read_text()
    with connect(folder) as connection:
        rows = connection.execute(queries()["resources"]).fetchall()
    told = [(use.name, use.cores, use.most, use.limit, use.share, use.waited) for use in uses(Record(folder))]
    assert [row[0] for row in rows] == [row[0] for row in told]
    assert [row[1:5] for row in rows] == [pytest.approx(row[1:5]) for row in told]
    assert {row[0]: row[5] for row in rows if row[5] is not None} == {"engine:2": pytest.approx(0.125)}
    assert [row[5] for row in rows] == [row[5] for row in told]


def test_a_record_without_the_machine_names_none(folder: Path) -> None:
    write_table(folder, "metrics", [row for row in read_rows(folder, "metrics") if row["node"] != "machine"])
    assert rebuild(folder).figures.nearest_limit is None
    assert "bottleneck" not in (folder / "report.html").read_text().partition("<script")[0].lower()
