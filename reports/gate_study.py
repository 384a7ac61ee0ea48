"""``make gate-study``: how often the gate cries wolf, and how small a change it finds, on real runs of one platform.

Two sides are made of the same runs (A/A), one of them is slowed by a known factor, and the gate says what it would
have said: false FAILs where nothing changed, found FAILs where something did. Sides are made in two ways:

- *blocks*: two-second blocks drawn with replacement from all runs: what is left of noise when A and B share a machine
  and a time;
- *runs*: whole runs, none of them on both sides: with everything in it that differs from run to run.

``--collect FOLDER ...`` first takes the samples from runs, or folders of repeats, and keeps them for the next time.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from reports.bounds import CONFIDENCE, rate_upper_bound
from reports.comparison import MIN_RUNS as MIN_RUNS_A_SIDE
from reports.comparison import Side, change, side_of
from reports.dependence import Interval, Timed
from reports.latency import QUANTILES, Scope, response_times, samples_needed
from reports.measures import decide
from reports.objectives import Objective
from reports.record import MissingPartError, Record
from reports.results import ObjectiveOutcome, VerdictKind
from reports.run_folder import run_folders, write_json, write_text

PUBLISHED: Final = Path(__file__).with_name("published")
RUNS_FILE: Final = "gate-study-runs.parquet"
MIN_RUNS: Final = 20
PAIRS: Final = 500
SEED: Final = 1
BLOCK_S: Final = 2.0
PERCENTILES: Final = ("p50", "p90", "p99")
BLOCK_SIDES: Final = ((1, 60.0), (1, 240.0), (5, 48.0), (10, 48.0))  # runs, and seconds of each
RUN_SIDES: Final = (1, MIN_RUNS_A_SIDE, 5, 10)
SLOWED_PERCENT: Final = (0.0, 5.0, 10.0, 15.0, 20.0, 40.0)
BOUNDS_PERCENT: Final = (5.0, 10.0)
MAX_FALSE_FAILS: Final = 0.01
MIN_FOUND: Final = 0.95
FOUND_AT_PERCENT: Final = 20.0
_NS: Final = 1_000_000_000
_SCHEMA: Final = pa.schema(
    [
        pa.field("run", pa.string(), nullable=False),
        pa.field("at_us", pa.int64(), nullable=False),  # since the run's first sample
        pa.field("response_ms", pa.float32(), nullable=False),
    ]
)


@dataclass(frozen=True, slots=True)
class Curve:
    """What the gate said of ``pairs`` pairs: shares of FAIL and PASS by how much one side was slowed (per cent)."""

    percentile: str
    sides: str
    bound_percent: float
    pairs: int
    fails: dict[str, float]
    passes: dict[str, float]

    @property
    def meets_goal(self) -> bool:
        return self.fails[_key(0)] <= MAX_FALSE_FAILS and self.fails[_key(FOUND_AT_PERCENT)] >= MIN_FOUND

    @property
    def must_not_pass_percent(self) -> float:
        """The smallest slowing of those studied that is more than allowed."""
        return min(slowed for slowed in SLOWED_PERCENT if slowed > self.bound_percent)


def collect(folders: Sequence[Path], to: Path) -> int:
    """Keeps the orders' response times of every run that is not INVALID; returns how many runs."""
    tables = []
    for folder in (run for given in folders for run in run_folders(given)):
        record = Record(folder)
        try:
            if record.verdict().verdict is VerdictKind.INVALID:
                continue
            samples = response_times(record, "place", Scope.OUTSIDE_FAULTS)
        except MissingPartError as error:
            sys.stderr.write(f"gate-study: {folder.name} is left out: {error}\n")
            continue
        at_us = (samples.at_ns - samples.at_ns[0]) // 1_000
        columns = [[folder.name] * len(samples), at_us, samples.values.astype(np.float32)]
        tables.append(pa.Table.from_arrays([pa.array(column) for column in columns], schema=_SCHEMA))
    if tables:
        to.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.concat_tables(tables), to, compression="zstd", compression_level=19)
    return len(tables)


def read_runs(path: Path) -> list[Timed]:
    """One series a run. Raises OSError when the samples were never collected."""
    rows = pq.read_table(path).to_pandas()
    return [
        Timed(run["at_us"].to_numpy(np.int64) * 1_000, run["response_ms"].to_numpy(np.float64))
        for _, run in rows.groupby("run", sort=True)
    ]


def study(runs: Sequence[Timed], *, pairs: int = PAIRS, seed: int = SEED) -> list[Curve]:
    """Every way to make sides, percentile and bound; the same runs and seed give the same curves."""
    curves = []
    for name, make in _ways(runs):
        for percentile in PERCENTILES:
            rng = np.random.default_rng(seed)
            quantile = QUANTILES[percentile]
            sides = [(side_of(ours, quantile), side_of(theirs, quantile)) for ours, theirs in make(rng, pairs)]
            fewest = min(len(run) for ours, _ in make(np.random.default_rng(seed), 1) for run in ours)
            if fewest >= samples_needed(quantile):
                curves += [_curve(percentile, name, bound, sides) for bound in BOUNDS_PERCENT]
    return curves


def _ways(runs: Sequence[Timed]) -> Iterator[tuple[str, Any]]:
    blocks = [block for run in runs for block in blocks_of(run)]
    for size, seconds in BLOCK_SIDES:
        count = round(seconds / BLOCK_S)

        def of_blocks(rng: np.random.Generator, pairs: int, size: int = size, count: int = count) -> Iterator[Any]:
            for _ in range(pairs):
                drawn = [resampled(blocks, count, rng) for _ in range(2 * size)]
                yield drawn[:size], drawn[size:]

        yield f"{size} x {seconds:g} s of blocks", of_blocks
    for size in RUN_SIDES:

        def of_runs(rng: np.random.Generator, pairs: int, size: int = size) -> Iterator[Any]:
            for _ in range(pairs):
                drawn = rng.permutation(len(runs))[: 2 * size]
                yield [runs[n] for n in drawn[:size]], [runs[n] for n in drawn[size:]]

        yield ("1 run" if size == 1 else f"{size} runs"), of_runs


def blocks_of(run: Timed) -> list[Timed]:
    """Whole blocks, each from its own zero on; what is left over at the end is dropped."""
    length_ns = round(BLOCK_S * _NS)
    number = run.at_ns // length_ns
    return [
        Timed(run.at_ns[number == n] - n * length_ns, run.values[number == n])
        for n in range(int(run.at_ns[-1]) // length_ns)
    ]


def resampled(blocks: Sequence[Timed], count: int, rng: np.random.Generator) -> Timed:
    """``count`` blocks drawn with replacement, one after another."""
    drawn = [blocks[n] for n in rng.integers(len(blocks), size=count)]
    at_ns = np.concatenate([block.at_ns + n * round(BLOCK_S * _NS) for n, block in enumerate(drawn)])
    return Timed(at_ns, np.concatenate([block.values for block in drawn]))


def _curve(percentile: str, sides: str, bound: float, pairs: Sequence[tuple[Side, Side]]) -> Curve:
    objective = Objective(f"latency_{percentile}_ms", bound, baseline="A")
    fails, passes = {}, {}
    for slowed in SLOWED_PERCENT:
        said = [_said(ours, theirs, slowed, objective) for ours, theirs in pairs]
        fails[_key(slowed)] = said.count(ObjectiveOutcome.MISSED) / len(said)
        passes[_key(slowed)] = said.count(ObjectiveOutcome.MET) / len(said)
    return Curve(percentile, sides, bound, len(pairs), fails, passes)


def _said(ours: Side, theirs: Side, slowed_percent: float, objective: Objective) -> ObjectiveOutcome:
    """A side that is slower by a factor has every end of its interval moved by it: percentiles scale with samples."""
    by = math.log1p(slowed_percent / 100)
    found = change(Side(ours.value + by, ours.low + by, ours.high + by), theirs)
    return decide(Interval(found.low, found.high), objective)


def page(curves: Sequence[Curve], runs: Sequence[Timed]) -> str:
    """The operating curve as Markdown."""
    spread = {name: _run_spread(runs, QUANTILES[name]) for name in PERCENTILES}
    told = ", ".join(f"{name} {100 * value:.0f} %" for name, value in spread.items() if value is not None)
    lines = [
        "# What the gate would say: its operating curve",
        "",
        "Made by `make gate-study` from the samples beside this page"
        f" ({len(runs)} runs of `gate/latency-budget`, {sum(map(len, runs)):,} orders).",
        "Two sides of the same platform, one slowed by a known factor; the share of pairs that the gate fails for it,",
        "and of those it passes where nothing changed (as it should) and where the change was just too much.",
        "",
        f"From run to run the percentiles differ by (standard deviation): {told}.",
        "",
        f"| percentile | each side | allowed | {' | '.join(f'FAIL at +{s:g} %' for s in SLOWED_PERCENT)} | "
        "false FAIL at most | PASS at +0 % | false PASS | goal |",
        f"|---|---|---|{'---|' * (len(SLOWED_PERCENT) + 4)}",
    ]
    for curve in curves:
        shares = " | ".join(f"{100 * curve.fails[_key(slowed)]:.1f} %" for slowed in SLOWED_PERCENT)
        beyond = curve.must_not_pass_percent
        most = rate_upper_bound(round(curve.fails[_key(0)] * curve.pairs), curve.pairs)
        lines.append(
            f"| {curve.percentile} | {curve.sides} | +{curve.bound_percent:g} % | {shares} | {100 * most:.2f} % |"
            f" {100 * curve.passes[_key(0)]:.1f} % | {100 * curve.passes[_key(beyond)]:.1f} % at +{beyond:g} % |"
            f" {'met' if curve.meets_goal else ''} |"
        )
    lines += [
        "",
        f"Goal: at most {MAX_FALSE_FAILS:.0%} false FAILs, and a side slowed by {FOUND_AT_PERCENT:g} % found in at"
        f" least {MIN_FOUND:.0%} of the pairs. {curves[0].pairs:,} pairs a row; what is neither FAIL nor PASS is",
        "INCONCLUSIVE. *False FAIL at most*: the upper bound of the first share at 95 %, as if pairs were independent",
        "(those of whole runs share runs). *False PASS*: where the change was the smallest studied that is too much;",
        f"an interval that holds what it says lets no more than {50 * (1 - CONFIDENCE):.1f} % pass.",
        "",
        "*Blocks* are what is left of noise when both sides share a machine and a time; *runs* have in them whatever",
        "differs from run to run. One run a side knows nothing of that: more often than its interval says it cries",
        "wolf, and lets pass what is too slow. So the gate neither fails nor passes a change by fewer than",
        f"{MIN_RUNS_A_SIDE} runs a side (the rows of one run, or of one stretch of blocks, show what it would say),",
        "and goes by what it sees between runs from there on.",
        "",
    ]
    return "\n".join(lines)


def _run_spread(runs: Sequence[Timed], quantile: float) -> float | None:
    """Standard deviation of the percentile's logarithm from run to run."""
    if min(map(len, runs)) < samples_needed(quantile):
        return None
    return float(np.std([math.log(np.quantile(r.values, quantile, method="inverted_cdf")) for r in runs], ddof=1))


def _key(percent: float) -> str:
    return f"{percent:g}"


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 1 when no way to compare meets the goal, 2 when there are not runs enough."""
    parser = argparse.ArgumentParser(prog="python -m reports.gate_study", description=__doc__)
    parser.add_argument("--collect", type=Path, nargs="+", metavar="FOLDER", help="runs to take the samples from")
    parser.add_argument("--into", type=Path, default=PUBLISHED, metavar="FOLDER", help="where the study is kept")
    arguments = parser.parse_args(argv)
    path = arguments.into / RUNS_FILE
    if arguments.collect:
        sys.stdout.write(f"samples of {collect(arguments.collect, path)} runs kept\n")
    if not path.exists():
        sys.stderr.write(f"gate-study: no samples in {arguments.into}: collect them from runs first\n")
        return 2
    runs = read_runs(path)
    if len(runs) < MIN_RUNS:
        sys.stderr.write(f"gate-study: {len(runs)} runs are too few, {MIN_RUNS} are asked for\n")
        return 2
    curves = study(runs)
    text = page(curves, runs)
    write_text(arguments.into / "gate-study.md", text)
    write_json(arguments.into / "gate-study.json", [{**asdict(c), "meets_goal": c.meets_goal} for c in curves])
    sys.stdout.write(text)
    return 0 if any(curve.meets_goal for curve in curves) else 1


if __name__ == "__main__":
    sys.exit(main())
