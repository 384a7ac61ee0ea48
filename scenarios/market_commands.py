"""``elson market``: simulated days, from their description to their record and what it says about itself."""

from __future__ import annotations

import json as json_module
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from rich.console import Console
from rich.table import Table

from simulator.days.loader import DayError, day_names, find_day
from simulator.days.plots import write_plots
from simulator.days.simulation import Books, Simulation
from simulator.days.summary import read_summary, summarize, write_summary
from simulator.facts.judge import FactVerdict, Finding, judge
from simulator.facts.observed import RecordError, observe

_RUNS = Path("reports/runs")
_EXIT_CODES = {FactVerdict.PASS: 0, FactVerdict.FAIL: 1, FactVerdict.CANNOT_TELL: 3}


def list_days() -> int:
    for name in day_names():
        day = find_day(name).day
        sys.stdout.write(f"{name:<20} {day.title}: {day.shows}\n")
    return 0


def run_day(name: str, *, seed: int, out: Path | None, plots: bool, json: bool) -> int:
    """Exit code 0, 1 when the books do not balance, 2 for a day that cannot be run."""
    try:
        loaded = find_day(name)
        folder = out or _RUNS / f"market-{loaded.name}-{seed}"
        began = perf_counter()
        simulation = Simulation(loaded.day, seed, folder)
        books = simulation.run()
    except (DayError, OSError) as error:
        sys.stderr.write(f"elson: {error}\n")
        return 2
    summary = summarize(loaded.name, simulation, books)
    write_summary(folder, summary)
    took_s = perf_counter() - began
    if plots:
        write_plots(folder)
    if json:
        sys.stdout.write(json_module.dumps({**summary, "record": str(folder), "seconds": took_s}) + "\n")
    else:
        _print_day(summary, books, folder, took_s)
    return 0 if books.balance else 1


def judge_runs(folders: Sequence[str], *, json: bool) -> int:
    """0 when every fact passes, 1 when one fails, 3 when some cannot be told, 2 for what is no record."""
    findings: dict[str, list[Finding]] = {}
    try:
        runs = [(Path(folder), read_summary(Path(folder))) for folder in folders]
        for symbol in sorted({symbol for _, summary in runs for symbol in summary["symbols"]}):
            observed = [
                observe(folder, symbol, tick_micros=int(summary["symbols"][symbol]["tick_micros"]))
                for folder, summary in runs
                if symbol in summary["symbols"]
            ]
            findings[symbol] = judge(observed)
    except (RecordError, OSError, ValueError, KeyError) as error:
        sys.stderr.write(f"elson: no record of a day: {error}\n")
        return 2
    if json:
        sys.stdout.write(
            json_module.dumps({symbol: list(map(_document, each)) for symbol, each in findings.items()}) + "\n"
        )
    else:
        for symbol, each in findings.items():
            _print_findings(f"{symbol}, {len(folders)} run{'s'[: len(folders) > 1]}", each)
    worst = max((finding.verdict for each in findings.values() for finding in each), key=_badness)
    return _EXIT_CODES[worst]


def _badness(verdict: FactVerdict) -> int:
    return [FactVerdict.PASS, FactVerdict.CANNOT_TELL, FactVerdict.FAIL].index(verdict)


def _document(finding: Finding) -> dict[str, Any]:
    low, high = finding.interval
    return {
        "fact": finding.fact.name,
        "measure": finding.fact.measure,
        "value": finding.estimate.value,
        "interval": [low, high],
        "range": [finding.fact.low, finding.fact.high],
        "verdict": finding.verdict,
    }


def _print_findings(title: str, findings: Sequence[Finding]) -> None:
    table = Table(
        "fact", "measure", "value", "interval", "must lie in", "", title=title, box=None, title_justify="left"
    )
    colours = {FactVerdict.PASS: "green", FactVerdict.FAIL: "red", FactVerdict.CANNOT_TELL: "yellow"}
    for finding in findings:
        fact, (low, high) = finding.fact, finding.interval
        table.add_row(
            fact.name,
            fact.measure,
            f"{finding.estimate.value:.3f}",
            f"{low:.3f} .. {high:.3f}",
            f"{fact.low:.2f} .. {fact.high:.2f}",
            f"[{colours[finding.verdict]}]{finding.verdict}[/]",
        )
    Console(highlight=False, width=None if sys.stdout.isatty() else 140).print(table)


def _print_day(summary: dict[str, Any], books: Books, folder: Path, took_s: float) -> None:
    rows, messages = summary["rows"], summary["messages"]
    lines = [
        f"{summary['day']}, seed {summary['seed']}: {rows['orders']:,} requests, {rows['trades']:,} trades, "
        f"{sum(messages.values()):,} messages of {rows['traders']:,} traders in {took_s:.2f} s",
        *(
            f"{symbol}: {words['first_price_micros'] / 1e6:.2f} to {words['last_price_micros'] / 1e6:.2f}, "
            f"{words['shares_traded']:,} shares, {words['volatility_halts']} volatility halts"
            for symbol, words in summary["symbols"].items()
        ),
        f"the books {'balance' if books.balance else 'DO NOT BALANCE'}: traders gained {books.profit / 1e6:,.6f} "
        f"dollars together, fees are {books.fees / 1e6:,.6f}",
        *(f"out of money: {name}" for name in summary["out_of_money"]),
        f"record: {folder}",
    ]
    sys.stdout.writelines(f"{line}\n" for line in lines)
