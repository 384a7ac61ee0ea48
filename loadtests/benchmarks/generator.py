"""How many operations does one core of open-loop load offer? Peer: a bare Locust FastHttpUser.

Both post the same order to the same server in this process, which only answers. The figure is what the server
received per second of the generator's own CPU time, so neither the server nor others on the machine count. Ours
keeps a schedule, names every operation and records it; the peer's users post again as soon as they are answered.
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

GOAL = 3_000
ROUNDS = 3
WINDOW_S = 1.5
RATE_PER_S = 1_500
START_LIMIT_S = 30.0
PEER = "bare FastHttpUser"

OURS_LOCUSTFILE = """
import locust
from loadtests.generator import Generator, add_arguments
from loadtests.schedule import Mix
from loadtests.traders import TraderUser

class Trader(TraderUser):
    pass

ORDERS_ONLY = Mix(passive=1, marketable=0, market=0, cancel=0, read=0)
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


def main() -> None:
    with TemporaryDirectory() as name, OrderServer(_accept) as server:
        folder = Path(name)
        contenders = {"open loop": _ours(folder, server.url), PEER: _peer(folder, server.url)}
        rates: dict[str, list[float]] = {contender: [] for contender in contenders}
        for _ in range(ROUNDS):
            for contender, start in contenders.items():
                rates[contender].append(_rate(start, server))
    for contender, figures in rates.items():
        print(
            f"{contender:20} {median(figures):10,.0f} operations/s of CPU   {min(figures):,.0f} .. {max(figures):,.0f}"
        )
    print(json.dumps(_result(rates["open loop"], rates[PEER])))


def _result(ours: Sequence[float], peer: Sequence[float]) -> dict[str, object]:
    value = median(ours)
    return {
        "name": "load generator, operations per second and core",
        "value": round(value),
        "unit": "operations/s",
        "goal": GOAL,
        "met": value >= GOAL,
        "ratios": {PEER: round(median(one / other for one, other in zip(ours, peer, strict=True)), 3)},
        "rounds": len(ours),
        "spread": round((max(ours) - min(ours)) / value, 3),
    }


async def _accept(_: Request) -> Reply:
    return 200, b'{"id": "80000000-0000-8000-8000-000000000001", "status": "new"}'


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


def _ours(folder: Path, url: str) -> Callable[[], subprocess.Popen[bytes]]:
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


def _peer(folder: Path, url: str) -> Callable[[], subprocess.Popen[bytes]]:
    profile = folder / "peer.py"
    profile.write_text(PEER_LOCUSTFILE)
    argv = [sys.executable, "-m", "locust", "--headless", "--only-summary", "--locustfile", str(profile)]
    argv += ["--host", url, "--users", "20", "--spawn-rate", "20"]
    return lambda: _started(argv, dict(os.environ))


def _started(argv: Sequence[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        argv, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


if __name__ == "__main__":
    main()
