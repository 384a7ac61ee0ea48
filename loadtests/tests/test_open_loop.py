"""The open loop, whole runs in a process of their own against a real server that misbehaves."""

from __future__ import annotations

import asyncio
import json
import resource
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from time import sleep, time_ns
from typing import Any

import pandas as pd
import pytest

from loadtests.command import LoadOptions, announced_start
from loadtests.flows import PROFILES
from loadtests.intended import IntendedOperation, ScheduleOptions
from loadtests.schedule import operations, schedule_digest
from loadtests.tests.order_server import OrderServer, Reply, Request, accept
from loadtests.tests.runs import ACCOUNTS, load_options, run, start
from reports.records import read_table
from trading.core.orders import NS_PER_S

STALL_S = 2.0


def test_every_intended_operation_ends_in_exactly_one_row_with_what_was_answered(tmp_path: Path) -> None:
    with OrderServer() as one, OrderServer() as two:
        options = load_options(tmp_path, [one.url, two.url])
        rows = run(options).to_pandas().sort_values("operation_id")
        requests = one.requests + two.requests
    intended = schedule_of(rate_per_s=100, duration_s=3)
    announced = json.loads((options.record / "load.json").read_bytes())
    assert announced["schedule_digest"] == schedule_digest(intended).sha256
    assert announced_start(options.record) == rows.intended_ns.iloc[0] - intended[0].offset_ns
    assert rows.operation_id.tolist() == [operation.operation_id for operation in intended]
    assert rows.kind.tolist() == [operation.kind for operation in intended]
    assert (rows.intended_ns - rows.intended_ns.iloc[0]).tolist() == [
        o.offset_ns - intended[0].offset_ns for o in intended
    ]
    assert set(rows.outcome) == {"ok"}
    placed = rows[rows.kind == "place"]
    assert (placed.order_id == "id-of-" + placed.client_order_id).all()
    assert set(placed.endpoint) == {one.url, two.url}
    sent = {request.client_order_id: int(request.shares) for request in requests if request.method == "POST"}
    assert {name: shares * 10**6 for name, shares in sent.items()} == dict(
        zip(placed.client_order_id, placed.quantity, strict=True)
    )
    canceled = {request.path for request in requests if request.method == "DELETE"}
    assert canceled == {f"/v2/orders/id-of-{name}" for name in rows[rows.kind == "cancel"].client_order_id}


def test_cancels_and_replacements_hit_live_orders_whatever_became_of_those_they_were_drawn_for(tmp_path: Path) -> None:
    """Half of the orders are filled at once: the schedule, which cannot know, means to cancel many of them.

    A replacement is on the side of the order it replaced, also when that had itself replaced another than was drawn.
    """
    sides: dict[str, str] = {}

    async def fill_every_other(request: Request) -> Reply:
        status, body = await accept(request) or (500, b"")
        if request.method in ("POST", "PATCH"):
            target = request.path.rpartition("/")[2]
            side = sides[target] if request.method == "PATCH" else json.loads(request.body)["side"]
            sides[f"id-of-{request.client_order_id}"] = side
        filled = request.method == "POST" and int(request.client_order_id.rpartition("-")[2]) % 2
        return status, body.replace(b'"new"', b'"filled"') if filled else body

    with OrderServer(fill_every_other) as server:
        options = load_options(tmp_path, [server.url], rate_per_s=250, duration_s=4)
        rows = run(replace(options, profile=options.profile.with_name("mixed.py"))).to_pandas()
        requests = server.requests
    intended = schedule_of(rate_per_s=250, duration_s=4, mix=PROFILES["mixed"].mix)
    placed = rows[rows.kind == "place"]
    filled = set(placed[placed.operation_id % 2 == 1].order_id)
    aimed_at = [r.path.rpartition("/")[2] for r in requests if r.method in ("DELETE", "PATCH")]
    names = {f"id-of-{o.replaces or o.client_order_id}" for o in intended if o.kind in ("cancel", "replace")}
    assert len(filled & names) > 30
    assert len(aimed_at) > 100
    assert len(set(aimed_at)) == len(aimed_at)
    # While the answer to a placement is under way its fate is not known yet.
    assert len(filled & set(aimed_at)) <= 3
    replaced = rows[rows.kind == "replace"]
    assert set(replaced.outcome) == {"ok"}
    assert (replaced.order_id == "id-of-" + replaced.client_order_id).all()
    assert replaced.limit_price_micros.notna().all()
    assert replaced.side.tolist() == [sides[order_id] for order_id in replaced.order_id]


def test_a_stalled_server_delays_every_arrival_of_the_stall_and_not_one_later_request(tmp_path: Path) -> None:
    received_ns: list[int] = []

    async def stall(request: Request) -> Reply:
        received_ns.append(now_ns := time_ns())
        began_ns, ended_ns = stall_of(options)
        if began_ns <= now_ns < ended_ns:
            await asyncio.sleep((ended_ns - now_ns) / NS_PER_S)
        return await accept(request)

    with OrderServer(stall) as server:
        options = load_options(tmp_path, [server.url], duration_s=4.0)
        rows = run(options).to_pandas()
    stall_began, stall_ended = stall_of(options)
    in_stall = rows[rows.intended_ns.between(stall_began, stall_ended)]
    # Nothing was answered during the stall, and yet its requests came in: a closed loop would have sent four.
    came_in = sum(stall_began <= moment < stall_ended for moment in received_ns)
    assert came_in >= 0.8 * len(in_stall)
    response_s = (in_stall.done_ns - in_stall.intended_ns) / NS_PER_S
    must_wait_s = (stall_ended - in_stall.intended_ns) / NS_PER_S
    # time.sleep may wake a clock tick early; a request sent within the stall cannot be answered before its end.
    assert (response_s >= must_wait_s - 0.02).mean() > 0.99
    assert response_s.mean() == pytest.approx(must_wait_s.mean(), rel=0.25)
    assert response_s.quantile(0.99) == pytest.approx(STALL_S, rel=0.25)


def test_a_cut_connection_is_unknown_and_its_request_is_never_repeated(tmp_path: Path) -> None:
    async def cut_every_third(request: Request) -> Reply:
        return None if len(server.requests) % 3 == 0 else await accept(request)

    with OrderServer(cut_every_third) as server:
        rows = run(load_options(tmp_path, [server.url])).to_pandas()
        requests = server.requests
    assert rows.operation_id.is_unique
    unknown = rows[rows.outcome == "unknown"]
    assert set(unknown.kind) >= {"place", "cancel"}
    assert unknown.http_status.isna().all()
    assert unknown.done_ns.isna().all()
    assert unknown.sent_ns.notna().all()
    seen = Counter((r.method, r.path, r.body) for r in requests if r.method in ("POST", "DELETE"))
    assert max(seen.values()) == 1
    may_have_read = rows.kind.isin(["read", "lookup", "cancel"]).sum()
    assert sum(request.method == "GET" for request in requests) <= may_have_read


def test_an_answer_means_what_its_status_says(tmp_path: Path) -> None:
    outcomes = {
        (401, b'{"code": 40110000, "message": "access key verification failed"}'): "fail",
        (403, b'{"code": 40310000, "message": "insufficient buying power"}'): "fail",
        (422, b'{"code": 42210000, "message": "not on the grid"}'): "fail",
        (429, b'{"code": 42910000, "message": "too many requests"}'): "fail",
        (503, b'{"code": 50310000, "message": "overloaded"}'): "fail",
        (504, b'{"code": 50410000, "message": "outcome unknown"}'): "unknown",
        (500, b"oops"): "unknown",
        (200, b"not json"): "unknown",
    }

    async def one_after_another(_: Request) -> Reply:
        return list(outcomes)[len(server.requests) % len(outcomes)]

    with OrderServer(one_after_another) as server:
        rows = run(load_options(tmp_path, [server.url], rate_per_s=200, duration_s=0.9)).to_pandas()
    answered = set(zip(rows.http_status.astype(int), rows.answer.str.encode("utf-8"), rows.outcome, strict=True))
    assert answered == {(*reply, outcome) for reply, outcome in outcomes.items()}


def test_operations_beyond_the_limit_in_flight_are_recorded_as_never_sent(tmp_path: Path) -> None:
    async def slow(request: Request) -> Reply:
        await asyncio.sleep(1.0)
        return await accept(request)

    with OrderServer(slow) as server:
        options = replace(load_options(tmp_path, [server.url], duration_s=2.0), max_in_flight=8)
        rows = run(options).to_pandas()
        requests = server.requests
    never_sent = rows[rows.sent_ns.isna()]
    assert len(never_sent) > 100
    assert set(never_sent.answer) == {"generator full"}
    assert set(never_sent.outcome) == {"fail"}
    assert rows.operation_id.is_unique
    assert _most_at_once(rows[rows.sent_ns.notna()]) <= 8
    assert (
        len({r.client_order_id for r in requests if r.method == "POST"})
        == ((rows.kind == "place") & rows.sent_ns.notna()).sum()
    )


def test_nobody_listening_is_a_failure_of_which_nothing_was_sent(tmp_path: Path) -> None:
    with OrderServer() as gone:
        url = gone.url
    rows = run(load_options(tmp_path, [url], rate_per_s=50, duration_s=0.5)).to_pandas()
    assert set(rows.outcome) == {"fail"}
    assert set(rows.answer) == {"connection refused"}


@pytest.mark.parametrize("stopped_by", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_run_leaves_a_finished_record_in_which_operations_under_way_are_unknown(
    tmp_path: Path, stopped_by: signal.Signals
) -> None:
    async def never(_: Request) -> Reply:
        await asyncio.sleep(60)
        return None

    with OrderServer(never) as server:
        process = start(options := load_options(tmp_path, [server.url], duration_s=60.0))
        while len(server.requests) < 20:
            assert process.poll() is None
            sleep(0.05)
        process.send_signal(stopped_by)
        process.communicate(timeout=20)
        received = len(server.requests)
    assert process.returncode == 0
    assert (options.record / "operations-load.parquet").exists()
    rows = read_table(options.record, "operations-load").to_pandas()
    assert set(rows.outcome) == {"unknown"}
    assert len(rows) >= received >= 20


def test_a_record_that_cannot_be_begun_is_an_error(tmp_path: Path) -> None:
    options = load_options(tmp_path, ["http://127.0.0.1:1"])
    options.record.mkdir()
    (options.record / "operations-load.arrows.partial").symlink_to("/dev/full")
    process = start(options)
    output, _ = process.communicate(timeout=25)
    assert process.returncode == 1
    assert "load: no record can be written: [Errno 28] No space left on device" in output


def test_a_record_that_cannot_go_on_ends_the_run_with_an_error_instead_of_a_shorter_record(tmp_path: Path) -> None:
    with OrderServer() as server:
        options = load_options(tmp_path, [server.url], rate_per_s=200, duration_s=60)
        process = start(options)
        while announced_start(options.record) is None:
            assert process.poll() is None
            sleep(0.05)
        # From here on it fails like a full disk: no file may grow beyond this.
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (200_000, 200_000))
        output, _ = process.communicate(timeout=25)
    assert process.returncode == 1
    assert "load: ended early: [Errno 27] File too large" in output
    assert not (options.record / "operations-load.parquet").exists()
    assert 0 < read_table(options.record, "operations-load").num_rows < 60 * 200


@pytest.mark.parametrize("content", ["{", '{"stack_id": 1}', None])
def test_a_status_file_that_cannot_be_read_is_wrong_usage_told_in_one_line(tmp_path: Path, content: str | None) -> None:
    options = load_options(tmp_path, ["http://127.0.0.1:1"])
    options.status.unlink()
    if content is not None:
        options.status.write_text(content)
    process = start(options)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 2
    complaint = [line for line in output.splitlines() if line.startswith("load: ")]
    assert len(complaint) == 1
    assert str(options.status) in complaint[0]
    assert "Traceback" not in output


def test_what_a_scenario_imports_leaves_its_process_unpatched() -> None:
    program = (
        "import sys, loadtests.command, loadtests.schedule, loadtests.subscriber, loadtests.target\n"
        "assert not {'locust', 'gevent'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def schedule_of(**terms: Any) -> list[IntendedOperation]:
    return list(operations(ScheduleOptions(seed=7, accounts=ACCOUNTS, symbols=("AAA", "BBB"), **terms)))


def stall_of(options: LoadOptions) -> tuple[int, int]:
    """When the server stalls: from one second into the schedule."""
    start_ns = announced_start(options.record)
    assert start_ns is not None
    return start_ns + NS_PER_S, start_ns + round((1 + STALL_S) * NS_PER_S)


def _most_at_once(rows: pd.DataFrame) -> int:
    changes = [(moment, 1) for moment in rows.sent_ns] + [(moment, -1) for moment in rows.done_ns]
    now = most = 0
    for _, change in sorted(changes):
        now += change
        most = max(most, now)
    return most
