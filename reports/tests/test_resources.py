"""Which part of a run was nearest to its limit, and what the report calls it."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports.commits import commits
from reports.gate import verdict_of
from reports.queries import connect, queries
from reports.record import Record
from reports.render import rebuild
from reports.resources import bottleneck, uses
from reports.results import NearestLimit
from reports.tests.synthetic import read_rows, with_commits, write_table


def with_metric(folder: Path, node: str, metric: str, percent: float) -> None:
    """The same in every second, whatever the record had."""
    rows = read_rows(folder, "metrics")
    moments = sorted({row["at_ns"] for row in rows})
    rows = [row for row in rows if (row["node"], row["metric"]) != (node, metric)]
    rows += [{"at_ns": at, "node": node, "metric": metric, "labels": "", "value": percent} for at in moments]
    write_table(folder, "metrics", rows)


def said(folder: Path) -> str:
    return bottleneck(Record(folder))


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


def test_others_on_the_machine_are_told_of_when_they_filled_it(folder: Path) -> None:
    with_metric(folder, "machine", "busy_percent", 190.0)
    for node in ("engine:1", "engine:2", "api:1", "postgres:1", "load:1"):
        with_metric(folder, node, "cpu_percent", 10.0)
    assert "most by what was not of the run (140% of one), " in said(folder)


def test_the_report_names_it_and_its_query_gives_every_row(folder: Path) -> None:
    with_metric(folder, "machine", "busy_percent", 190.0)
    with_metric(folder, "engine:2", "run_queue_wait_percent", 12.5)
    with_metric(folder, "postgres:1", "cpu_percent", 50.0)
    rebuild(folder)
    page = (folder / "report.html").read_text()
    assert "The bottleneck was the machine: 95% of its 2 cores" in page
    assert "| nearest to its limit | machine, at 95% of it |" in (folder / "summary.md").read_text()
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


# 40 commits of 50 ms in 4 s, with 10 commands each; nothing before, nothing after.
STEADY = [
    (100, 9.0, 100),
    (100, 9.0, 100),
    *((100 + 10 * n, 9 + 0.5 * n, 100 + 100 * n) for n in range(1, 5)),
    (140, 11.0, 500),
]


def test_commits_are_counted_from_the_first_to_the_last(folder: Path) -> None:
    with_commits(folder, "engine:1", STEADY)
    with_commits(folder, "engine:2", [(0, 0.0, 0)] * 5, limit=0.0)  # never led
    (found,) = commits(Record(folder))
    assert (found.name, found.limit) == ("commits of engine:1", 500)
    assert (found.per_s, found.mean_ms, found.busy, found.commands) == pytest.approx((10, 50, 0.5, 10))
    assert found.share == pytest.approx(0.01)


def test_an_engine_that_began_anew_is_not_below_nothing(folder: Path) -> None:
    with_commits(folder, "engine:1", [(100, 9.0, 100), (110, 9.5, 200), (0, 0.0, 0), (10, 0.5, 100)])
    (found,) = commits(Record(folder))
    assert found.per_s == pytest.approx(20 / 3)
    assert (found.mean_ms, found.commands) == pytest.approx((50, 10))


def test_full_batches_one_after_the_other_are_the_bottleneck(folder: Path) -> None:
    with_commits(folder, "engine:1", [(2 * n, 0.98 * n, 900 * n) for n in range(5)])
    assert said(folder) == (
        "The bottleneck was the commits of engine:1: one was under way 98% of the time, each took 490 ms, "
        "with 450 commands of at most 500."
    )
    rebuild(folder)
    assert "| nearest to its limit | commits of engine:1, at 88% of it |" in (folder / "summary.md").read_text()


def test_the_query_of_the_commits_gives_every_row(folder: Path) -> None:
    with_commits(folder, "engine:1", [(100, 9.0, 100), (110, 9.5, 200), (0, 0.0, 0), (10, 0.7, 100), (10, 0.7, 100)])
    with_commits(folder, "engine:2", STEADY)
    with_commits(folder, "engine:3", [(0, 0.0, 0)] * 5, limit=0.0)
    rebuild(folder)
    assert "<td>engine:2</td>" in (folder / "report.html").read_text()
    with connect(folder) as connection:
        rows = connection.execute(queries()["commits"]).fetchall()
    told = [(e.node, e.per_s, e.mean_ms, e.busy, e.commands, e.limit, e.share) for e in commits(Record(folder))]
    assert [row[0] for row in rows] == [row[0] for row in told] == ["engine:1", "engine:2"]
    assert [row[1:] for row in rows] == [pytest.approx(row[1:]) for row in told]
