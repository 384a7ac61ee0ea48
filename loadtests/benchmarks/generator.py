"""What do schedule and recorder take of what a bare Locust FastHttpUser reaches per core?

All post the same order to the same server in this process, which only answers. A figure is what the server received
per second of the generator's own CPU time, so neither the server nor others on the machine count. The bare user posts
again as soon as it is answered, and so does the one that takes each operation from the schedule and records it: the
difference is what the two cost. Beside them the whole generator, which also starts a greenlet for every operation at
its time, knows its traders' orders, and waits between two operations instead of finding the next one ready.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import monotonic, sleep

import psutil

from loadtests.command import LoadOptions, locust_command
from loadtests.tests.order_server import OrderServer, Reply, Request
from loadtests.tests.runs import ACCOUNTS, write_status

GOAL_PERCENT = 10.0
ROUNDS = 7
WINDOW_S = 2.5
RATE_PER_S = 1_500  # of the open loop
START_LIMIT_S = 30.0
PEER, RECORDED, OPEN_LOOP = "bare FastHttpUser", "with schedule and recorder", "open loop"

OURS_LOCUSTFILE = """
import locust
from loadtests.flows import Profile
from loadtests.generator import Generator, add_arguments
from loadtests.intended import Mix
from loadtests.traders import TraderUser

class Trader(TraderUser):
    pass

ORDERS_ONLY = Profile(Mix(passive=1.0))
locust.events.init_command_line_parser.add_listener(add_arguments)
locust.events.init.add_listener(lambda environment, **_: Generator(environment, Trader, ORDERS_ONLY))
"""

PEER_LOCUSTFILE = """
from locust import FastHttpUser, task

ORDER = {"symbol": "AAA", "qty": "7", "side": "buy", "type": "limit", "time_in_force": "day",
         "client_order_id": "load-7-12345", "limit_price": "99.93"}
HEADERS = {"APCA-API-KEY-ID": "key-1", "APCA-API-SECRET-KEY": "s"}

class Poster(FastHttpUser):
    @task
    def post(self):
        self.client.post("/v2/orders", json=ORDER, headers=HEADERS)
"""

RECORDED_LOCUSTFILE = (
    PEER_LOCUSTFILE
    + """
from math import inf
from pathlib import Path
from time import time_ns
from loadtests.intended import ScheduleOptions
from loadtests.recorder import Recorder
from loadtests.rows import row_of
from loadtests.schedule import operations
from loadtests.shares import Share, Turns
from loadtests.target import read_target

FOLDER = Path({folder!r})
TARGET = read_target(FOLDER / "status.json")
SCHEDULE = ScheduleOptions(7, len(TARGET.accounts), tuple(TARGET.instruments), rate_per_s=5000, duration_s=inf)
TURNS, RECORDER = Turns(operations(SCHEDULE)), Recorder(FOLDER / "recorded", Share())

class Poster(FastHttpUser):
    @task
    def post(self):
        operation = TURNS.take()
        TURNS.begun()
        sent_ns = time_ns()
        answer = self.client.post("/v2/orders", json=ORDER, headers=HEADERS)
        RECORDER.add(row_of(operation, TARGET, 0, outcome="ok", sent_ns=sent_ns, done_ns=time_ns(), http_status=200,
                            order_id={order_id!r}, endpoint=self.host, answer=answer.content.decode()))
"""
)
ORDER_ID = "80000000-0000-8000-8000-000000000001"


def main() -> None:
    with TemporaryDirectory() as name, OrderServer(_accept) as server:
        folder = Path(name)
        recorded = RECORDED_LOCUSTFILE.replace("{folder!r}", repr(name)).replace("{order_id!r}", repr(ORDER_ID))
        contenders = {
            OPEN_LOOP: _open_loop(folder, server.url),
            RECORDED: _closed_loop(folder / "recorded.py", recorded, server.url),
            PEER: _closed_loop(folder / "peer.py", PEER_LOCUSTFILE, server.url),
        }
        rates: dict[str, list[float]] = {contender: [] for contender in contenders}
        for _ in range(ROUNDS):
            for contender, start in contenders.items():
                rates[contender].append(_rate(start, server))
    for contender, figures in rates.items():
        spread = f"{min(figures):,.0f} .. {max(figures):,.0f}"
        print(f"{contender:28} {median(figures):10,.0f} operations/s of CPU   {spread}")
    print(json.dumps(_result(rates)))


def _result(rates: dict[str, list[float]]) -> dict[str, object]:
    """Of each round its own share, so that a machine that slows down between two rounds does not count."""
    shares = [100 * (1 - one / bare) for one, bare in zip(rates[RECORDED], rates[PEER], strict=True)]
    value = median(shares)
    return {
        "name": "schedule and recorder, of what a bare FastHttpUser reaches per core",
        "value": round(value, 1),
        "unit": "%",
        "goal": GOAL_PERCENT,
        "met": value <= GOAL_PERCENT,
        "ratios": {
            f"{PEER}, by the open loop": round(median(rates[OPEN_LOOP]) / median(rates[PEER]), 3),
            f"{PEER}, {RECORDED}": round(median(rates[RECORDED]) / median(rates[PEER]), 3),
        },
        "rounds": ROUNDS,
        "spread": round(max(shares) - min(shares), 1),
    }


async def _accept(_: Request) -> Reply:
    return 200, b'{"id": "%s", "status": "new"}' % ORDER_ID.encode()


def _rate(start: Callable[[], subprocess.Popen[bytes]], server: OrderServer) -> float:
    """Requests that came in per second of the generator's CPU time, once it is under way."""
    server.requests.clear()
    process = start()
    try:
        deadline = monotonic() + START_LIMIT_S
        while len(server.requests) < RATE_PER_S // 4:
            if process.poll() is not None or monotonic() > deadline:
                raise SystemExit("generator benchmark: the generator did not come up")
            sleep(0.02)
        before, cpu_before = len(server.requests), _cpu_s(process.pid)
        sleep(WINDOW_S)
        return (len(server.requests) - before) / (_cpu_s(process.pid) - cpu_before)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(START_LIMIT_S)


def _cpu_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def _open_loop(folder: Path, url: str) -> Callable[[], subprocess.Popen[bytes]]:
    profile = folder / "ours.py"
    profile.write_text(OURS_LOCUSTFILE)
    options = LoadOptions(
        status=write_status(folder, [url]),
        record=folder / "record",
        seed=7,
        rate_per_s=RATE_PER_S,
        duration_s=WINDOW_S + 3,
        traders=ACCOUNTS,
        profile=profile,
    )
    argv, environment = locust_command(options, os.environ)
    return lambda: _started(argv, environment)


def _closed_loop(locustfile: Path, text: str, url: str) -> Callable[[], subprocess.Popen[bytes]]:
    locustfile.write_text(text)
    argv = [sys.executable, "-m", "locust", "--headless", "--only-summary", "--locustfile", str(locustfile)]
    argv += ["--host", url, "--users", "20", "--spawn-rate", "20"]
    return lambda: _started(argv, dict(os.environ))


def _started(argv: Sequence[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        argv, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


if __name__ == "__main__":
    main()
