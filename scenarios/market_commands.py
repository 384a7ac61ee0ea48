"""``elson market``: simulated days, from their description to their record and what it says about itself."""

from __future__ import annotations

import json as json_module
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from time import perf_counter
from typing import Any

import uvloop
from pydantic import TypeAdapter
from rich.console import Console
from rich.table import Table

from reports.run_folder import runs_root
from simulator.days.live_report import LiveReport
from simulator.days.live_session import trade_live
from simulator.days.loader import DayError, LoadedDay, check_symbols, day_names, find_day
from simulator.days.marketplace import MarketplaceError
from simulator.days.model import Moment
from simulator.days.plots import write_plots
from simulator.days.simulation import Books, Simulation
from simulator.days.summary import read_summary, summarize, write_summary
from simulator.facts.judge import FactVerdict, Finding, judge
from simulator.facts.observed import RecordError, observe
from stack.errors import StackError
from stack.registry import find_stack

_EXIT_CODES = {FactVerdict.PASS: 0, FactVerdict.FAIL: 1, FactVerdict.CANNOT_TELL: 3}


def list_days() -> int:
    for name in day_names():
        day = find_day(name).day
        sys.stdout.write(f"{name:<20} {day.title}: {day.shows}\n")
    return 0


@dataclass(frozen=True, slots=True)
class Live:
    """How a day is traded on a running platform. ``until``: HH:MM; None: to its end."""

    speed: float
    until: str | None
    stack_id: str | None


def run_day(name: str, *, seed: int, out: Path | None, plots: bool, json: bool, live: Live | None = None) -> int:
    """0; 1 when the books do not balance, 2 for a day that cannot be run, 4 when a live market could not keep up."""
    report: LiveReport | None = None
    try:
        loaded = find_day(name)
        folder = out or runs_root(os.environ) / f"market-{loaded.name}-{seed}"
        began = perf_counter()
        if live is None:
            simulation = Simulation(loaded.day, seed, folder)
            books = simulation.run()
        else:
            simulation, books, report = _trade(loaded, seed, folder, live)
    except (DayError, MarketplaceError, StackError, OSError, ValueError) as error:
        sys.stderr.writelines(f"elson: {line}\n" for line in str(error).splitlines())
        return 2
    summary = summarize(loaded.name, simulation, books)
    if report is not None:
        summary["live"] = report.document()
    write_summary(folder, summary)
    took_s = perf_counter() - began
    if plots:
        write_plots(folder)
    if json:
        sys.stdout.write(json_module.dumps({**summary, "record": str(folder), "seconds": took_s}) + "\n")
    else:
        _print_day(summary, books, folder, took_s)
    if report is not None and not report.kept_up:
        sys.stderr.write("elson: INVALID: the market could not keep its schedule\n")
        return 4
    return 0 if books.balance else 1


def _trade(loaded: LoadedDay, seed: int, folder: Path, live: Live) -> tuple[Simulation, Books, LiveReport]:
    """Raises DayError, StackError, OSError, and ValueError for a time that is none."""
    status = find_stack(live.stack_id)
    check_symbols(loaded, {instrument.symbol for instrument in status.instruments})
    until_ns = None if live.until is None else TypeAdapter(Moment).validate_python(live.until)
    sessions = loaded.day.sessions
    if until_ns is not None and not sessions.first_ns < until_ns <= sessions.close:
        raise ValueError(f"--until: {live.until} is outside the day's sessions")
    simulation = Simulation(loaded.day, seed, folder)
    report = uvloop.run(trade_live(simulation, status, folder, speed=live.speed, until_ns=until_ns))
    return simulation, simulation.close(), report


def judge_runs(names: Sequence[str], *, json: bool) -> int:
    """Of records, by path or by name in the folder of runs: 0 when every fact passes, 1 when one fails, 3 when some
    cannot be told, 2 for what is no record, or for runs that are not of one day and each of a seed."""
    findings: dict[str, list[Finding]] = {}
    try:
        runs = [(folder, read_summary(folder)) for folder in map(_record, names)]
        if (trouble := _not_independent(runs)) is not None:
            sys.stderr.write(f"elson: {trouble}\n")
            return 2
        symbols = sorted({symbol for _, summary in runs for symbol in summary["symbols"]})
        for symbol in symbols:
            observed = [
                observe(folder, symbol, tick_micros=int(summary["symbols"][symbol]["tick_micros"]))
                for folder, summary in runs
                if symbol in summary["symbols"]
            ]
            findings[symbol] = judge(observed, symbols=len(symbols))
    except (RecordError, OSError, ValueError, KeyError) as error:
        sys.stderr.write(f"elson: no record of a day: {error}\n")
        return 2
    if json:
        sys.stdout.write(
            json_module.dumps({symbol: list(map(_document, each)) for symbol, each in findings.items()}) + "\n"
        )
    else:
        for symbol, each in findings.items():
            _print_findings(f"{symbol}, {len(runs)} run{'s'[: len(runs) > 1]}", each)
    worst = max((finding.verdict for each in findings.values() for finding in each), key=_badness)
    return _EXIT_CODES[worst]


def _not_independent(runs: Sequence[tuple[Path, dict[str, Any]]]) -> str | None:
    """Why they cannot be judged together."""
    (first, market), *_ = runs
    seen: dict[int, Path] = {}
    for folder, summary in runs:
        if summary["day"] != market["day"]:
            return f"{first} is of the day {market['day']}, and {folder} of {summary['day']}: judge each day alone"
        if (same := seen.setdefault(summary["seed"], folder)) is not folder:
            return f"{same} and {folder} are both of seed {summary['seed']}: they are one run and not two"
    return None


def _record(name: str) -> Path:
    folder = runs_root(os.environ) / name
    return folder if folder.is_dir() else Path(name)


def _badness(verdict: FactVerdict) -> int:
    return [FactVerdict.PASS, FactVerdict.CANNOT_TELL, FactVerdict.FAIL].index(verdict)


def _document(finding: Finding) -> dict[str, Any]:
    """What is not known, or has no end, is null."""
    return {
        "fact": finding.fact.name,
        "measure": finding.fact.measure,
        "value": _known(finding.estimate.value),
        "interval": [_known(end) for end in finding.interval],
        "range": [_known(finding.fact.low), _known(finding.fact.high)],
        "verdict": finding.verdict,
    }


def _known(value: float) -> float | None:
    return value if isfinite(value) else None


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
            _number(finding.estimate.value),
            f"{_number(low)} .. {_number(high)}",
            f"{_number(fact.low, 2)} .. {_number(fact.high, 2)}",
            f"[{colours[finding.verdict]}]{finding.verdict}[/]",
        )
    Console(highlight=False, width=None if sys.stdout.isatty() else 140).print(table)


def _number(value: float, digits: int = 3) -> str:
    return f"{value:.{digits}f}" if isfinite(value) else ""


def _live_lines(live: dict[str, Any] | None) -> list[str]:
    if live is None:
        return []
    fills, lag = live["fills"], live["lag_ms"]
    return [
        f"live: {live['requests_sent']:,} requests, {live['requests_unsent']:,} more never sent, "
        f"{live['refused']:,} refused, {live['unknown']:,} unknown; "
        f"lag of the slowest hundredth {lag['p99']:.1f} ms",
        *(
            f"live: {found['alike']:.1%} of {found['orders']:,} orders filled {when} as in the simulation, "
            f"distance {found['distance']:.3f}, of the distributions {found['distribution_distance']:.3f}"
            for when, found in (("on arrival", fills["on_arrival"]), ("by the end", fills["at_the_end"]))
        ),
        *(f"live: {_gap_line(gap)}" for gap in live["gaps"]),
    ]


def _gap_line(gap: dict[str, Any]) -> str:
    changes = gap["book_changes"]
    known = "the feed did not catch up" if changes is None else f"the feed told of {changes:,} changes of the books"
    orders = f"{gap['forgotten_orders']:,} orders were gone, {gap['found_orders']:,} open whose answer was lost"
    return f"the platform was away for {gap['seconds']:.1f} s; {known}, {orders}"


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
        *_live_lines(summary.get("live")),
        f"record: {folder}",
    ]
    sys.stdout.writelines(f"{line}\n" for line in lines)
