"""Notices that a process ended at once, and that one no longer answers after a few missed probes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from stack.postgres import sessions

PROBE_LIMIT_S: Final = 0.3
PAUSE_S: Final = 0.1
STRIKES: Final = 3
_OUR_OWN_FAULT_S: Final = 0.2
_NEW_EVERY_S: Final = 0.25


class ExitWatch:
    """Watches processes by pid, children or not. Use it inside one event loop."""

    def __init__(self, on_exit: Callable[[str], None]) -> None:
        self._on_exit = on_exit
        self._pidfds: dict[str, int] = {}
        self._pids: dict[str, int] = {}
        self._exits: dict[str, asyncio.Event] = {}

    def watch(self, node: str, pid: int | None) -> None:
        """Instead of whatever was watched under this name; None: it does not run."""
        self.forget(node)
        if pid is None:
            return
        try:
            self._pidfds[node] = os.pidfd_open(pid)
        except ProcessLookupError:
            self._on_exit(node)
            return
        self._pids[node], self._exits[node] = pid, asyncio.Event()
        asyncio.get_running_loop().add_reader(self._pidfds[node], self._ended, node)

    def runs(self, node: str) -> bool:
        return node in self._pidfds

    def pid(self, node: str) -> int | None:
        return self._pids.get(node)

    async def pause(self, node: str, within_s: float) -> None:
        """Shorter when the process ends meanwhile, or does not run."""
        if exited := self._exits.get(node):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    await exited.wait()

    def forget(self, node: str) -> None:
        self._pids.pop(node, None)
        if exited := self._exits.pop(node, None):
            exited.set()
        if (pidfd := self._pidfds.pop(node, None)) is not None:
            asyncio.get_running_loop().remove_reader(pidfd)
            os.close(pidfd)

    def close(self) -> None:
        for node in list(self._pidfds):
            self.forget(node)

    def _ended(self, node: str) -> None:
        self.forget(node)
        self._on_exit(node)


@dataclass(slots=True)
class NewConnections:
    """Whether a server takes new ones. It is asked four times a second while it does: each costs it a process."""

    _taken_at_s: float = float("-inf")

    async def taken(self, address: str) -> bool:
        if time.monotonic() - self._taken_at_s < _NEW_EVERY_S:
            return True
        taken = await sessions.answers(address, PROBE_LIMIT_S)
        self._taken_at_s = time.monotonic() if taken else float("-inf")
        return taken


@dataclass(slots=True)
class Strikes:
    """Counts probes missed in a row. One that passed late because this process did not get to run does not count."""

    limit_s: float = PROBE_LIMIT_S
    allowed: int = STRIKES
    _missed: int = 0
    _since_s: float = 0.0

    @property
    def out(self) -> bool:
        # Refusals come at once, as while a server recovers from a crashed backend; that is given the same time.
        patience_s = (self.allowed - 1) * (self.limit_s + PAUSE_S)
        return self._missed >= self.allowed and time.monotonic() - self._since_s >= patience_s

    async def judge(self, probe: Awaitable[bool]) -> bool:
        """Awaits the probe, which limits itself to ``limit_s``; returns whether it succeeded."""
        began_s = time.monotonic()
        if await probe:
            self._missed = 0
            return True
        if time.monotonic() - began_s < self.limit_s + _OUR_OWN_FAULT_S:
            self._since_s = began_s if self._missed == 0 else self._since_s
            self._missed += 1
        return False

    def forgive(self) -> None:
        self._missed = 0
