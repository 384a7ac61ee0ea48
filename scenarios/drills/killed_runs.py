"""Runs killed (kill -9) at random moments (``python -m scenarios.drills.killed_runs``): exit code 1 if one leaves a
record that cannot be read, is judged as if it were whole, or a process.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import psutil
import pyarrow as pa

from reports.record import Record
from reports.records import read_table

_SCENARIO: Final = "smoke"
_PATIENCE_S: Final = 120.0
_INVALID: Final = 4


class Runs:
    """``elson`` as a process of its own, with records and a registry of its own."""

    def __init__(self, folder: Path) -> None:
        self.records, runtime = folder / "runs", folder / "runtime"
        runtime.mkdir(mode=0o700)
        self._environment = {**os.environ, "ELSON_RUNS": str(self.records), "XDG_RUNTIME_DIR": str(runtime)}

    def start(self) -> subprocess.Popen[str]:
        quiet = subprocess.DEVNULL
        return subprocess.Popen(
            self._words("run", _SCENARIO), env=self._environment, stdout=quiet, stderr=quiet, text=True
        )

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._words(*arguments), env=self._environment, capture_output=True, text=True, timeout=_PATIENCE_S
        )

    def folders(self) -> set[Path]:
        return {path for path in self.records.glob("*") if not path.is_symlink()}

    @staticmethod
    def _words(*arguments: str) -> list[str]:
        return [sys.executable, "-m", "scenarios.cli", *arguments]


def whole_run_s(runs: Runs) -> float:
    began = time.monotonic()
    if (code := runs.start().wait(_PATIENCE_S)) not in (0, _INVALID):  # INVALID on a busy machine, but as long
        raise SystemExit(f"an undisturbed run of {_SCENARIO} ends with {code}: nothing is killed")
    return time.monotonic() - began


def kill_one(runs: Runs, after_s: float) -> tuple[str, list[str]]:
    """What it was doing when it was killed, and what is wrong with what it left."""
    known = runs.folders()
    process = runs.start()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(after_s)
    started = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(started, timeout=10)
    problems = [f"{survivor} outlived it" for survivor in alive]
    if (swept := runs.command("down")).returncode not in (0, 1):
        problems.append(f"elson down: {swept.stderr.strip()}")
    if not (new := runs.folders() - known):
        return "nothing recorded yet", problems
    (folder,) = new
    moment = _moment(folder)
    return moment, problems + _unread(folder) + _misjudged(runs, folder)


def _moment(folder: Path) -> str:
    """The last that events.jsonl tells, which may end in half a line."""
    events = []
    for line in (folder / "events.jsonl").read_text().splitlines() if (folder / "events.jsonl").exists() else ():
        try:
            events.append(json.loads(line))
        except ValueError:
            break
    phases = [event["phase"] for event in events if event.get("event") == "phase"]
    if (folder / "verdict.json").exists():
        return "it had ended"
    return f"phase {phases[-1]}" if phases else "starting the platform"


def _unread(folder: Path) -> list[str]:
    problems = []
    for name in {path.stem for pattern in ("*.parquet", "*.arrows") for path in folder.glob(pattern)}:
        try:
            read_table(folder, name)
        except (OSError, pa.ArrowInvalid) as error:
            problems.append(f"{name}: {error}")
    return problems


def _misjudged(runs: Runs, folder: Path) -> list[str]:
    """Whose every part is there is whole, though its own judge was killed."""
    report = runs.command("report", str(folder))
    if "Traceback" in report.stderr:
        return [f"elson report: {report.stderr.strip().splitlines()[-1]}"]
    if Record(folder).missing() and (report.returncode != _INVALID or "INVALID" not in report.stdout):
        return [f"elson report: {report.returncode}, {(report.stderr or report.stdout).strip()[:200]}"]
    return []


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(arguments)
    rng, moments, wrong = random.Random(chosen.seed), Counter[str](), 0
    with tempfile.TemporaryDirectory() as folder:
        runs = Runs(Path(folder))
        length_s = whole_run_s(runs)
        print(f"undisturbed: {length_s:.1f} s", flush=True)
        for number in range(1, chosen.count + 1):
            after_s = rng.uniform(0.5, length_s)
            moment, problems = kill_one(runs, after_s)
            moments[moment] += 1
            wrong += bool(problems)
            print(
                f"{number:3} at {after_s:5.1f} s, {moment}: {'; '.join(problems) or 'reads and is judged as it is'}",
                flush=True,
            )
    summary: dict[str, Any] = {"name": "killed runs", "n": chosen.count, "moments": dict(moments), "wrong": wrong}
    print(json.dumps(summary))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
