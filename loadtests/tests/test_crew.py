"""Master and workers: shares without overlap, a killed worker is noticed and its share accounted for."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import sleep, time_ns

import pandas as pd
import pytest

from loadtests.command import Crewed, LoadOptions, announced_start, locust_command
from loadtests.intended import ScheduleOptions
from loadtests.lost import complete_lost_shares
from loadtests.schedule import operations
from loadtests.target import read_target
from loadtests.tests.order_server import OrderServer
from loadtests.tests.runs import ACCOUNTS, load_options
from loadtests.workers import Worker, crew_report
from reports.records import WORKER_LOST
from reports.run_folder import merge_operations

WORKERS, VICTIM = 2, "worker-0"
SLOW_TO_COME_UP = """
from time import sleep, time_ns

import locust
from locust.runners import WorkerRunner

from loadtests.profiles.trading_day import Trader


@locust.events.test_start.add_listener
def come_up(environment, **_):
    if isinstance(environment.runner, WorkerRunner):  # a second after the schedule has begun
        sleep(max(0.0, (environment.parsed_options.elson_start_at_ns - time_ns()) / 1e9 + 1.0))
"""


def test_two_workers_offer_the_whole_schedule_once_between_them(tmp_path: Path) -> None:
    with OrderServer() as server:
        options = load_options(tmp_path, [server.url])
        with crew(options) as (master, *workers):
            output, _ = master.communicate(timeout=60)
            assert master.returncode == 0, output
            assert [worker.wait(timeout=20) for worker in workers] == [0, 0]
    rows = merged(options.record)
    intended = list(operations(schedule_options(options)))
    assert rows.operation_id.tolist() == [operation.operation_id for operation in intended]
    start_ns = announced_start(options.record)
    assert rows.intended_ns.tolist() == [(start_ns or 0) + operation.offset_ns for operation in intended]
    assert set(rows.outcome) == {"ok"}
    assert len(list(options.record.glob("operations-load-*.parquet"))) == WORKERS
    report = crew_report(options.record)
    assert [worker["state"] for worker in report] == ["over"] * WORKERS
    for worker in report:  # on one machine the clocks are one: what is measured must say so
        assert abs(worker["clock_offset_ns"]) <= worker["clock_error_ns"] < 50_000_000


def test_a_worker_that_comes_up_late_is_late_by_the_masters_start_and_offers_its_backlog_at_once(
    tmp_path: Path,
) -> None:
    with OrderServer() as server:
        options = load_options(tmp_path, [server.url], duration_s=4.0)
        options = replace(options, profile=tmp_path / "slow_to_come_up.py")
        options.profile.write_text(SLOW_TO_COME_UP)
        with crew(options) as (master, *workers):
            output, _ = master.communicate(timeout=60)
            assert master.returncode == 0, output
            assert [worker.wait(timeout=20) for worker in workers] == [0, 0]
    rows = merged(options.record)
    start_ns = announced_start(options.record) or 0
    intended = [start_ns + operation.offset_ns for operation in operations(schedule_options(options))]
    assert rows.intended_ns.tolist() == intended
    assert rows.sent_ns.min() >= start_ns + 10**9
    backlog = rows[rows.intended_ns < start_ns + 10**9]
    assert len(backlog) > 50
    assert backlog.sent_ns.max() < rows.sent_ns.min() + 10**9
    later = rows[rows.intended_ns > start_ns + 2 * 10**9]
    assert (later.sent_ns - later.intended_ns).median() < 10**9 / 4


def test_a_killed_worker_is_noticed_and_every_operation_of_its_share_gets_a_row(tmp_path: Path) -> None:
    with OrderServer() as server:
        options = load_options(tmp_path, [server.url], duration_s=9.0)
        with crew(options) as (master, victim, survivor):
            while (start_ns := announced_start(options.record)) is None or time_ns() < start_ns + 3 * 10**9:
                assert master.poll() is None
                sleep(0.05)
            victim.send_signal(signal.SIGKILL)
            killed_ns = time_ns()
            output, _ = master.communicate(timeout=60)
            assert master.returncode == 0, output
            assert survivor.wait(timeout=20) == 0
        assert f"load: {VICTIM} was lost" in output
        sent = {request.client_order_id for request in server.requests if request.method == "POST"}
    (lost,) = complete_lost_shares(options.record, schedule_options(options), read_target(options.status))
    assert lost.node == VICTIM
    assert killed_ns < lost.at_ns < killed_ns + 8 * 10**9
    assert min(lost.recorded, lost.unclear, lost.not_offered) > 0
    rows = merged(options.record)
    assert rows.operation_id.tolist() == [one.operation_id for one in operations(schedule_options(options))]
    of_the_lost = rows[rows.answer.str.startswith(WORKER_LOST)]
    assert of_the_lost.outcome.value_counts().to_dict() == {"unknown": lost.unclear, "fail": lost.not_offered}
    # Whatever reached the server is told of, and what is said never to have been offered never did.
    told = rows[(rows.outcome == "ok") | (rows.outcome == "unknown")]
    assert sent <= set(told.client_order_id)
    assert not sent & set(rows[(rows.outcome == "fail") & (rows.kind == "place")].client_order_id)


@pytest.mark.parametrize("offset_ns", [-5_000_000, 0, 70_000_000])
def test_the_quickest_exchange_tells_how_far_apart_two_clocks_are(offset_ns: int) -> None:
    worker = Worker(1)
    for out_ns, back_ns in ((900_000, 100_000), (60_000, 40_000), (100_000, 2_000_000)):
        asked_ns = 10**18
        worker.tell(asked_ns, asked_ns + out_ns + offset_ns, asked_ns + out_ns + back_ns)
    assert worker.clock_error_ns == 50_000
    assert worker.clock_offset_ns is not None
    assert abs(worker.clock_offset_ns - offset_ns) <= worker.clock_error_ns


def schedule_options(options: LoadOptions) -> ScheduleOptions:
    return ScheduleOptions(
        seed=options.seed,
        accounts=ACCOUNTS,
        symbols=("AAA", "BBB"),
        rate_per_s=options.rate_per_s,
        duration_s=options.duration_s,
    )


def merged(record: Path) -> pd.DataFrame:
    merge_operations(record)
    return pd.read_parquet(record / "operations.parquet").sort_values("operation_id")


@contextmanager
def crew(options: LoadOptions) -> Iterator[list[subprocess.Popen[str]]]:
    """The master, then its workers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    parts = [Crewed(port, workers=WORKERS), *(Crewed(port, node=f"worker-{n}") for n in range(WORKERS))]
    processes = [_start(*locust_command(options, os.environ, part)) for part in parts]
    try:
        yield processes
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
            process.communicate()


def _start(argv: list[str], environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        argv, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
