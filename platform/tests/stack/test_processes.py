"""One child process: its end, its identity, its descendants."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import psutil
import pytest

from stack.errors import StartError
from stack.ports import PortReserve, is_free
from stack.process import ChildProcess, Identity, Launch, log_tail


def launch(tmp_path: Path, script: str, *, guarded: bool = False) -> Launch:
    argv = (sys.executable, "-c", script)
    return Launch(argv, {"PATH": os.defpath}, tmp_path / "program.log", guarded=guarded)


@pytest.mark.parametrize("guarded", [False, True])
@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("raise SystemExit(5)", 5),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
    ],
)
async def test_the_exit_code_is_the_programs_own(guarded: bool, script: str, expected: int, tmp_path: Path) -> None:
    process = ChildProcess.start(launch(tmp_path, script, guarded=guarded))
    assert await process.wait() == expected
    assert not process.identity.alive()


async def test_a_program_deaf_to_sigterm_is_killed_when_its_time_is_up(tmp_path: Path) -> None:
    script = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    process = ChildProcess.start(launch(tmp_path, script))
    while not log_tail(tmp_path / "program.log"):
        await asyncio.sleep(0.01)
    assert await process.terminate(within_s=0.2) == -signal.SIGKILL


async def test_a_guard_takes_orphans_down_with_its_program(tmp_path: Path) -> None:
    grandchild = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    script = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {grandchild!r}], start_new_session=True)"
    script += "; import time; time.sleep(600)"
    process = ChildProcess.start(launch(tmp_path, script, guarded=True))
    while not (pid := log_tail(tmp_path / "program.log")):
        await asyncio.sleep(0.01)
    orphan = psutil.Process(int(pid))
    orphan.suspend()
    psutil.Process(process.pid).kill()
    await process.wait()
    assert not orphan.is_running()


async def test_a_reused_pid_is_another_process() -> None:
    mine = Identity.of(os.getpid())
    assert mine is not None
    assert mine.alive()
    assert not Identity(mine.pid, mine.start_ticks - 1).alive()


async def test_processes_start_on_the_main_thread_only(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="main thread"):
        await asyncio.to_thread(ChildProcess.start, launch(tmp_path, "pass"))


async def test_a_program_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"^cannot run /nowhere/x: No such file or directory$"):
        ChildProcess.start(Launch(("/nowhere/x",), {}, tmp_path / "x.log"))


def test_ports_that_somebody_listens_on_are_passed_over(tmp_path: Path) -> None:
    with PortReserve(tmp_path) as reserve:
        while True:  # the servers of other tests may have any of them
            before = reserve.take()
            with socket.socket() as other:
                try:
                    other.bind(("127.0.0.1", before + 1))
                except OSError:
                    continue
                other.listen()
                assert not is_free(before + 1)
                assert reserve.take() != before + 1
                return


def test_two_reserves_hand_out_different_ports(tmp_path: Path) -> None:
    with PortReserve(tmp_path) as one, PortReserve(tmp_path) as two:
        assert {one.take() for _ in range(80)}.isdisjoint({two.take() for _ in range(80)})
