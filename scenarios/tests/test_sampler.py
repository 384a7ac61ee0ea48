"""What is counted as a node's: its process and all that it forked."""

from __future__ import annotations

import os
import subprocess
import time

import psutil

from scenarios.sampler import descendants, started_processes

TWO_DEEP = "sh -c 'sleep 60 & wait' & wait"


def test_one_walk_finds_all_that_each_started_process_forked() -> None:
    node = subprocess.Popen(["sh", "-c", TWO_DEEP])
    other = subprocess.Popen(["sleep", "60"])
    try:
        deadline_s = time.monotonic() + 10
        while len(forked := psutil.Process(node.pid).children(recursive=True)) < 2 and time.monotonic() < deadline_s:
            time.sleep(0.01)
        started = started_processes()
        assert {node.pid, other.pid} <= set(started[os.getpid()])
        assert set(descendants(started, node.pid)) == {process.pid for process in forked}
        assert len(forked) >= 2
        assert list(descendants(started, other.pid)) == []
    finally:
        for grandchild in forked:
            grandchild.kill()
        for child in (node, other):
            child.kill()
            child.wait()
