"""``elson`` as its users meet it: a process with an exit code, standard output and standard error."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from reports.run_folder import write_json
from reports.tests.synthetic import write_record
from scenarios.library import find_scenario, scenario_names
from scenarios.listing import AROUND_A_RUN_S
from scenarios.loader import load_scenario


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Records and the registry of running stacks in folders of this test's own."""
    (tmp_path / "runtime").mkdir(mode=0o700)
    return {**os.environ, "ELSON_RUNS": str(tmp_path / "runs"), "XDG_RUNTIME_DIR": str(tmp_path / "runtime")}


def elson(
    environment: Mapping[str, str], *arguments: str, through: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    command = [*through, sys.executable, "-m", "scenarios.cli", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


WRONG_USAGE = [
    (["rnu"], "No such command 'rnu'"),
    (["run"], "Missing argument 'NAME'"),
    (["run", "quickstrat"], "unknown scenario 'quickstrat': did you mean quickstart?"),
    (["run", "no/such/file.yaml"], "unknown scenario 'no/such/file.yaml'"),
    (["run", "smoke", "--seed", "seven"], "Invalid value for '--seed'"),
    (["run", "smoke", "--seed", "-1"], "Invalid value for '--seed'"),
    (["run", "smoke", "--sede", "1"], "No such option: --sede"),
    (["run", "smoke", "--set", "load.rate=5"], "--set load.rate=5: load.rate: unknown key; did you mean 'rate_per_s'?"),
    (["run", "smoke", "--set", "load"], "--set load: expected path=value"),
    (["up", "--scenario", "smok"], "unknown scenario 'smok': did you mean smoke"),
    (["up", "--proxied", "engine->vault"], "--proxied: no link matches 'engine->vault'"),
    (["fault", "add", "kill"], "Missing argument 'TARGET'"),
    (["fault", "add", "kill", "engine:1", "--for", "soon"], "--for: 'soon' is no duration"),
    (["report", "no-such-run"], "no run 'no-such-run'"),
    (["report", "no-such-run", "--against", "latest"], "no run 'no-such-run'"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG_USAGE, ids=[" ".join(words) for words, _ in WRONG_USAGE])
def test_wrong_usage_is_told_in_one_line_with_exit_code_2(
    environment: dict[str, str], arguments: list[str], message: str
) -> None:
    done = elson(environment, *arguments)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert message.lower() in done.stderr.lower()


def test_a_bad_scenario_file_is_refused_with_file_line_and_key_and_leaves_no_record(
    environment: dict[str, str], tmp_path: Path
) -> None:
    smoke = Path(__file__).parents[1] / "catalogue" / "smoke.yaml"
    mine = tmp_path / "mine.yaml"
    mine.write_text(smoke.read_text().replace("warm_up: 2 s", "warm_pu: 2 s"))
    done = elson(environment, "run", str(mine))
    assert done.returncode == 2
    assert f"elson: {mine}:16: phases.warm_pu: unknown key; did you mean 'warm_up'?" in done.stderr.splitlines()
    assert "Traceback" not in done.stderr
    assert not Path(environment["ELSON_RUNS"]).exists()


@pytest.mark.parametrize("command", [["run"], ["up", "--scenario"]])
def test_a_small_disk_where_none_can_be_mounted_is_refused_before_anything_starts(
    environment: dict[str, str], command: list[str]
) -> None:
    through = ("setpriv", "--bounding-set=-sys_admin") if os.getuid() == 0 else ()
    name = "failover/postgres-disk-full"
    done = elson(environment, *command, name, through=through)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith(f"elson: {find_scenario(name)}:9: topology.small_disk: ")
    assert len(done.stderr.splitlines()) == 1
    assert not Path(environment["ELSON_RUNS"]).exists()


@pytest.mark.parametrize(
    "arguments", [["status"], ["down"], ["fault", "list"], ["fault", "clear"], ["fault", "add", "kill", "engine:1"]]
)
def test_without_a_running_platform_commands_say_so(environment: dict[str, str], arguments: list[str]) -> None:
    done = elson(environment, *arguments)
    assert done.returncode == 1
    assert done.stderr == "elson: no stack is running; `elson up` starts one\n"


def test_a_run_is_compared_with_another_and_one_that_cannot_be_is_told_by_the_exit_code(
    environment: dict[str, str], tmp_path: Path
) -> None:
    before = write_record(tmp_path / "runs" / "before")
    write_json(before / "checks.json", [])
    shutil.copytree(before, tmp_path / "runs" / "after")
    done = elson(environment, "report", "after", "--against", "before")
    assert done.returncode == 0, done.stderr
    assert "order p50 outside faults" in done.stdout
    assert done.stdout.rstrip().endswith("after/against-before.html")
    (before / "feed.parquet").unlink()
    done = elson(environment, "report", "after", "--against", "before")
    assert done.returncode == 4
    assert "NOT COMPARABLE" in done.stdout


def test_help_names_every_command(environment: dict[str, str]) -> None:
    done = elson(environment, "--help")
    assert done.returncode == 0
    for command in ("run", "list", "up", "status", "down", "fault", "db", "backup", "market", "report", "doctor"):
        assert f"\n  {command} " in done.stdout


def test_help_imports_nothing_that_only_a_run_needs() -> None:
    heavy = ("pandas", "pyarrow", "aiohttp")
    program = f"import sys, scenarios.cli; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_catalogue_is_listed_with_what_each_proves_and_how_long_it_takes(environment: dict[str, str]) -> None:
    done = elson(environment, "list")
    assert done.returncode == 0
    smoke = load_scenario(find_scenario("smoke")).scenario
    assert f"smoke  (about 30 s)\n    {smoke.proves}\n" in done.stdout
    listed = {each["name"]: each for each in json.loads(elson(environment, "list", "--json").stdout)}
    assert list(listed) == sorted(scenario_names(), key=lambda name: (name.rpartition("/")[0], name))
    gate = load_scenario(find_scenario("gate/latency-budget")).scenario
    one_s = gate.phases.warm_up_s + gate.phases.measure_s + AROUND_A_RUN_S
    assert (listed["gate/latency-budget"]["runs"], listed["gate/latency-budget"]["takes_s"]) == (5, 5 * one_s)


def test_the_doctor_names_what_is_missing_and_the_command_that_gets_it(environment: dict[str, str]) -> None:
    assert elson(environment, "doctor", "--quiet").stdout == ""
    without = {**environment, "PATH": "/nonexistent", "XDG_CACHE_HOME": "/nonexistent"}
    done = elson(without, "doctor", "--quiet")
    assert done.returncode == 1
    assert done.stderr.startswith("elson: toxiproxy-server is missing: it carries the proxied links")
    assert "elson doctor --install" in done.stderr


def test_a_record_that_cannot_be_written_makes_the_run_invalid_before_anything_starts(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "runs").write_text("a file where the folder of runs should be")
    done = elson(environment, "run", "smoke", "--json")
    assert done.returncode == 4
    assert "elson: the run is INVALID: no record can be written" in done.stderr
    verdict = json.loads(done.stdout.splitlines()[-1])
    assert verdict["verdict"] == "INVALID"
    assert verdict["exit_code"] == 4
