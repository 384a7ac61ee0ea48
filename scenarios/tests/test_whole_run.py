"""Whole runs, from command to verdict, on a whole platform."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from reports.record import Record
from scenarios.library import find_scenario
from scenarios.loader import load_scenario
from scenarios.record import run_description
from scenarios.schedule import fault_schedule

pytestmark = [pytest.mark.stack, pytest.mark.timeout(180)]

SMOKE = find_scenario("smoke")
PLATFORM_TESTS = Path(__file__).parents[2] / "platform" / "tests"
HASTY_ENGINE = PLATFORM_TESTS / "engine" / "hasty_engine.py"
CARELESS_ENGINE = PLATFORM_TESTS / "engine" / "careless_engine.py"
FORGETFUL_FEED = PLATFORM_TESTS / "feed" / "forgetful_feed.py"
# What a run says of a machine that is busy otherwise: then it is INVALID, and neither pass nor fail.
UNFIT = ("the load generator", "other processes", "no-op endpoint", "was stolen", "the warm-up was not over")
OF_PROCESSES = ("cpu_percent", "run_queue_wait_percent", "involuntary_switches_per_s", "threads", "open_files")
SAMPLED = {
    "engine": (*OF_PROCESSES, "engine_commands_total"),
    "postgres": (*OF_PROCESSES, "postgres_commits_per_s", "postgres_replication_behind_bytes", "postgres_sessions"),
    "redis": (*OF_PROCESSES, "redis_operations_per_s", "redis_used_memory_bytes", "redis_clients"),
}


def run(folder: Path, scenario: str, *arguments: str) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """The finished command, and the verdict it printed as its last line."""
    return finished(folder, "scenarios.cli", "run", scenario, "--json", *arguments)


def finished(folder: Path, module: str, *arguments: str) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, env=own_runs(folder), capture_output=True, text=True, timeout=150, check=False)
    assert done.stdout.strip(), done.stderr
    return done, json.loads(done.stdout.splitlines()[-1])


def unfit(reason: str) -> bool:
    return any(words in reason for words in UNFIT)


def own_runs(folder: Path) -> dict[str, str]:
    return {**os.environ, "ELSON_RUNS": str(folder / "runs")}


def test_a_run_ends_with_a_verdict_and_a_whole_record(tmp_path: Path) -> None:
    done, verdict = run(tmp_path, "smoke", "--seed", "5")
    folder = tmp_path / "runs" / "latest"
    assert verdict["verdict"] in ("PASS", "INVALID"), done.stderr
    assert all(unfit(reason) for reason in verdict["reasons"]), verdict["reasons"]
    assert done.returncode == verdict["exit_code"]
    assert verdict["seed"] == 5
    assert len(done.stdout.splitlines()) == 1
    assert Path(verdict["record"]) == folder.resolve()
    record = Record(folder)
    assert record.missing() == []
    assert {check.verdict for check in record.checks()} == {"holds"}
    for name in ("report.html", "junit.xml", "summary.md", "verdict.json"):
        assert (folder / name).stat().st_size > 0
    sampled = {(node.partition(":")[0], metric) for node, metric in record.metrics[["node", "metric"]].to_numpy()}
    assert sampled >= {(node, metric) for node, metrics in SAMPLED.items() for metric in metrics}
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


def test_an_engine_that_acknowledges_before_its_commit_fails(tmp_path: Path) -> None:
    """Its crash takes with it what it had promised: the run finds those orders missing."""
    scenario = tmp_path / "hasty.yaml"
    crash = "{at: 3 s, kind: kill, target: 'engine:active', for: good}"
    scenario.write_text(f"{SMOKE.read_text()}\nfaults:\n  - {crash}\n")
    done, verdict = finished(tmp_path, "scenarios.tests.broken_run", str(scenario), str(HASTY_ENGINE))
    checks = {check.name: check for check in Record(tmp_path / "runs" / "latest").checks()}
    assert checks["acknowledged_orders"].verdict == "violated", done.stderr
    assert any("lost" in reason for reason in verdict["reasons"])
    # A machine that starves the generator meanwhile makes it INVALID, with the violation among the reasons.
    assert done.returncode == (1 if verdict["verdict"] == "FAIL" else 4)
    assert verdict["verdict"] == "FAIL" or any(map(unfit, verdict["reasons"]))


def test_a_platform_that_doubles_orders_loses_fills_and_leaves_out_messages_fails(tmp_path: Path) -> None:
    done, verdict = finished(
        tmp_path, "scenarios.tests.broken_run", str(SMOKE), str(CARELESS_ENGINE), str(FORGETFUL_FEED)
    )
    checks = {check.name: check for check in Record(tmp_path / "runs" / "latest").checks()}
    assert checks["acknowledged_orders"].figures["doubled"] > 0, done.stderr
    violated = {name for name, check in checks.items() if check.verdict == "violated"}
    assert violated >= {
        *("acknowledged_orders", "intended_orders", "fills_add_up", "conservation", "tables_follow_journal"),
        *("feed_gaps", "order_updates"),
    }
    assert verdict["verdict"] == "FAIL" or any(map(unfit, verdict["reasons"]))


def test_a_generator_starved_of_cpu_makes_the_run_invalid(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "scenarios.cli", "run", "smoke", "--json"]
    process = subprocess.Popen(command, env=own_runs(tmp_path), stdout=subprocess.PIPE, text=True)
    try:
        generator = generator_once_measuring(process, tmp_path / "runs" / "latest")
        for _ in range(5):
            generator.suspend()
            time.sleep(0.5)
            generator.resume()
            time.sleep(0.1)
        output, _ = process.communicate(timeout=120)
    finally:
        process.kill()
        process.wait()
    verdict = json.loads(output.splitlines()[-1])
    assert (process.returncode, verdict["verdict"]) == (4, "INVALID")
    assert any("the load generator sent" in reason for reason in verdict["reasons"]), verdict["reasons"]


def generator_once_measuring(run: subprocess.Popen[str], record: Path) -> psutil.Process:
    """The run's Locust process, as soon as the measured phase has begun."""
    deadline_s = time.monotonic() + 90
    while time.monotonic() < deadline_s and run.poll() is None:
        events = record / "events.jsonl"
        if events.exists() and '"measure"' in events.read_text():
            for child in psutil.Process(run.pid).children(recursive=True):
                if "locust" in " ".join(child.cmdline()) and "guard.py" not in " ".join(child.cmdline()):
                    return child
        time.sleep(0.05)
    raise AssertionError("the run never measured")


def test_the_same_seed_plans_the_same_operations_and_faults() -> None:
    loaded = load_scenario(find_scenario("quickstart"))
    plans = [
        run_description(loaded, seed, fault_schedule(loaded.scenario, seed), command_line=()) for seed in (7, 7, 8)
    ]
    digests = [(plan["load_schedule_digest"], plan["fault_schedule_digest"]) for plan in plans]
    assert digests[0] == digests[1]
    assert digests[0][0] != digests[2][0]
    assert digests[0][1] != digests[2][1]
