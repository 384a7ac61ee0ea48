from __future__ import annotations

import io
import json
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from rich.console import Console

from reports.charts import MAX_POINTS, all_charts, heat_chart, slower_than, thinned
from reports.console import print_verdict
from reports.record import Record
from reports.render import JUDGEMENT, rebuild
from reports.results import CheckVerdict, VerdictKind
from reports.tests.conftest import write_checks
from reports.timeline import measured

OUTPUTS = (*JUDGEMENT, "queries.sql")


def test_the_same_record_gives_the_same_bytes_twice(folder: Path) -> None:
    rebuild(folder)
    first = {name: (folder / name).read_bytes() for name in OUTPUTS}
    rebuild(folder)
    assert first == {name: (folder / name).read_bytes() for name in OUTPUTS}


def test_the_page_is_small_enough_to_be_mailed(folder: Path) -> None:
    rebuild(folder)
    assert (folder / "report.html").stat().st_size < 8_000_000


def test_nothing_from_the_record_becomes_markup(folder: Path) -> None:
    run = json.loads((folder / "run.json").read_text())
    run["scenario"] = "</script><script>alert(2)</script>|*x*"
    (folder / "run.json").write_text(json.dumps(run))
    verdict = rebuild(folder)
    page = (folder / "report.html").read_text()
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "<b>0 lost</b>" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "\\<script\\>" in (folder / "summary.md").read_text()
    assert verdict.scenario == run["scenario"]


QUALITY = {
    "subscribers": 20,
    "received": 83_880,
    "reach": 0.999912,
    "gaps": 3,
    "missed": 7,
    "breaks": 2,
    "unserved": 1,
    "staleness_ms": {"p50": 12.8, "p99": 30.4, "max": None},
    "subscribed": 20,
    "first_book_ms": {"p50": 29.0, "p99": 36.4, "max": 36.4},
    "slow": {"subscribers": 10, "received": 12_517, "let_go": 11},
}


def test_how_the_feed_served_the_loads_subscribers_is_a_row_for_each_of_its_processes(folder: Path) -> None:
    rebuild(folder)
    assert '<section id="feed">' not in (folder / "report.html").read_text()
    (folder / "feed_quality-1.json").write_text(json.dumps(QUALITY))
    (folder / "feed_quality-2.json").write_text(json.dumps({**QUALITY, "reach": None, "slow": {}}))
    rebuild(folder)
    section = (folder / "report.html").read_text().partition('<section id="feed">')[2].partition("</section>")[0]
    assert section.count('<td class="n">83,880</td>') == 2
    assert '<td class="n">99.9912 %</td>' in section
    assert "10 more read too slowly on purpose: they got 12,517 book messages" in section
    assert section.count("the feed ended their connections 11 times") == 1


def test_a_damaged_feed_quality_makes_the_run_invalid(folder: Path) -> None:
    (folder / "feed_quality.json").write_text('{"subscribers": "many"}')
    verdict = rebuild(folder)
    assert verdict.verdict is VerdictKind.INVALID
    assert "feed_quality.json cannot be read" in " ".join(verdict.reasons)


def test_an_empty_folder_still_gets_a_report_that_says_invalid(tmp_path: Path) -> None:
    assert rebuild(tmp_path).verdict is VerdictKind.INVALID
    assert "INVALID" in (tmp_path / "report.html").read_text()


def test_junit_counts_each_check_and_objective_once(folder: Path) -> None:
    write_checks(folder, CheckVerdict.VIOLATED, lost=1)
    rebuild(folder)
    suite = ET.parse(folder / "junit.xml").getroot()
    assert suite.attrib["tests"] == str(1 + 1 + 5)
    assert (suite.attrib["failures"], suite.attrib["errors"], suite.attrib["skipped"]) == ("3", "0", "0")


def test_an_invalid_run_is_an_error_in_junit(folder: Path) -> None:
    (folder / "feed.parquet").unlink()
    rebuild(folder)
    suite = ET.parse(folder / "junit.xml").getroot()
    assert suite.attrib["errors"] == "1"
    assert suite.find("testcase/error") is not None


def test_characters_xml_cannot_carry_do_not_break_junit(folder: Path) -> None:
    run = json.loads((folder / "run.json").read_text())
    run["scenario"] = "quick\x00start\x1b"
    (folder / "run.json").write_text(json.dumps(run))
    rebuild(folder)
    assert ET.parse(folder / "junit.xml").getroot().attrib["name"] == "elson.quick?start?"


def test_the_summary_names_the_verdict_and_every_objective(folder: Path) -> None:
    verdict = rebuild(folder)
    summary = (folder / "summary.md").read_text()
    assert summary.startswith("# PASS: quickstart, seed 1\n")
    assert all(objective.objective.replace("_", "\\_") in summary for objective in verdict.objectives)


def test_the_last_block_of_the_terminal_ends_with_the_path_of_the_report(folder: Path) -> None:
    verdict = rebuild(folder)
    out = io.StringIO()
    print_verdict(verdict, folder, Console(file=out, width=60))
    assert "PASS" in out.getvalue()
    assert out.getvalue().rstrip().endswith(str(folder / "report.html"))


def test_thinning_keeps_the_slowest_and_the_order() -> None:
    values = np.random.default_rng(3).exponential(size=50_000)
    kept = thinned(values, MAX_POINTS)
    assert len(kept) <= MAX_POINTS
    assert set(np.argsort(values)[-MAX_POINTS // 5 :]) <= set(kept)
    assert np.all(np.diff(kept) > 0)


def test_the_tail_curve_says_what_share_took_longer() -> None:
    samples = np.arange(1.0, 1_001.0)
    x, y = slower_than(samples)
    for at, share in zip(x, y, strict=True):
        assert share == pytest.approx(100 * np.mean(samples >= at))


def test_every_chart_is_drawn_from_a_complete_record(folder: Path) -> None:
    assert set(all_charts(Record(folder))) == {"latency", "heat", "rate", "timeline", "distribution", "cpu", "memory"}


def test_the_heat_map_counts_every_answered_order_where_it_lies_and_stays_small(folder: Path) -> None:
    record = Record(folder)
    zero_ns, _ = measured(record)
    orders = [o for o in record.operations if o.source == "load" and o.kind == "place" and o.done_ns]
    chart = heat_chart(record)
    trace = chart["traces"][0]
    counts = np.array(trace["counts"])
    assert counts.shape == (len(trace["bands"]) - 1, len(trace["x"]) - 1)
    assert counts.sum() == len(orders)
    slowest = max(orders, key=lambda o: (o.done_ns or 0) - o.intended_ns)
    band = np.flatnonzero(counts.sum(axis=1))[-1]
    assert trace["bands"][band] <= ((slowest.done_ns or 0) - slowest.intended_ns) / 1e6 <= trace["bands"][band + 1]
    column = np.searchsorted(trace["x"], (slowest.intended_ns - zero_ns) / 1e9, side="right") - 1
    assert counts[band, column] >= 1
    assert [shade["label"] for shade in chart["shades"]] == ["latency engine->postgres", "kill engine:active"]
    assert len(json.dumps(chart)) < 40_000
