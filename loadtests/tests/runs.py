"""Whole measured runs of the profile, in a process of their own, against servers of the test."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from loadtests.command import LoadOptions, locust_command
from reports.records import read_table
from stack.status import AccountStatus, InstrumentStatus, StackStatus

ACCOUNTS = 4


def status_of(urls: Sequence[str], feeds: Sequence[str] = ()) -> StackStatus:
    return StackStatus(
        stack_id="test",
        owner_pid=1,
        folder="",
        control="",
        toxiproxy="",
        nodes=[],
        links=[],
        endpoints={"api": list(urls), "feed": list(feeds)},
        accounts=[
            AccountStatus(account_id=n, name=f"trader-{n}", key_id=f"key-{n}", secret_key="s")
            for n in range(1, ACCOUNTS + 1)
        ],
        instruments=[
            InstrumentStatus(symbol=symbol, tick_micros=10_000, reference_price_micros=100_000_000)
            for symbol in ("AAA", "BBB")
        ],
    )


def write_status(folder: Path, urls: Sequence[str], feeds: Sequence[str] = ()) -> Path:
    path = folder / "status.json"
    path.write_text(status_of(urls, feeds).model_dump_json(by_alias=True))
    return path


def load_options(
    folder: Path, urls: Sequence[str], *, rate_per_s: float = 100.0, duration_s: float = 3.0
) -> LoadOptions:
    return LoadOptions(
        status=write_status(folder, urls),
        record=folder / "record",
        seed=7,
        rate_per_s=rate_per_s,
        duration_s=duration_s,
        traders=ACCOUNTS,
    )


def start(options: LoadOptions) -> subprocess.Popen[str]:
    argv, environment = locust_command(options, os.environ)
    return subprocess.Popen(
        argv, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def run(options: LoadOptions) -> pa.Table:
    """The record of a run that ended by itself."""
    process = start(options)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    return read_table(options.record, "operations-load")
