"""Does a day's memory grow with its length? The same market, four times the reference size, for six hours and for all
but a whole day, each in a process of its own; its record goes to disk. A hundred symbols are measured beside it,
against one.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from time import process_time

from simulator.benchmarks.day import reference_day
from simulator.days.day import Sessions
from simulator.days.simulation import Simulation

GOAL = 1.2
TIMES = 4
SHORT, LONG = "06:00", "23:59"
SYMBOLS = 100


def peak_mb(close: str) -> tuple[float, float]:
    """Of a day that opens at midnight: what it added to the process, and the thousands of requests it carried."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    day = reference_day(times=TIMES)
    sessions = Sessions.model_validate({"open": "00:00", "close": close})
    with tempfile.TemporaryDirectory() as folder:
        simulation = Simulation(day.model_copy(update={"sessions": sessions}), 1, Path(folder))
        assert simulation.run().balance
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return (peak - before) / 1_024, sum(desk.requests for desk in simulation.marketplace.desks) / 1_000


def seconds(symbols: str) -> tuple[float, float]:
    """Of an hour of the reference day in that many symbols."""
    sessions = Sessions.model_validate({"open": "09:30", "close": "10:30"})
    day = reference_day(symbols=int(symbols)).model_copy(update={"sessions": sessions})
    with tempfile.TemporaryDirectory() as folder:
        began = process_time()
        simulation = Simulation(day, 1, Path(folder))
        assert simulation.run().balance
        took = process_time() - began
    return took, sum(desk.requests for desk in simulation.marketplace.desks) / 1_000


def alone(what: str, argument: str) -> tuple[float, float]:
    """The measure taken in a fresh process."""
    command = (sys.executable, "-m", "simulator.benchmarks.memory", what, argument)
    value, thousands = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return float(value), float(thousands)


def main() -> None:
    if len(sys.argv) == 3:
        print(json.dumps({"peak": peak_mb, "seconds": seconds}[sys.argv[1]](sys.argv[2])))
        return
    alone("seconds", "1")  # pyarrow imports pandas with its first table, from a cold disk
    peaks = {}
    for close in (SHORT, LONG):
        peaks[close], thousands = alone("peak", close)
        print(f"to {close}: {peaks[close]:.0f} MB beyond the programs, {thousands:,.0f} thousand requests")
        sys.stdout.flush()
    one, one_thousands = alone("seconds", "1")
    many, many_thousands = alone("seconds", str(SYMBOLS))
    wide = (many / many_thousands) / (one / one_thousands)
    print(f"{SYMBOLS} symbols: {many / one:.0f} x the time of one, {wide:.2f} x for each request (goal {GOAL})")
    growth = peaks[LONG] / peaks[SHORT]
    result = {
        "name": "memory of a day four times as long",
        "value": round(growth, 2),
        "unit": f"x the memory of {SHORT}",
        "goal": GOAL,
        "met": growth <= GOAL and wide <= GOAL,
        "ratios": {f"{SYMBOLS} symbols to one, each request": round(wide, 2)},
        "rounds": 1,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
