"""Variants and searches, judged from the records within their folder."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from reports.console import print_verdict
from reports.gate import judge
from reports.record import MissingPartError, Record
from reports.repeats import describe_repeats
from reports.repeats_page import rebuild_together
from reports.results import ObjectiveOutcome, Verdict, VerdictKind
from reports.search import Search
from reports.side_by_side import Series, judge_series, rebuild_series, write_series
from reports.tests.test_gate import set_objectives
from reports.tests.test_measures import slowed
from reports.tests.test_repeats import rewrite

OUTPUTS = ("verdict.json", "report.html", "summary.md", "openmetrics.txt")
COMPARED = {"objective": "latency_p50_ms", "max": "+20 %", "baseline": "alone"}


@pytest.fixture
def tree(folder: Path, tmp_path: Path) -> Path:
    """Two variants that are alike, each three runs that pass and differ by some per cent."""
    return variants(folder, tmp_path / "tree", {"alone": (1.0, 1.02, 0.98), "with-standby": (1.01, 0.99, 1.0)})


def variants(folder: Path, tree: Path, factors: Mapping[str, Sequence[float]]) -> Path:
    set_objectives(folder, {"objective": "lost_orders", "max": 0})
    tree.mkdir()
    write_series(tree, Series(scenario="a/b", seed=7, variants=list(factors), objectives=[COMPARED]))
    for name, runs in factors.items():
        side = tree / f"20260101T000000Z-{name}"
        for number, factor in enumerate(runs):
            judge(Record(slowed(folder, factor, side / f"{number}")))
        describe_repeats(side, scenario="a/b", repeats=len(runs), seed=7)
        rebuild_together(side)
    return tree


def side(tree: Path, name: str) -> Path:
    return tree / f"20260101T000000Z-{name}"


def reworded(folder: Path, kind: VerdictKind, why: str = "") -> None:
    verdict = Record(folder).verdict()
    rewrite(folder, msgspec.structs.replace(verdict, verdict=kind, reasons=[why] if why else []))


def test_variants_that_all_pass_and_are_alike_pass(tree: Path) -> None:
    verdict = judge_series(tree)
    assert (verdict.verdict, verdict.reasons, verdict.scenario, verdict.seed) == (VerdictKind.PASS, [], "a/b", 7)
    assert [(each.name, each.verdict) for each in verdict.sides] == [("alone", "PASS"), ("with-standby", "PASS")]
    (compared,) = verdict.objectives
    assert compared.title == "with-standby: latency_p50_ms against alone"
    assert "3 runs against 3 runs" in compared.summary


def test_a_variant_that_is_clearly_slower_than_the_other_fails(folder: Path, tmp_path: Path) -> None:
    factors = {"alone": (1.0, 1.02, 0.98), "with-standby": (1.6, 1.58, 1.62)}
    verdict = judge_series(variants(folder, tmp_path / "tree", factors))
    assert verdict.verdict is VerdictKind.FAIL
    assert verdict.objectives[0].outcome is ObjectiveOutcome.MISSED
    assert verdict.reasons[0].startswith("with-standby: latency_p50_ms against alone: ")


@pytest.mark.parametrize("kind", [VerdictKind.FAIL, VerdictKind.INCONCLUSIVE, VerdictKind.INVALID])
def test_the_worst_variant_decides_and_is_named(tree: Path, kind: VerdictKind) -> None:
    reworded(side(tree, "with-standby"), kind, "it was odd")
    verdict = judge_series(tree)
    assert (verdict.verdict, verdict.reasons) == (kind, [f"with-standby is {kind}: it was odd"])
    assert verdict.invalid == (verdict.reasons if kind is VerdictKind.INVALID else [])


def test_a_variant_that_was_never_run_makes_it_invalid(tree: Path) -> None:
    shutil.rmtree(side(tree, "alone"))
    verdict = judge_series(tree)
    assert verdict.verdict is VerdictKind.INVALID
    assert verdict.reasons[0] == "alone is INVALID: it has no verdict"
    assert verdict.objectives[0].outcome is ObjectiveOutcome.CANNOT_TELL


def test_a_search_is_answered_by_the_runs_in_its_folder(folder: Path, tmp_path: Path) -> None:
    set_objectives(folder, {"objective": "lost_orders", "max": 0})
    judge(Record(folder))
    tree = tmp_path / "search"
    tree.mkdir()
    search = Search("load.rate_per_s", start=100, most=400, within=100, at_least=200)
    write_series(tree, Series(scenario="a/b", seed=7, search=search))
    runs = [(100, VerdictKind.PASS), (200, VerdictKind.INVALID), (200, VerdictKind.PASS), (400, VerdictKind.FAIL)]
    for second, (value, kind) in enumerate(runs):
        run = Path(shutil.copytree(folder, tree / f"20260101T00000{second}Z-{value}"))
        reworded(run, kind, "" if kind is VerdictKind.PASS else "too slow")
    verdict = rebuild_series(tree)
    (found,) = verdict.objectives
    assert (verdict.verdict, found.low, found.high) == (VerdictKind.PASS, 200, 400)
    assert [each.name for each in verdict.sides] == ["100", "200", "200", "400"]
    assert "highest load.rate_per_s that holds" in (tree / "report.html").read_text()


def test_variants_that_are_searches_show_what_each_found(folder: Path, tmp_path: Path) -> None:
    """A search has no figures of its own: its answer is its one objective's."""
    tree = tmp_path / "tree"
    tree.mkdir()
    write_series(tree, Series(scenario="a/b", seed=7, variants=["one", "two"]))
    for name, held in (("one", 400), ("two", 300)):
        searched = side(tree, name)
        write_run(folder, searched / f"20260101T000000Z-{held}")
        search = Search("load.rate_per_s", start=held, most=held, within=100)
        write_series(searched, Series(scenario="a/b", seed=7, search=search))
        rebuild_series(searched)
    verdict = rebuild_series(tree)
    assert verdict.verdict is VerdictKind.PASS
    out = io.StringIO()
    print_verdict(verdict, tree, Console(file=out, width=120))
    summary = (tree / "summary.md").read_text()
    assert "| highest load.rate\\_per\\_s that holds | met 400 | met 300 |" in summary
    assert "?" not in summary
    assert "highest load.rate_per_s that holds" in out.getvalue()
    assert all(re.search(rf"{name} +PASS +met {held}", out.getvalue()) for name, held in (("one", 400), ("two", 300)))


def write_run(folder: Path, run: Path) -> None:
    set_objectives(folder, {"objective": "lost_orders", "max": 0})
    run.parent.mkdir(parents=True)
    shutil.copytree(folder, run)
    judge(Record(run))


def test_the_same_runs_give_the_same_bytes_with_a_column_each(tree: Path) -> None:
    verdict = rebuild_series(tree)
    assert Record(tree).verdict() == verdict
    first = {name: (tree / name).read_bytes() for name in OUTPUTS}
    rebuild_series(tree)
    assert first == {name: (tree / name).read_bytes() for name in OUTPUTS}
    page, summary = ((tree / name).read_text() for name in ("report.html", "summary.md"))
    assert page.count('/report.html">open</a>') == 2
    assert "|  | alone | with-standby |\n|---|---|---|\n| verdict | PASS | PASS |" in summary
    assert "http" not in page.replace("http-equiv", "")


def test_without_its_plan_nothing_is_judged(tree: Path) -> None:
    (tree / "series.json").write_text("{")
    with pytest.raises(MissingPartError, match=r"series\.json cannot be read"):
        judge_series(tree)


def test_a_verdict_is_read_as_it_was_written(tree: Path) -> None:
    verdict = judge_series(tree)
    assert msgspec.json.decode(msgspec.json.encode(verdict), type=Verdict) == verdict
