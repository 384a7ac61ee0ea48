"""Runs every benchmark of the checkout, one after another, and prints one table of what each measured."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

LIMIT_S: Final = 600.0
_CHECKOUT: Final = Path(__file__).resolve().parent.parent
_PATTERNS: Final = ("*/benchmarks/*.py", "*/*/benchmarks/*.py")
_LAST_LINES: Final = 5
_PLAIN_WIDTH: Final = 160  # of a log, where nothing tells how wide it is


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """The last line of a benchmark. ``ratios``: the value against each peer or limit measured in the same run."""

    name: str
    value: float
    unit: str
    goal: float | None = None
    met: bool | None = None
    ratios: dict[str, float] = msgspec.field(default_factory=dict)
    rounds: int | None = None
    spread: Any = None


@dataclass(frozen=True, slots=True)
class Run:
    """One benchmark's run: its measurement, or what went wrong."""

    script: Path
    seconds: float
    measurement: Measurement | None
    problem: str = ""


def find_benchmarks(root: Path) -> list[Path]:
    """Scripts in ``benchmarks`` folders that can be run: what has no __main__ guard is shared by them."""
    scripts = {path for pattern in _PATTERNS for path in root.glob(pattern) if not _hidden(path.relative_to(root))}
    return sorted(path for path in scripts if "__main__" in path.read_text(encoding="utf-8"))


def run_benchmark(script: Path, *, limit_s: float = LIMIT_S) -> Run:
    """Runs it to its end or its time limit. A goal that is missed is no problem; a crash is."""
    started = time.monotonic()
    try:
        done = subprocess.run(
            [sys.executable, str(script)], capture_output=True, text=True, timeout=limit_s, check=False, cwd=_CHECKOUT
        )
    except subprocess.TimeoutExpired:
        return Run(script, limit_s, None, f"not done after {limit_s:g} s")
    seconds = time.monotonic() - started
    if done.returncode:
        return Run(script, seconds, None, f"ended with {done.returncode}: {_tail(done.stderr or done.stdout)}")
    try:
        return Run(script, seconds, read_measurement(done.stdout))
    except (msgspec.MsgspecError, ValueError) as error:
        return Run(script, seconds, None, f"its last line is no measurement: {error}")


def read_measurement(output: str) -> Measurement:
    """Raises ValueError or msgspec.MsgspecError when the last line is not one."""
    lines = output.strip().splitlines()
    if not lines:
        raise ValueError("it printed nothing")
    return msgspec.convert(json.loads(lines[-1]), Measurement)


def table_of(runs: list[Run]) -> Table:
    table = Table("benchmark", "value", "goal", "", "against", "spread", "took", box=None, pad_edge=False)
    for run in runs:
        found = run.measurement
        took = f"{run.seconds:.0f} s"
        if found is None:
            table.add_row(run.script.stem, "-", "-", Text("failed", "red"), Text(run.problem), "", took)
            continue
        table.add_row(
            Text(found.name),
            f"{_short(found.value)} {found.unit}",
            "-" if found.goal is None else _short(found.goal),
            _met(found.met),
            ", ".join(f"{ratio:.2f} x {peer}" for peer, ratio in found.ratios.items()),
            _spread(found.spread),
            took,
        )
    return table


def main(root: Path = _CHECKOUT) -> int:
    """Exit code 1 when a benchmark crashed, ran out of time or printed no measurement."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _PLAIN_WIDTH)
    runs = []
    for script in find_benchmarks(root):
        console.print(Text(f"running {script.relative_to(root)}"), soft_wrap=True)
        runs.append(run_benchmark(script))
    if not runs:
        console.print("no benchmark found")
        return 0
    console.print(table_of(runs))
    return 1 if any(run.measurement is None for run in runs) else 0


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _tail(text: str) -> str:
    return " / ".join(text.strip().splitlines()[-_LAST_LINES:])


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _spread(spread: Any) -> str:
    return _short(spread) if isinstance(spread, int | float) else "" if spread is None else str(spread)


def _met(met: bool | None) -> Text:
    if met is None:
        return Text("")
    return Text("met", "green") if met else Text("missed", "yellow")


if __name__ == "__main__":
    sys.exit(main())
