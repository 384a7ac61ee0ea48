"""A disk that fills up while a run writes its record: the run is INVALID, says why, and keeps what it had."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import count
from multiprocessing import get_context
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

import pytest
from msgspec.structs import replace

from loadtests.recorder import ROWS_PER_BATCH, Recorder
from loadtests.rows import EndedOperation
from loadtests.schedule import operations
from loadtests.shares import Share
from loadtests.target import target_of
from loadtests.tests.runs import status_of
from reports.record import Record
from reports.records import OutcomeKind
from reports.results import Verdict, VerdictKind
from reports.run_folder import merge_left_operations
from scenarios.launch import Outcome, carry_out
from scenarios.library import find_scenario
from scenarios.loader import load_scenario
from scenarios.programs import RunError
from scenarios.progress import Progress
from scenarios.record import RunRecord, load_schedule, run_description
from scenarios.run import Run, RunOptions

DISK_MB = 12
LOADED = load_scenario(find_scenario("smoke"))


def fill(folder: Path, written: Synchronized[int]) -> None:
    """The load's process: records until there is no room, and ends with the error's number."""
    target = target_of(status_of(["http://127.0.0.1:1"]))
    drawn = replace(next(operations(load_schedule(LOADED.scenario, 1))), account=0)
    recorder = Recorder(folder, Share(), target)
    try:
        for number in count():
            operation = replace(drawn, operation_id=number, offset_ns=number)
            answer = os.urandom(2_000).hex().encode()
            recorder.add(EndedOperation(operation, 1 + number, OutcomeKind.OK, answer, sent_ns=1, done_ns=1))
            written.value = number + 1
    except OSError as error:
        os._exit(error.errno or 1)


class _LoadOnly(Run):
    """A run whose load finds no room, and ends: no more than its exit code reaches the runner."""

    written: Synchronized[int]

    async def execute(self) -> Verdict:
        self.record.describe({**run_description(LOADED, 1, (), ("elson", "run", "smoke")), "topology": {}})
        self.record.event("phase", phase="warm_up", state="started")
        spawn = get_context("spawn")
        self.written = spawn.Value("q", 0)
        load = spawn.Process(target=fill, args=(self.record.folder, self.written))
        load.start()
        load.join()
        raise RunError(f"load:1 ended with exit code {load.exitcode}")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    argv = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(folder)]
    if os.getuid() != 0 or subprocess.run(argv, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small file system can only be mounted by root")
    yield folder
    # Beside other tests it was once busy for a moment, with no process left that used it.
    deadline = time.monotonic() + 1.0
    while subprocess.run(["umount", str(folder)], capture_output=True, check=False).returncode:
        assert time.monotonic() < deadline, f"{folder} stays in use"
        time.sleep(0.05)


def test_a_run_that_fills_its_disk_is_invalid_names_the_disk_and_keeps_every_row_it_had_flushed(
    disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ELSON_RUNS", str(disk))
    run = _LoadOnly(LOADED, RunOptions(1, ()), RunRecord.create("smoke"), Progress(sys.stderr))
    outcome: Outcome = carry_out(run)
    run.record.close()
    record = Record(run.record.folder)
    assert outcome.exit_code == 4
    assert outcome.trouble is not None
    ended = f"load:1 ended with exit code {errno.ENOSPC}"
    assert outcome.trouble == f"the disk is full, {record.folder} is incomplete ({ended})"
    verdict = record.verdict()
    assert verdict.verdict is VerdictKind.INVALID
    assert verdict.reasons[0].startswith("the run ended early: the disk is full")
    assert (record.folder / "report.html").stat().st_size > 0
    merge_left_operations(record.folder)
    kept = record.table("operations").column("operation_id").to_pylist()
    # The batch that met the full disk is torn, every one before it is there.
    assert kept == list(range(len(kept)))
    assert 0 <= run.written.value - len(kept) <= ROWS_PER_BATCH
