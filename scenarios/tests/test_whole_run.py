"""Whole runs, from command to verdict, on a whole platform."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from reports.record import Record
from scenarios.library import find_scenario
from scenarios.loader import load_scenario
from scenarios.record import run_description
from scenarios.schedule import fault_schedule

pytestmark = [pytest.mark.stack, pytest.mark.timeout(180)]

SMOKE = find_scenario("smoke")


def run(folder: Path, scenario: str, *arguments: str) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """The finished command, and the verdict it printed as its last line."""
    environment = {**os.environ, "ELSON_RUNS": str(folder / "runs")}
    command = [sys.executable, "-m", "scenarios.cli", "run", scenario, "--json", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=150, check=False)
    assert done.stdout.strip(), done.stderr
    return done, json.loads(done.stdout.splitlines()[-1])


def test_a_run_ends_with_a_verdict_and_a_whole_record(tmp_path: Path) -> None:
    done, verdict = run(tmp_path, "smoke", "--seed", "5")
    folder = tmp_path / "runs" / "latest"
    # On a machine that is busy otherwise the generator may be late: then the run says so, and is neither pass nor fail.
    assert verdict["verdict"] in ("PASS", "INVALID"), done.stderr
    assert all("the load generator" in reason for reason in verdict["reasons"]), verdict["reasons"]
    assert done.returncode == verdict["exit_code"]
    assert verdict["seed"] == 5
    assert len(done.stdout.splitlines()) == 1
    assert Path(verdict["record"]) == folder.resolve()
    record = Record(folder)
    assert record.missing() == []
    assert {check.verdict for check in record.checks()} == {"holds"}
    for name in ("report.html", "junit.xml", "summary.md", "verdict.json"):
        assert (folder / name).stat().st_size > 0
    # What the load did is what the record had announced.
    assert json.loads((folder / "load.json").read_text())["schedule_digest"] == record.run["load_schedule_digest"]


def test_a_fault_on_a_link_that_nobody_uses_makes_the_run_invalid(tmp_path: Path) -> None:
    scenario = tmp_path / "idle.yaml"
    text = SMOKE.read_text().replace("100000}", "100000}\n  proxied: [market->api]\nmarket: false")
    scenario.write_text(
        f"{text}\nfaults:\n  - {{at: 1 s, kind: latency, target: market->api, value: 50 ms, for: 2 s}}\n"
    )
    done, verdict = run(tmp_path, str(scenario))
    assert done.returncode == 4
    assert verdict["verdict"] == "INVALID"
    assert "fault 1-latency (latency market->api) did not bite: no bytes met the delay" in verdict["reasons"]


def test_the_same_seed_plans_the_same_operations_and_faults() -> None:
    loaded = load_scenario(find_scenario("quickstart"))
    plans = [
        run_description(loaded, seed, fault_schedule(loaded.scenario, seed), command_line=()) for seed in (7, 7, 8)
    ]
    digests = [(plan["load_schedule_digest"], plan["fault_schedule_digest"]) for plan in plans]
    assert digests[0] == digests[1]
    assert digests[0][0] != digests[2][0]
    assert digests[0][1] != digests[2][1]
