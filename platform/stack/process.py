"""One child process of the owner: started, watched, frozen, ended, and never left behind."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from stack.errors import StartError

_LIBC = ctypes.CDLL(None, use_errno=True)  # looked up before any fork: the forked child must not import or lock
_PR_SET_PDEATHSIG = 1
_GUARD = Path(__file__).with_name("guard.py")


@dataclass(frozen=True, slots=True)
class Identity:
    """A process for good: a reused pid has another start time (clock ticks since boot, from /proc)."""

    pid: int
    start_ticks: int

    @classmethod
    def of(cls, pid: int) -> Identity | None:
        """None when no such process lives (a zombie does not)."""
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if fields[0] in "ZX" else cls(pid, int(fields[19]))

    def alive(self) -> bool:
        return Identity.of(self.pid) == self


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start a program. ``guarded`` is for programs that fork (see guard.py), and for another ``user``."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False)
    log: Path
    cwd: Path = Path("/")
    user: str | None = None
    guarded: bool = False
    stop_signal: signal.Signals = signal.SIGTERM


class ChildProcess:
    """A started program. Create it with ``start`` on the main thread, inside the event loop that watches it."""

    def __init__(self, launch: Launch, popen: subprocess.Popen[bytes]) -> None:
        identity = Identity.of(popen.pid)
        self.launch = launch
        self.identity = identity or Identity(popen.pid, -1)
        self._popen = popen
        self._program: psutil.Process | None = None
        self._loop = asyncio.get_running_loop()
        self._exit: asyncio.Future[int] = self._loop.create_future()
        self._pidfd = os.pidfd_open(popen.pid)
        self._loop.add_reader(self._pidfd, self._exited)

    @classmethod
    def start(cls, launch: Launch) -> ChildProcess:
        """Raises StartError when the program cannot be executed."""
        # PDEATHSIG fires when the *thread* that forked ends, not the process: a worker thread would take the nodes
        # down with it, or worse, a pool's thread would do so at some later time.
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("processes are started from the main thread only")
        launch.log.parent.mkdir(parents=True, exist_ok=True)
        with launch.log.open("ab") as log:
            try:
                popen = _spawn(launch, log.fileno())
            except OSError as error:
                raise StartError(f"cannot run {launch.argv[0]}: {error.strerror or error}") from error
        return cls(launch, popen)

    @property
    def pid(self) -> int:
        """The program's own pid, also when a guard stands in between."""
        program = self._guarded_program()
        return program.pid if program else self.identity.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; a negative number is the signal that ended it."""
        return self._exit.result() if self._exit.done() else None

    @property
    def running(self) -> bool:
        return not self._exit.done()

    def on_exit(self, callback: Callable[[ChildProcess], None]) -> None:
        self._exit.add_done_callback(lambda _: callback(self))

    async def executed(self) -> None:
        """Returns when the program itself is there behind its guard, or has ended already."""
        for _ in range(1_000):
            if not self.running or not self.launch.guarded or self._guarded_program():
                return
            await asyncio.sleep(0.005)

    async def wait(self) -> int:
        return await asyncio.shield(self._exit)

    async def terminate(self, within_s: float) -> int:
        """Asks it to end; kills it when it has not done so in time. Returns the exit code."""
        if self.running:
            self._popen.send_signal(self.launch.stop_signal)
        try:
            return await asyncio.wait_for(self.wait(), within_s)
        except TimeoutError:
            return await self.kill()

    async def kill(self) -> int:
        """SIGKILL to the program and all it forked; also ends a frozen one."""
        self.kill_now()
        return await self.wait()

    def kill_now(self) -> None:
        if self.running:
            self._popen.send_signal(signal.SIGUSR1 if self.launch.guarded else signal.SIGKILL)

    async def freeze(self) -> None:
        """SIGSTOP to the program, then to its descendants until no new one shows up; returns when all stand still."""
        stopped: set[psutil.Process] = set()
        if program := self._guarded_program() if self.launch.guarded else psutil.Process(self.identity.pid):
            stopped.add(program)  # first, so that it forks no more
            _signal(program, signal.SIGSTOP)
        while new := set(self._descendants()) - stopped:
            for process in new:
                _signal(process, signal.SIGSTOP)
            stopped |= new
        while moving := [process for process in stopped if not _stands_still(process)]:
            stopped = set(moving)  # in the middle of a disk write: it stops after that
            await asyncio.sleep(0.001)

    def resume(self) -> None:
        for process in (*self._descendants(), psutil.Process(self.identity.pid)):
            _signal(process, signal.SIGCONT)

    def _descendants(self) -> list[psutil.Process]:
        try:
            return psutil.Process(self.identity.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def _guarded_program(self) -> psutil.Process | None:
        """The guard's first child: whatever else it has lost its parent and is younger."""
        if self.launch.guarded and self._program is None and self.running:
            try:
                children = psutil.Process(self.identity.pid).children()
            except psutil.NoSuchProcess:
                children = []
            self._program = min(children, key=lambda child: child.create_time(), default=None)
        return self._program

    def _exited(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._exit.set_result(self._popen.wait())


def _spawn(launch: Launch, log: int) -> subprocess.Popen[bytes]:
    owner = os.getpid()
    death = signal.SIGUSR1 if launch.guarded else signal.SIGKILL

    def die_with_the_owner() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(death), 0, 0, 0)
        if os.getppid() != owner:  # the owner ended before the line above
            os._exit(1)

    argv = launch.argv
    if launch.guarded:  # the guard keeps our rights, so that it may kill; it drops the program's
        argv = (sys.executable, "-I", "-S", str(_GUARD), launch.user or "-", *argv)
    return subprocess.Popen(
        argv,
        env=dict(launch.env),
        cwd=launch.cwd,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
        preexec_fn=die_with_the_owner,
    )


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)  # psutil compares the start time first


def _stands_still(process: psutil.Process) -> bool:
    try:
        return process.status() in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def log_tail(path: Path, lines: int = 12) -> str:
    """The last lines of a node's log, for an error message; "" when there is none."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - 8_192))
            return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""
