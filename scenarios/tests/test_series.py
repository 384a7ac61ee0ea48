"""Several runs in one go: which are made, in which order and where; each ends before anything starts, for its baseline
holds nothing to compare with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reports.record import Record
from reports.results import VerdictKind
from reports.run_folder import find_run
from reports.tests.synthetic import write_record
from scenarios.launch import Outcome
from scenarios.loader import load_scenario
from scenarios.progress import Progress
from scenarios.run import RunOptions
from scenarios.run_commands import report
from scenarios.series import run_all
from scenarios.tests.test_loader import GOOD

VARIANTS = "variants:\n  one: {topology.apis: 1}\n  two: {topology.apis: 2}\n"
SEARCH = "search: {path: load.rate_per_s, from: 10, to: 80, within: 10}\n"


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ELSON_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


def all_of(runs: Path, text: str) -> tuple[Outcome, str]:
    """What came of it, and what was shown meanwhile."""
    path = runs.parent / "mine.yaml"
    against = "objectives:\n  - {objective: latency_p50_ms, baseline: before, max: +10 %}"
    path.write_text(GOOD.replace("objectives:", against) + text)
    baseline = write_record(runs.parent / "before")
    with (runs.parent / "shown").open("w") as shown:
        options = RunOptions(seed=7, command_line=(), baselines={"before": baseline})
        outcome = run_all(load_scenario(path), options, Progress(shown))
    return outcome, (runs.parent / "shown").read_text()


def made(folder: Path) -> list[tuple[str, int, str]]:
    """Variant, seed and scenario of each run, in the order in which they began."""
    described = [json.loads(path.read_text()) for path in folder.rglob("run.json")]
    described.sort(key=lambda run: int(run["started_ns"]))
    return [(run.get("variant", ""), run["seed"], run["scenario"]) for run in described]


def test_variants_with_repeats_take_turns_there_and_back(runs: Path) -> None:
    outcome, shown = all_of(runs, f"repeats: 3\n{VARIANTS}")
    assert outcome.folder == find_run(runs, "latest")
    order = [("one", 7), ("two", 7), ("two", 8), ("one", 8), ("one", 9), ("two", 9)]
    assert made(outcome.folder) == [(name, seed, "mine") for name, seed in order]
    assert "two: repeat 2 of 3, seed 8" in shown
    assert outcome.verdict is not None
    assert (outcome.verdict.verdict, outcome.exit_code) == (VerdictKind.INVALID, 4)
    assert [side.name for side in outcome.verdict.sides] == ["one", "two"]
    assert outcome.verdict.reasons[0].startswith("one is INVALID: 0 of 3 repeats can be judged")


def test_a_value_that_cannot_be_judged_is_tried_twice_and_ends_the_search(runs: Path) -> None:
    outcome, _ = all_of(runs, SEARCH)
    assert outcome.folder is not None
    assert [name for name, _, _ in made(outcome.folder)] == ["10", "10"]
    assert outcome.verdict is not None
    assert outcome.verdict.reasons[0].startswith("highest load.rate_per_s that holds: nothing held; a run at 10 was")
    assert report("latest") == outcome.exit_code == 4  # from the records alone
    assert Record(outcome.folder).verdict().reasons == outcome.verdict.reasons


def test_each_variant_is_searched(runs: Path) -> None:
    outcome, shown = all_of(runs, VARIANTS + SEARCH)
    assert outcome.folder is not None
    assert [name for name, _, _ in made(outcome.folder)] == ["10", "10", "10", "10"]
    assert "two: topology.apis=2" in shown
    assert outcome.verdict is not None
    assert [side.name for side in outcome.verdict.sides] == ["one", "two"]
