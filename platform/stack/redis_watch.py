"""Keeps the Redis pair whole: who died, hangs or was deposed starts again as replica of whom the sentinels chose."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Final

from stack.errors import StackError
from stack.redis import Primary, RedisPair
from stack.supervisor import EventSink, NodeState, Supervisor

_POLL_S: Final = 0.2
_SILENT_LOOKS: Final = 3  # each lasts a quarter of a second
_DEPOSED_LOOKS: Final = 10  # longer than an election, in which for a moment two call themselves primary
_ELECTION_LIMIT_S: Final = 10.0
_START_LIMIT_S: Final = 10.0
_PAUSE_S: Final = 1.0  # between two starts of a server that does not stay up
_PATIENCE_S: Final = 0.4  # a primary that stood still for longer may be replaced at any moment


class RedisWatch:
    """``emit`` gets ``role_changed`` (node, role, epoch) whenever the sentinels have chosen."""

    def __init__(self, supervisor: Supervisor, pair: RedisPair, emit: EventSink) -> None:
        self._supervisor = supervisor
        self._pair = pair
        self._servers = {node.name: node for node in pair.servers}
        self._emit = emit
        self._primary = Primary(next(iter(self._servers)), -1)
        self._one_start = asyncio.Lock()  # the second of two that start learns what became of the first
        self._looks: Counter[tuple[str, str]] = Counter()
        self._frozen_at_s: dict[str, float] = {}
        self._started_at_s: dict[str, float] = {}

    @property
    def primary(self) -> str:
        """As last heard from the sentinels."""
        return self._primary.node

    @property
    def replica(self) -> str:
        return next(name for name in self._servers if name != self.primary)

    def role(self, name: str) -> str:
        return "primary" if name == self.primary else "replica"

    async def run(self) -> None:
        """Never returns."""
        while True:
            await self.ask()
            for name in sorted(self._servers, key=lambda name: name != self.primary):
                await self._tend(name)
            await asyncio.sleep(_POLL_S)

    async def ask(self) -> str:
        """The primary by the sentinels; without an answer of theirs it is who was."""
        primary = await self._pair.primary()
        if primary is not None and primary.epoch >= self._primary.epoch and primary != self._primary:
            self._primary = primary
            for name in self._servers:
                self._emit("role_changed", node=name, role=self.role(name), epoch=primary.epoch)
        return self.primary

    async def freeze(self, name: str) -> None:
        self._frozen_at_s[name] = time.monotonic()
        await self._supervisor.freeze(name)

    async def resume(self, name: str) -> None:
        """SIGCONT; but a primary that was away long enough to be replaced must not wake up beside another."""
        stood_still_s = time.monotonic() - self._frozen_at_s.get(name, 0.0)
        if self._supervisor.state(name) is NodeState.FROZEN and name == self.primary and stood_still_s > _PATIENCE_S:
            await self.restart(name, _START_LIMIT_S)
        else:
            self._supervisor.resume(name)

    async def restart(self, name: str, within_s: float) -> None:
        """Ends it if it runs, and starts it in the role that is left for it. Raises StartError."""
        async with self._one_start:
            process = self._supervisor.process(name)
            if process is not None and process.running:
                await self._supervisor.kill(name)  # there is nothing it could save
            await self._start(name, within_s)

    async def _tend(self, name: str) -> None:
        if self._one_start.locked() or time.monotonic() - self._started_at_s.get(name, 0.0) < _PAUSE_S:
            return
        if self._supervisor.ended_by_itself(name) or await self._is_useless(name):
            try:
                await self.restart(name, _START_LIMIT_S)
            except (StackError, OSError) as error:
                self._emit("node_not_ready", node=name, error=str(error))

    async def _is_useless(self, name: str) -> bool:
        """Whether it runs, but hangs while another leads, or believes to lead as another does."""
        if self._supervisor.state(name) not in (NodeState.READY, NodeState.FROZEN):
            return False
        role, follows = await self._pair.role(name), name != self.primary
        deposed = follows and role == "master" and await self._pair.role(self.primary) == "master"
        silent_for_long = self._for_long(name, "silent", role is None, _SILENT_LOOKS)
        return self._for_long(name, "deposed", deposed, _DEPOSED_LOOKS) or (follows and silent_for_long)

    def _for_long(self, name: str, what: str, seen: bool, looks: int) -> bool:
        self._looks[name, what] = self._looks[name, what] + 1 if seen else 0
        return self._looks[name, what] >= looks

    async def _start(self, name: str, within_s: float) -> None:
        began_s = time.monotonic()
        primary: str | None = await self.ask()
        while primary == name:
            # A primary comes back with nothing: its replica, which has the data, must be chosen first.
            if not self._another_runs(name) or time.monotonic() - began_s > _ELECTION_LIMIT_S:
                primary = None
            else:
                await asyncio.sleep(_POLL_S / 4)
                primary = await self.ask()
        self._pair.files.server(self._servers[name], primary=primary)
        self._looks.clear()
        try:
            await self._supervisor.restart(name, within_s)
        finally:
            self._started_at_s[name] = time.monotonic()

    def _another_runs(self, name: str) -> bool:
        return any(self._supervisor.state(other) is NodeState.READY for other in self._servers if other != name)
