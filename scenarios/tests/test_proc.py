"""What a process takes of the machine, against processes that take a known share of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from scenarios.proc import Usage, usage_of

BUSY = """
import os, threading
files = [open(os.devnull) for _ in range(20)]
threads = [threading.Thread(target=input) for _ in range(3)]
for thread in threads: thread.daemon = True; thread.start()
for _ in range(300): os.sched_yield()
block = bytearray(64 * 2**20)
{loop}
"""
SPIN = "print('ready', flush=True)\nwhile True: pass"
WAIT = "import time\nfor _ in range(200): time.sleep(0.001)\nprint('ready', flush=True)\ntime.sleep(60)"


def test_it_agrees_with_psutil_about_one_process() -> None:
    with _child(WAIT) as child:
        used, other = usage_of(child.pid), psutil.Process(child.pid)
        assert used.threads == other.num_threads() == 4
        assert used.open_files == other.num_fds() > 20
        assert used.rss_bytes == pytest.approx(other.memory_info().rss, rel=0.05)
        assert used.rss_bytes > 64 * 2**20
        assert used.cpu_s == pytest.approx(sum(other.cpu_times()[:2]), abs=0.05)
        assert used.voluntary_switches >= 200


def test_who_shares_a_core_waits_for_it_and_is_made_to_stop() -> None:
    core = {min(os.sched_getaffinity(0))}
    with _child(SPIN) as one, _child(SPIN) as two:
        for child in (one, two):
            os.sched_setaffinity(child.pid, core)
        before = [usage_of(child.pid) for child in (one, two)]
        while usage_of(one.pid).cpu_s < before[0].cpu_s + 0.3:
            os.sched_yield()
        after = [usage_of(child.pid) for child in (one, two)]
    assert after[0].waited_s - before[0].waited_s > 0.1
    assert after[0].involuntary_switches > before[0].involuntary_switches


def test_a_family_is_the_sum_of_its_processes() -> None:
    one, other = Usage(cpu_s=1.0, threads=2, open_files=3), Usage(cpu_s=0.5, voluntary_switches=7, threads=1)
    assert one + other == Usage(cpu_s=1.5, voluntary_switches=7, threads=3, open_files=3)


def test_who_is_gone_is_told_as_such() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    with pytest.raises(ProcessLookupError):
        usage_of(child.pid)


@contextmanager
def _child(loop: str) -> Iterator[subprocess.Popen[bytes]]:
    argv = [sys.executable, "-c", BUSY.format(loop=loop)]
    child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        yield child
    finally:
        child.kill()
        child.communicate()
