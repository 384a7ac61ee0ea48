"""Is the p99 true when the server freezes for 5 s? Peer: stock Locust (FastHttpUser, constant_throughput).

Both offer 20 operations a second for 20 s to a server that stands still once. Every wait from 5 s to nothing is then
felt equally often, so the p99 is 5 s less a hundredth of the 20 s: 4.8 s. Stock Locust's users wait for their answers:
all of them together meet the freeze once each.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from loadtests.tests.frozen import RATE_PER_S, Freeze, analytic_p99_s, frozen_options, recorded_p99_s
from loadtests.tests.order_server import OrderServer
from loadtests.tests.runs import run

DURATION_S = 20.0
GOAL = 0.01
PEER = "stock Locust"
PEER_USERS = 2

PEER_LOCUSTFILE = f"""
from locust import FastHttpUser, constant_throughput, task

class Poster(FastHttpUser):
    wait_time = constant_throughput({RATE_PER_S / PEER_USERS})

    @task
    def post(self):
        self.client.post("/v2/orders", json={{"client_order_id": "one", "qty": "1"}})
"""


def main() -> None:
    with TemporaryDirectory() as name:
        (ours_s, truth_s), stock_s = _ours_s(Path(name)), _stock_s(Path(name))
    errors = {"open loop": abs(ours_s - truth_s) / truth_s, PEER: abs(stock_s - truth_s) / truth_s}
    print(f"analytic p99         {truth_s:8.3f} s")
    print(f"open loop            {ours_s:8.3f} s   {errors['open loop']:.2%} off")
    print(f"{PEER:20} {stock_s:8.3f} s   {errors[PEER]:.2%} off")
    result = {
        "name": "p99 with a server frozen for 5 s, relative error",
        "value": round(errors["open loop"], 5),
        "unit": "of the analytic p99",
        "goal": GOAL,
        "met": errors["open loop"] <= GOAL,
        "ratios": {PEER: round(errors["open loop"] / errors[PEER], 5)},
        "rounds": 1,
        "spread": 0.0,
    }
    print(json.dumps(result))


def _ours_s(folder: Path) -> tuple[float, float]:
    """What was recorded, and what it should be."""
    with OrderServer(freeze := Freeze()) as server:
        options = frozen_options(folder, server.url, DURATION_S)
        run(options)
    return recorded_p99_s(options.record)[0], analytic_p99_s(freeze, DURATION_S)


def _stock_s(folder: Path) -> float:
    """As stock Locust prints it, from its own table."""
    (folder / "stock.py").write_text(PEER_LOCUSTFILE)
    with OrderServer(Freeze()) as server:
        argv = [
            sys.executable,
            "-m",
            "locust",
            "--headless",
            "--only-summary",
            "--locustfile",
            str(folder / "stock.py"),
        ]
        argv += ["--host", server.url, "--users", str(PEER_USERS), "--spawn-rate", str(PEER_USERS)]
        argv += ["--run-time", f"{DURATION_S:.0f}s", "--csv", str(folder / "stock")]
        subprocess.run(argv, env=dict(os.environ), check=True, capture_output=True)
    with (folder / "stock_stats.csv").open() as file:
        (total,) = (row for row in csv.DictReader(file) if row["Name"] == "Aggregated")
    return float(total["99%"]) / 1_000


if __name__ == "__main__":
    main()
