"""What is left of a stack when its owner ends badly: nothing, or what the next start removes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from stack.control import call
from stack.registry import registry_folder, running_stacks, sweep

pytestmark = pytest.mark.stack
Owner = subprocess.Popen[str]


@pytest.fixture
def start_owner(tmp_path: Path) -> Iterator[Callable[..., Owner]]:
    owners: list[Owner] = []

    def start(*frozen: str) -> Owner:
        argv = [sys.executable, "-m", "tests.stack.owner", str(tmp_path / "logs"), *frozen]
        folder = Path(__file__).parents[2]
        owners.append(subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder))
        return owners[-1]

    yield start
    for owner in owners:
        owner.kill()
        owner.communicate()
    sweep()


def read_until(owner: Owner, name: str) -> dict[str, Any]:
    assert owner.stdout is not None
    for line in owner.stdout:
        event, _, fields = line.partition(" ")
        if event == name:
            found: dict[str, Any] = json.loads(fields)
            return found
    raise AssertionError(f"the owner ended without {name}")


def stacks_folder() -> Path:
    return registry_folder() / "stacks"


def descendants(owner: Owner) -> list[psutil.Process]:
    return psutil.Process(owner.pid).children(recursive=True)


def survivors(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that are not gone ten seconds later; usually nothing is left within milliseconds."""
    deadline = time.monotonic() + 10
    while alive := [process for process in processes if process.is_running() and not _is_zombie(process)]:
        if time.monotonic() > deadline:
            return alive
        time.sleep(0.02)
    return []


def _is_zombie(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_no_node_outlives_a_killed_owner_not_even_a_frozen_backend(start_owner: Callable[..., Owner]) -> None:
    owner = start_owner("postgres:primary", "redis:1", "load:1")
    status = read_until(owner, "up")
    processes = descendants(owner)
    assert len(processes) > 12
    assert {node["state"] for node in status["nodes"] if node["name"] == "postgres:1"} == {"frozen"}
    owner.kill()
    assert survivors(processes) == []
    assert running_stacks() == []
    assert f"folder {status['folder']}" in sweep()
    assert not Path(status["folder"]).exists()
    assert sweep() == []


def test_the_next_start_removes_what_a_killed_owner_left(start_owner: Callable[..., Owner]) -> None:
    first = start_owner()
    folder = read_until(first, "up")["folder"]
    first.kill()
    first.wait()
    second = start_owner()
    assert f"folder {folder}" in read_until(second, "stack_swept")["removed"]
    read_until(second, "up")
    assert not Path(folder).exists()


@pytest.mark.parametrize("moment", ["node_started", "node_ready", "up"])
def test_ctrl_c_leaves_nothing_behind_at_any_moment(moment: str, start_owner: Callable[..., Owner]) -> None:
    owner = start_owner()
    read_until(owner, moment)
    (entry,) = stacks_folder().glob("*.json")  # beside it may lie one half written
    folder = Path(json.loads(entry.read_text())["folder"])
    assert folder.exists()
    processes = descendants(owner)
    owner.send_signal(signal.SIGINT)
    _, errors = owner.communicate(timeout=30)
    assert owner.returncode == -signal.SIGINT, errors
    assert survivors(processes) == []
    assert list(stacks_folder().iterdir()) == []
    assert not folder.exists()


def test_a_stack_goes_down_when_another_command_asks(start_owner: Callable[..., Owner]) -> None:
    owner = start_owner()
    status = read_until(owner, "up")
    assert call(status["control"], "status")["status"]["stack_id"] == status["stack_id"]
    call(status["control"], "down")
    owner.communicate(timeout=30)
    assert owner.returncode == 0
    assert not Path(status["folder"]).exists()
