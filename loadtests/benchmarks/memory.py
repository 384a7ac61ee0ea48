"""How much memory do schedule and recorder take, and does it grow with the run?

Draws a schedule, turns every operation into a row as the generator does and streams the rows to Parquet, in a process
of its own for each size; nothing is sent. ``--operations`` sets the larger size, as 10,000,000 for a run of an hour.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from itertools import islice
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq

from loadtests.intended import ScheduleOptions
from loadtests.recorder import Recorder
from loadtests.rows import row_of
from loadtests.schedule import operations
from loadtests.shares import Share, Turns
from loadtests.target import target_of
from loadtests.tests.runs import status_of
from reports.records import OutcomeKind

GOAL_MB = 300
SMALL = 100_000
_ANSWER = '{"id": "80000000-0000-8000-8000-000000000001", "status": "new", "filled_qty": "0"}'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--operations", type=int, default=1_000_000)
    parser.add_argument("--record", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.record:
        print(_record(arguments.record))
        return
    peaks_mb = {number: _peak_mb(number) for number in (SMALL, arguments.operations)}
    for number, peak_mb in peaks_mb.items():
        print(f"{number:12,} operations {peak_mb:8.1f} MB at most")
    small, large = peaks_mb.values()
    result = {
        "name": f"memory of schedule and recorder, {arguments.operations:,} operations",
        "value": round(large, 1),
        "unit": "MB",
        "goal": GOAL_MB,
        "met": large < GOAL_MB,
        "ratios": {f"{SMALL:,} operations": round(large / small, 3)},
        "rounds": 1,
        "spread": 0.0,
    }
    print(json.dumps(result))


def _peak_mb(number: int) -> float:
    argv = [sys.executable, "-m", "loadtests.benchmarks.memory", "--record", str(number)]
    return float(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)


def _record(number: int) -> float:
    """Peak of this process in MB."""
    target = target_of(status_of(["http://127.0.0.1:1"]))
    options = ScheduleOptions(
        seed=7,
        accounts=len(target.accounts),
        symbols=tuple(target.instruments),
        rate_per_s=5_000,
        duration_s=inf,
    )
    with TemporaryDirectory() as name:
        recorder = Recorder(Path(name), Share())
        turns = Turns(islice(operations(options), number))
        while (operation := turns.take()) is not None:
            turns.begun()
            told = {"sent_ns": operation.offset_ns, "done_ns": operation.offset_ns, "http_status": 200}
            recorder.add(row_of(operation, target, 0, outcome=OutcomeKind.OK, answer=_ANSWER, **told))
        recorder.close()
        rows = pq.read_metadata(Path(name) / "operations-load.parquet").num_rows
        assert rows == number, f"{rows:,} of {number:,} operations are in the record"
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024


if __name__ == "__main__":
    main()
