"""How much memory do schedule and recorder take, and does it grow with the run?

Draws a schedule, turns every operation into a row as the generator does and streams the rows to Parquet as fast as it
can, in a process of its own for each size; nothing is sent. The larger size is an hour at 2,800 operations a second.
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
from time import monotonic

import pyarrow.parquet as pq

from loadtests.intended import ScheduleOptions
from loadtests.recorder import Recorder
from loadtests.rows import EndedOperation
from loadtests.schedule import operations
from loadtests.shares import Share, Turns
from loadtests.target import target_of
from loadtests.tests.runs import status_of
from reports.records import OutcomeKind

GOAL_MB = 300
SMALL = 100_000
_ORDER_ID = "80000000-0000-8000-8000-000000000001"
_ANSWER = f'{{"id": "{_ORDER_ID}", "status": "new", "filled_qty": "0"}}'.encode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--operations", type=int, default=10_000_000)
    parser.add_argument("--record", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.record:
        print(_record(arguments.record))
        return
    peaks_mb = []
    for number in (SMALL, arguments.operations):
        began_s = monotonic()
        peaks_mb.append(_peak_mb(number))
        took_s = monotonic() - began_s
        print(f"{number:12,} operations {peaks_mb[-1]:8.1f} MB at most, {took_s:6.1f} s", flush=True)
    small, large = peaks_mb
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
        recorder = Recorder(Path(name), Share(), target)
        turns = Turns(islice(operations(options), number))
        while (operation := turns.take()) is not None:
            turns.begun()
            at_ns = operation.offset_ns
            ok, endpoint = OutcomeKind.OK, target.apis[0]
            recorder.add(EndedOperation(operation, at_ns, ok, _ANSWER, at_ns, at_ns, 200, _ORDER_ID, endpoint))
        recorder.close()
        rows = pq.read_metadata(Path(name) / "operations-load.parquet").num_rows
        assert rows == number, f"{rows:,} of {number:,} operations are in the record"
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024


if __name__ == "__main__":
    main()
