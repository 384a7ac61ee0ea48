from __future__ import annotations

import asyncio
import time
from itertools import pairwise
from pathlib import Path

import psutil

from reports.records import CONTROL, TableWriter, read_table
from scenarios.noop import probe
from scenarios.sampler import Machine


async def test_the_positive_control_keeps_its_schedule_and_counts_from_it(tmp_path: Path) -> None:
    writer, stop = TableWriter(tmp_path / "control", CONTROL), asyncio.Event()
    probing = asyncio.create_task(probe(writer, stop, every_s=0.01))
    await asyncio.sleep(0.1)
    time.sleep(0.2)  # its process stands still: every probe that was due meanwhile is late by what was left  # noqa: ASYNC251
    await asyncio.sleep(0.1)
    stop.set()
    await probing
    writer.close()
    rows = read_table(tmp_path, "control").to_pylist()
    due = [row["due_ns"] for row in rows]
    assert {later - earlier for earlier, later in pairwise(due)} == {10_000_000}
    late = [row["done_ns"] - row["due_ns"] for row in rows]
    assert max(late) > 150_000_000
    assert sum(by > 50_000_000 for by in late) >= 10
    assert min(late) >= 0


def test_the_machine_is_as_busy_as_what_runs_on_it() -> None:
    machine, own = Machine(), psutil.Process().cpu_times()
    until_s = time.monotonic() + 0.4
    while time.monotonic() < until_s:
        pass
    spent = psutil.Process().cpu_times()
    found = machine.sample()
    ours = 100 * (spent.user - own.user + spent.system - own.system) / 0.4
    assert found["busy_percent"] > ours - 20
    assert abs(found["clock_drift_ms"]) < 100
    assert found["load_average"] >= 0
    assert found["steal_percent"] >= 0
