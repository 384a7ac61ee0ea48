"""Runs one program that forks (PostgreSQL, Locust) and lets none of its descendants outlive it or the owner.

PDEATHSIG reaches only the direct child: a frozen PostgreSQL backend would survive its dead postmaster. This process
makes itself the reaper of all descendants, so whatever loses its parent becomes its child and can be killed. It is run
as a file with ``python -I -S``, hence standard library only. SIGTERM, SIGINT and SIGQUIT go to the program;
SIGUSR1, which is also what the owner's death sends, kills everything.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
_WAITED = {signal.SIGCHLD, signal.SIGUSR1, *_FORWARDED}


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def _become(user: str, argv: list[str], guard: int) -> None:
    """In the forked child: drop to ``user`` ("-" keeps the current one), then turn into the program."""
    if user != "-":
        entry = pwd.getpwnam(user)
        os.setgroups([])
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # after setuid, which clears it
    if os.getppid() != guard:
        os._exit(1)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _WAITED)
    os.execvp(argv[0], argv)


def _fork(user: str, argv: list[str]) -> int:
    guard = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            _become(user, argv, guard)
        except OSError as error:
            print(f"cannot run {argv[0]}: {error}", file=sys.stderr, flush=True)  # noqa: T201
        os._exit(127)
    return pid


def _children() -> list[int]:
    """By parent in /proc: not every kernel lists children."""
    mine = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", "rb") as stat:
                    parent = int(stat.read().rpartition(b")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
            if parent == os.getpid():
                mine.append(int(entry))
    return mine


def _kill_all() -> None:
    """Each round kills the direct children; their orphans are the next round's."""
    while children := _children():
        for pid in children:
            os.kill(pid, signal.SIGKILL)
        os.waitpid(-1, 0)


def _reap(program: int) -> int | None:
    """Collects what ended; the program's exit code once it is among them."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return None
        if pid == 0:
            return None
        if pid == program:
            return os.waitstatus_to_exitcode(status)


def _watch(program: int) -> int:
    while True:
        number = signal.sigwait(_WAITED)
        if number == signal.SIGUSR1:
            return -signal.SIGKILL
        if number == signal.SIGCHLD:
            code = _reap(program)
            if code is not None:
                return code
        else:
            os.kill(program, number)


def main() -> None:
    """``guard.py USER PROGRAM ARGUMENT...``; ends the way the program ended."""
    user, *argv = sys.argv[1:]
    signal.pthread_sigmask(signal.SIG_BLOCK, _WAITED)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    code = _watch(_fork(user, argv))
    _kill_all()
    if code >= 0:
        os._exit(code)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _WAITED)
    if -code not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)


if __name__ == "__main__":
    main()
