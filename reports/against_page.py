"""A comparison for people and for machines: against-RUN.html (opens offline) and .json, in the folder of the run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from reports.against import Runs, compare, runs_in
from reports.charts import tail_chart
from reports.compared import Comparison, FigureChange
from reports.latency import Scope, response_ms
from reports.pages import page
from reports.record import MissingPartError
from reports.run_folder import write_json, write_text

WIDEST_PERCENT: Final = 50.0  # of the bars that draw an interval; what lies beyond is cut off

SOURCES: Final = {
    "latency": "operations.parquet of both: reports.latency.response_times, reports.comparison.change",
    "goodput": "operations.parquet of both: reports.goodput.goodput_by_second, reports.comparison.change",
    "errors": "operations.parquet of both: reports.latency.errors_in",
    "outages": "operations.parquet and events.jsonl of both: reports.outage.outages",
    "objectives": "the records of both: reports.gate.verdict_of",
    "checks": "checks.json of both",
    "differences": "run.json of both",
}


def write_comparison(run: Path, baseline: Path) -> tuple[Comparison, Path]:
    """From the records alone; returns what was found and the page's path.

    Raises MissingPartError when a record lacks what says how it was made, OSError when nothing can be written.
    """
    sides = runs_in(run), runs_in(baseline)
    comparison = compare(*sides)
    path = run / f"against-{baseline.name}.html"
    write_json(path.with_suffix(".json"), msgspec.to_builtins(comparison))
    write_text(path, comparison_html(comparison, *sides))
    return comparison, path


def comparison_html(comparison: Comparison, run: Runs, baseline: Runs) -> str:
    return page(
        "against.html.j2",
        _charts(run, baseline),
        found=comparison,
        bar=bar,
        widest=WIDEST_PERCENT,
        sources=SOURCES,
    )


def bar(change: FigureChange) -> dict[str, float]:
    """Where the interval begins and ends and where its value lies, in per cent of the bar's width."""
    ends = (-np.inf if change.low is None else change.low, np.inf if change.high is None else change.high)
    low, value, high = (round(_across(percent), 1) for percent in (ends[0], change.percent, ends[1]))
    return {"low": low, "width": round(high - low, 1), "value": value}


def _across(percent: float) -> float:
    return 50 + 50 * float(np.clip(percent / WIDEST_PERCENT, -1, 1))


def _charts(run: Runs, baseline: Runs) -> dict[str, Any]:
    """The tails of both, outside faults: where percentiles hide how two runs differ, the curves do not."""
    tails = [(f"baseline {baseline.name}", baseline, "n2"), (run.name, run, "load")]
    chart = tail_chart([(name, _samples(side), colour) for name, side, colour in tails])
    return {"tails": chart} if chart["traces"] else {}


def _samples(side: Runs) -> np.typing.NDArray[np.float64]:
    found = []
    for record in side.records:
        try:
            found.append(response_ms(record, "place", Scope.OUTSIDE_FAULTS))
        except MissingPartError:
            continue
    return np.sort(np.concatenate([np.empty(0), *found]))
