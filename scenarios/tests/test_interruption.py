"""Whatever ends a run, nothing survives it and nothing half is called a pass: on the whole platform."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

pytestmark = [pytest.mark.stack, pytest.mark.timeout(180)]

SMOKE = Path(__file__).parents[1] / "catalogue" / "smoke.yaml"
FAULT = """
faults:
  - {at: 500 ms, kind: latency, target: engine->postgres, value: 50 ms, for: 3 s}
"""
PATIENCE_S = 90


class ElsonRun:
    """``elson run`` of the smoke scenario with one fault in it, as a process with records of its own."""

    def __init__(self, folder: Path) -> None:
        self.runs = folder / "runs"
        self.runtime = folder / "runtime"
        self.runtime.mkdir(mode=0o700)
        scenario = folder / "mine.yaml"
        smaller = "100000}\n  engines: 1\n  apis: 1\n  proxied: [engine->postgres]"
        scenario.write_text(SMOKE.read_text().replace("100000}", smaller) + FAULT)
        self.environment = {**os.environ, "ELSON_RUNS": str(self.runs), "XDG_RUNTIME_DIR": str(self.runtime)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "scenarios.cli", "run", str(scenario), "--json"],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Another ``elson`` beside it."""
        words = [sys.executable, "-m", "scenarios.cli", *arguments]
        return subprocess.run(words, env=self.environment, capture_output=True, text=True, check=False)

    def events(self) -> list[dict[str, Any]]:
        path = self.runs / "latest" / "events.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def wait_for(self, **wanted: str) -> None:
        """Until an event has all these values."""
        deadline = time.monotonic() + PATIENCE_S
        while not any(wanted.items() <= event.items() for event in self.events()):
            assert time.monotonic() < deadline, f"no {wanted} in {self.events()}"
            assert self.process.poll() is None, self.process.stderr and self.process.stderr.read()
            time.sleep(0.02)

    def everything_started(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def stack_folders(self) -> list[Path]:
        entries = (self.runtime / "elson" / "stacks").glob("*.json")
        return [Path(json.loads(entry.read_text())["folder"]) for entry in entries]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[ElsonRun]:
    running = ElsonRun(tmp_path)
    yield running
    if running.process.poll() is None:
        running.process.kill()
    running.process.communicate()


def none_is_left(processes: list[psutil.Process]) -> bool:
    _, alive = psutil.wait_procs(processes, timeout=10)
    return alive == []


PREPARING: dict[str, str] = {"event": "node_started", "node": "engine:1"}
WARMING_UP: dict[str, str] = {"event": "node_started", "node": "market:1"}
HURT: dict[str, str] = {"event": "fault", "state": "injected"}
DRAINING: dict[str, str] = {"event": "phase", "phase": "drain", "state": "started"}
CHECKING: dict[str, str] = {"event": "phase", "phase": "check", "state": "started"}


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        pytest.param(PREPARING, signal.SIGINT, id="preparing"),
        pytest.param(WARMING_UP, signal.SIGTERM, id="warming up, by SIGTERM"),
        pytest.param(HURT, signal.SIGINT, id="with a fault on"),
        pytest.param(DRAINING, signal.SIGINT, id="draining"),
        pytest.param(CHECKING, signal.SIGTERM, id="checking, by SIGTERM"),
    ],
)
def test_an_interrupted_run_takes_everything_down_and_is_invalid(
    run: ElsonRun, moment: dict[str, str], number: signal.Signals
) -> None:
    run.wait_for(**moment)
    started, folders = run.everything_started(), run.stack_folders()
    run.process.send_signal(number)
    stdout, stderr = run.process.communicate(timeout=PATIENCE_S)
    assert run.process.returncode == 4, stderr
    assert "elson: the run is INVALID: interrupted" in stderr.splitlines()
    assert "Traceback" not in stderr
    assert json.loads(stdout.splitlines()[-1])["verdict"] == "INVALID"
    assert started or moment is CHECKING  # the platform may be down when the checks begin
    assert none_is_left(started)
    assert [folder for folder in folders if folder.exists()] == []
    assert run.stack_folders() == []
    record = run.runs / "latest"
    assert json.loads((record / "run.json").read_text())["ended_early"] == "interrupted"
    assert json.loads((record / "verdict.json").read_text())["verdict"] == "INVALID"
    if (record / "faults.jsonl").exists():
        lines = [json.loads(line) for line in (record / "faults.jsonl").read_text().splitlines()]
        assert [line["state"] for line in lines] == ["planned", "injected", "undone"]
    else:
        assert moment in (PREPARING, WARMING_UP)


def test_a_killed_run_leaves_no_process_and_its_folder_to_the_next_command(run: ElsonRun) -> None:
    run.wait_for(**HURT)
    started, folders = run.everything_started(), run.stack_folders()
    run.process.kill()
    run.process.communicate()
    assert len(started) > 8
    assert none_is_left(started)
    assert len(folders) == 1
    assert folders[0].exists()
    done = run.command("down")
    assert done.returncode == 0, done.stderr
    assert f"removed folder {folders[0]}" in done.stdout
    assert not folders[0].exists()
    verdict = run.command("report", "latest")
    assert verdict.returncode == 4, verdict.stdout
    assert "INVALID" in verdict.stdout
