from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from reports import gate_study
from reports.dependence import Timed
from reports.gate import judge
from reports.gate_study import MIN_RUNS, RUNS_FILE, Curve, blocks_of, collect, main, read_runs, resampled, study
from reports.record import Record

NS = 1_000_000_000


def runs_that_differ(by: float, count: int = MIN_RUNS) -> list[Timed]:
    """Runs of twelve seconds at a hundred orders a second; ``by``: standard deviation from run to run."""
    rng = np.random.default_rng(7)
    at_ns = np.arange(1_200, dtype=np.int64) * 10_000_000
    return [Timed(at_ns, np.exp(rng.normal(rng.normal(2, by), 0.3, 1_200))) for _ in range(count)]


def test_the_gate_on_quiet_runs_finds_what_changed_and_nothing_else() -> None:
    curves = {(c.percentile, c.sides, c.bound_percent): c for c in study(runs_that_differ(0.01), pairs=100)}
    curve = curves["p50", "5 runs", 10.0]
    assert curve.meets_goal
    assert curve.fails["0"] == 0
    assert curve.fails["20"] == 1
    assert curve.passes["0"] == 1
    assert list(curve.fails.values()) == sorted(curve.fails.values())


def test_one_run_a_side_knows_nothing_of_what_differs_between_runs_and_cries_wolf() -> None:
    curves = {(c.percentile, c.sides, c.bound_percent): c for c in study(runs_that_differ(0.15), pairs=100)}
    assert curves["p50", "1 run", 5.0].fails["0"] > 0.1
    assert curves["p50", "5 runs", 5.0].fails["0"] <= 0.05


def test_one_run_a_side_lets_pass_what_is_too_slow_and_the_fewest_that_decide_do_not() -> None:
    curves = {(c.percentile, c.sides, c.bound_percent): c for c in study(runs_that_differ(0.15), pairs=200)}
    one, three = curves["p50", "1 run", 10.0], curves["p50", "3 runs", 10.0]
    assert one.must_not_pass_percent == 15
    assert one.passes["15"] > 0.05
    assert three.passes["15"] <= 0.025


def test_the_study_is_the_same_again() -> None:
    runs = runs_that_differ(0.05)
    assert study(runs, pairs=10) == study(runs, pairs=10)


def test_blocks_keep_every_sample_but_the_last_part_of_a_block() -> None:
    (run,) = runs_that_differ(0, count=1)
    blocks = blocks_of(run)
    assert sum(map(len, blocks)) == 1_000  # the last sample is at 11.99 s: five whole blocks
    assert all(0 <= block.at_ns.min() <= block.at_ns.max() < 2 * NS for block in blocks)
    again = resampled(blocks, 7, np.random.default_rng(1))
    assert len(again) == 1_400
    assert (np.diff(again.at_ns) > 0).all()


def test_runs_are_kept_as_they_were_and_invalid_ones_are_not(folder: Path, tmp_path: Path) -> None:
    judge(Record(folder))
    assert collect([folder], tmp_path / RUNS_FILE) == 1
    (kept,) = read_runs(tmp_path / RUNS_FILE)
    assert len(kept) > 100
    (folder / "engine.json").unlink()
    judge(Record(folder))
    assert collect([folder], tmp_path / "other" / RUNS_FILE) == 0


@pytest.mark.parametrize("collected", [False, True])
def test_too_few_runs_are_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], collected: bool
) -> None:
    judge(Record(folder))
    arguments = ["--into", str(tmp_path), *(["--collect", str(folder)] if collected else [])]
    assert main(arguments) == 2
    assert ("1 runs are too few" if collected else "no samples in") in capsys.readouterr().err


def test_what_is_published_is_of_the_runs_beside_it() -> None:
    runs = read_runs(gate_study.PUBLISHED / RUNS_FILE)
    assert len(runs) >= MIN_RUNS
    page = (gate_study.PUBLISHED / "gate-study.md").read_text(encoding="utf-8")
    assert f"{len(runs)} runs of `gate/latency-budget`, {sum(map(len, runs)):,} orders" in page
    assert "| met |" in page
    assert "% at +15 % |" in page


def test_no_row_by_which_the_gate_decides_lets_more_pass_than_its_interval_says() -> None:
    rows = json.loads((gate_study.PUBLISHED / "gate-study.json").read_text(encoding="utf-8"))
    curves = [Curve(**{key: value for key, value in row.items() if key != "meets_goal"}) for row in rows]
    deciding = [curve for curve in curves if not curve.sides.startswith("1 ")]
    assert {f"{size} runs" for size in (3, 5, 10)} < {curve.sides for curve in deciding}
    assert max(curve.passes[f"{curve.must_not_pass_percent:g}"] for curve in deciding) <= 0.025
