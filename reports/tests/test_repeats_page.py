from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest

from reports.record import Record
from reports.repeats import together
from reports.repeats_page import rebuild_together, strip
from reports.results import VerdictKind
from reports.run_folder import run_folders
from reports.tests.test_openmetrics import parsed, value
from reports.tests.test_repeats import never_recovers, repeats, rewrite

OUTPUTS = ("verdict.json", "report.html", "summary.md", "openmetrics.txt")


@pytest.fixture
def tree(folder: Path, tmp_path: Path) -> Path:
    return repeats(folder, tmp_path / "tree", 600, 700, 650)


def page_of(tree: Path) -> str:
    rebuild_together(tree)
    return (tree / "report.html").read_text()


def test_the_same_runs_give_the_same_bytes_and_the_same_verdict(tree: Path) -> None:
    verdict = rebuild_together(tree)
    assert verdict == together(tree) == Record(tree).verdict()
    first = {name: (tree / name).read_bytes() for name in OUTPUTS}
    rebuild_together(tree)
    assert first == {name: (tree / name).read_bytes() for name in OUTPUTS}


def test_each_objective_shows_what_every_run_measured_and_their_interval(tree: Path) -> None:
    page = page_of(tree)
    assert 'title="600, 700, 650 ms"' in page
    assert "mean 650 ms of 3 runs (95 % interval" in page
    outage = re.search(r'title="600, 700, 650 ms"><svg.*?</svg>', page, re.DOTALL)
    assert outage is not None
    assert len(re.findall('class="value"', outage[0])) == 3
    assert len(re.findall("<rect", outage[0])) == 1


def test_every_run_stands_with_its_verdict_and_a_link_to_its_report(tree: Path) -> None:
    runs = run_folders(tree)
    (runs[0] / "report.html").write_text("")
    rewrite(runs[1], msgspec.structs.replace(Record(runs[1]).verdict(), reasons=["<i>why</i>", "and more"]))
    (runs[2] / "verdict.json").unlink()
    page = page_of(tree)
    assert re.findall('<a href="([^"]*)"', page) == ["0/report.html"]
    assert "&lt;i&gt;why&lt;/i&gt; (and 1 more)" in page
    assert "<i>why" not in page
    assert "it was never judged" in page


def test_a_run_that_may_not_be_judged_is_in_no_spread(tree: Path) -> None:
    run = run_folders(tree)[1]
    rewrite(run, msgspec.structs.replace(Record(run).verdict(), invalid=["the clock was set"]))
    assert 'title="600, 650 ms"' in page_of(tree)


def test_a_platform_that_never_recovered_in_one_run_still_gets_its_page_and_its_verdict(tree: Path) -> None:
    never_recovers(run_folders(tree)[1])
    page = page_of(tree)
    assert "<h1>FAIL</h1>" in page
    assert "<li>repeat 2: the platform never recovered: no engine led within 20 s of the healing</li>" in page
    assert 'title="600, 650 ms"' in page
    assert all((tree / name).exists() for name in OUTPUTS)
    assert Record(tree).verdict().verdict is VerdictKind.FAIL


def test_repeats_of_which_none_ran_still_get_a_page(tmp_path: Path) -> None:
    (tmp_path / "repeats.json").write_text(json.dumps({"repeats": 3, "scenario": "<b>x</b>", "seed": 1}))
    page = page_of(tmp_path)
    assert "INVALID" in page
    assert "None has begun." in page
    assert "<b>x" not in page


def test_the_verdict_on_all_runs_can_be_pushed(tree: Path) -> None:
    verdict = rebuild_together(tree)
    samples = parsed(tree)
    assert value(samples, "elson_verdict", elson_verdict=verdict.verdict) == 1
    assert value(samples, "elson_objective_high", objective="outage_ms crash <= 1000 ms", unit="ms") == pytest.approx(
        verdict.objectives[0].high
    )


def test_values_interval_and_bound_lie_on_one_scale() -> None:
    drawn = strip([10.0, 20.0], low=5.0, high=25.0, bound=45.0)
    assert drawn.low == 6.0
    assert drawn.bound == 94.0
    assert drawn.values == [17.0, 39.0]
    assert drawn.high == 50.0


def test_a_bound_far_off_is_drawn_at_the_edge_and_leaves_the_runs_apart() -> None:
    drawn = strip([10.0, 20.0], low=None, high=None, bound=100_000.0)
    assert (drawn.bound, drawn.low, drawn.high) == (94.0, None, None)
    assert drawn.values[1] - drawn.values[0] == pytest.approx(22.0)
    assert strip([0.0, 0.0], low=0.0, high=0.0, bound=0.0).values == [6.0, 6.0]
