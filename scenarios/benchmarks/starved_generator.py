"""How many runs whose generator was starved say so: real runs, the Locust process stopped and let go again.

``--rounds`` of them (three in ``make bench``); how it is starved is drawn from the round's number.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import psutil

MEASURED_S: Final = 6.0  # of the smoke scenario
_LIMIT_S: Final = 120.0


def starved_run(number: int, folder: Path) -> dict[str, Any]:
    """The verdict of one run of ``smoke`` whose generator lacks processor time for a part of the measured phase."""
    rng = random.Random(number)
    environment = {**os.environ, "ELSON_RUNS": str(folder)}
    command = [sys.executable, "-m", "scenarios.cli", "run", "smoke", "--json", "--seed", str(number)]
    run = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        starve(generator_of(run, folder / "latest"), rng)
        output, _ = run.communicate(timeout=_LIMIT_S)
    finally:
        run.kill()
        run.wait()
    verdict: dict[str, Any] = json.loads(output.splitlines()[-1])
    return verdict


def starve(generator: psutil.Process, rng: random.Random) -> None:
    """Stopped once for long, or again and again for short."""
    until_s = time.monotonic() + MEASURED_S / 2
    stops_s = rng.choice(([rng.uniform(0.5, 2.5)], [rng.uniform(0.1, 0.3)] * 10))
    for stop_s in stops_s:
        generator.suspend()
        time.sleep(stop_s)
        generator.resume()
        time.sleep(rng.uniform(0.02, 0.1))
        if time.monotonic() > until_s:
            break


def generator_of(run: subprocess.Popen[str], record: Path) -> psutil.Process:
    """The run's Locust process, as soon as the measured phase has begun."""
    deadline_s = time.monotonic() + _LIMIT_S
    while time.monotonic() < deadline_s and run.poll() is None:
        events = record / "events.jsonl"
        if events.exists() and '"measure"' in events.read_text(encoding="utf-8"):
            for child in psutil.Process(run.pid).children(recursive=True):
                if "locust" in (line := " ".join(child.cmdline())) and "guard.py" not in line:
                    return child
        time.sleep(0.05)
    raise SystemExit("the run never measured")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    invalid = 0
    with tempfile.TemporaryDirectory(prefix="elson-starved-") as folder:
        for number in range(rounds):
            verdict = starved_run(number, Path(folder))
            told = any("the load generator" in reason for reason in verdict["reasons"])
            invalid += verdict["verdict"] == "INVALID" and told
            print(f"{verdict['verdict']}: {next(iter(verdict['reasons']), '')}", flush=True)
    document = {
        "name": "runs with a starved generator that say so",
        "value": invalid / rounds,
        "unit": "of all",
        "goal": 1.0,
        "met": invalid == rounds,
        "rounds": rounds,
    }
    print(json.dumps(document))
    return 0


if __name__ == "__main__":
    sys.exit(main())
