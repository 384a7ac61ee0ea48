"""What do schedule and recorder take of what a bare Locust FastHttpUser reaches per core?

All post the same order to the same server in this process, which only answers; processor time is the generator's own,
so neither the server nor others on the machine count. In one process users take turns of 0.2 s: bare, and with every
operation taken from the schedule and recorded (``alternating_poster.py``); the difference is what the two cost. Beside
that the whole generator, which also starts a greenlet for every operation at its time, knows its traders' orders, and
waits between two operations instead of finding the next one ready.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from time import monotonic, sleep

import psutil

from loadtests.command import LoadOptions, locust_command
from loadtests.tests.order_server import OrderServer, Reply, Request
from loadtests.tests.runs import ACCOUNTS, write_status

GOAL_PERCENT = 10.0
ROUNDS = 3
WINDOW_S = 2.5
ALTERNATING_S = 20.0
SETTLING_TURNS = 4  # an even number: the first turn is a bare one
RATE_PER_S = 1_500  # of the open loop
START_LIMIT_S = 30.0
PEER, OPEN_LOOP = "bare FastHttpUser", "open loop"

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

ALTERNATING = Path(__file__).with_name("alternating_poster.py")
ORDER_ID = "80000000-0000-8000-8000-000000000001"


def main() -> None:
    with TemporaryDirectory() as name, OrderServer(_accept) as server:
        folder = Path(name)
        peer = folder / "peer.py"
        peer.write_text(PEER_LOCUSTFILE)
        contenders = {OPEN_LOOP: _open_loop(folder, server.url), PEER: _closed_loop(peer, server.url, folder)}
        rates: dict[str, list[float]] = {contender: [] for contender in contenders}
        for _ in range(ROUNDS):
            for contender, start in contenders.items():
                rates[contender].append(_rate(start, server, WINDOW_S))
        _rate(_closed_loop(ALTERNATING, server.url, folder), server, ALTERNATING_S)
        costs_us = _costs_us(folder)
    for contender, figures in rates.items():
        spread = f"{min(figures):,.0f} .. {max(figures):,.0f}"
        print(f"{contender:20} {median(figures):10,.0f} operations/s of CPU   {spread}")
    bare_us, recorded_us = (median(costs) for costs in zip(*costs_us, strict=True))
    print(f"an operation takes {bare_us:.1f} us bare, {recorded_us:.1f} us with schedule and recorder")
    print(json.dumps(_result(rates, costs_us)))


def _costs_us(folder: Path) -> list[tuple[float, float]]:
    """Of an operation without and with schedule and recorder, in two turns that followed each other."""
    turns = json.loads((folder / "turns.json").read_text())[SETTLING_TURNS:]
    costs = [1e6 * seconds / operations for _, operations, seconds in turns]
    return list(zip(costs[::2], costs[1::2], strict=False))


def _result(rates: dict[str, list[float]], costs_us: list[tuple[float, float]]) -> dict[str, object]:
    shares = [100 * (1 - bare / recorded) for bare, recorded in costs_us]
    value, quarters = median(shares), quantiles(shares, n=4)
    return {
        "name": "schedule and recorder, of what a bare FastHttpUser reaches per core",
        "value": round(value, 1),
        "unit": "%",
        "goal": GOAL_PERCENT,
        "met": value <= GOAL_PERCENT,
        "ratios": {f"{PEER}, by the whole open loop": round(median(rates[OPEN_LOOP]) / median(rates[PEER]), 3)},
        "rounds": len(shares),
        "spread": round(quarters[2] - quarters[0], 1),
    }


async def _accept(_: Request) -> Reply:
    return 200, b'{"id": "%s", "status": "new"}' % ORDER_ID.encode()


def _rate(start: Callable[[], subprocess.Popen[bytes]], server: OrderServer, window_s: float) -> float:
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
        sleep(window_s)
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


def _closed_loop(locustfile: Path, url: str, folder: Path) -> Callable[[], subprocess.Popen[bytes]]:
    argv = [sys.executable, "-m", "locust", "--headless", "--only-summary", "--locustfile", str(locustfile)]
    argv += ["--host", url, "--users", "20", "--spawn-rate", "20"]
    return lambda: _started(argv, {**os.environ, "ELSON_BENCHMARK_FOLDER": str(folder)})


def _started(argv: Sequence[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        argv, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


if __name__ == "__main__":
    main()
