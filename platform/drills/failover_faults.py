"""What is done to the database of a whole platform under orders; each fault returns once orders go on after it."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import aiohttp
import asyncpg
import psutil

from drills.load import Load
from stack.embedded import EmbeddedStack
from stack.errors import ControlError, StackError, UnresolvedError
from stack.postgres import sessions
from stack.postgres.alone import whole
from stack.postgres.nodes import RECEIVER
from stack.topology import POSTGRES_PRIMARY, POSTGRES_STANDBY, Link, Role

_POLL_S: Final = 0.01
_BACK_S: Final = 45.0  # for a node to run again: a rewind, or a whole copy, may come before
_CUT_S: Final = 2.0
_FULL_S: Final = 7.0  # longer than an api keeps a request
_AGAIN_S: Final = 0.3
_ZOMBIE_LIMIT_S: Final = 1.0


@dataclass
class Drill:
    """A platform, its load, and what the faults found out on the way."""

    stack: EmbeddedStack
    load: Load
    random: random.Random
    zombie_writes: int = 0

    @property
    def primary(self) -> str:
        return self.stack.node(POSTGRES_PRIMARY).name

    async def kill_primary(self) -> None:
        """kill -9; its machine may start it again once another has taken its place."""
        old = self.primary
        await self.stack.kill(old)
        await self._replaced(old)
        await self._back(old)

    async def freeze_primary(self) -> None:
        """SIGSTOP. The supervisor has to end it before another takes its place."""
        old = self.primary
        await self.stack.freeze(old)
        await self._replaced(old)

    async def freeze_and_wake_primary(self) -> None:
        """SIGCONT by hand to whatever is left of it afterwards, on whose old connection somebody goes on to write."""
        old = self.primary
        pid = self.stack.node(old).pid
        assert pid is not None
        processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        client = await asyncpg.connect(self.stack.postgres_dsn(old))
        await self.stack.freeze(old)
        await self._replaced(old)
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()
        self.zombie_writes += await _writes(client)

    async def kill_standby(self) -> None:
        node = self.stack.node(POSTGRES_STANDBY).name
        await self.stack.kill(node)
        await self._copies((RECEIVER,))
        await self._back(node)

    async def freeze_standby(self) -> None:
        await self.stack.freeze(POSTGRES_STANDBY)
        await self._copies((RECEIVER,))

    async def kill_standby_then_primary(self) -> None:
        """When only the receiver has what was acknowledged in between: the standby is fed from it."""
        old, node = self.primary, self.stack.node(POSTGRES_STANDBY).name
        await self.stack.kill(node)
        await self._copies((RECEIVER,))
        await asyncio.sleep(_AGAIN_S)
        await self.stack.kill(old)
        await asyncio.gather(self._back(node), self._replaced(old))
        await self._back(old)

    async def kill_supervisor_and_primary(self) -> None:
        """The supervisor is started again when its machine gets to it."""
        old = self.primary
        await asyncio.gather(self.stack.kill(Role.SUPERVISOR + ":1"), self.stack.kill(old))
        await asyncio.sleep(self.random.uniform(0.0, 0.5))
        await self._back(Role.SUPERVISOR + ":1")
        await self._replaced(old)
        await self._back(old)

    async def kill_supervisor_in_a_failover(self) -> None:
        """At a drawn moment of it."""
        old = self.primary
        await self.stack.kill(old)
        await asyncio.sleep(self.random.uniform(0.0, 0.4))
        await self.stack.kill(Role.SUPERVISOR + ":1")
        await self._back(Role.SUPERVISOR + ":1")
        await self._replaced(old)
        await self._back(old)

    async def kill_engine_and_primary(self) -> None:
        old, (engine,) = self.primary, await self.stack.resolve("engine:active")
        await asyncio.gather(self.stack.kill(engine.name), self.stack.kill(old))
        await self._replaced(old)
        await asyncio.gather(self._back(engine.name), self._back(old))

    async def switch_over(self) -> None:
        await self.stack.ask_supervisor("switchover")
        await self.load.answers_again(time.monotonic())

    async def cut_active_engine(self) -> None:
        """The other engine still reaches the primary."""
        links = await self.stack.resolve_links(f"engine:active->{POSTGRES_PRIMARY}")
        await self._cut(links, self.load.answers_again(time.monotonic() + _CUT_S))

    async def cut_engines(self) -> float:
        """No engine reaches the primary, which lives: nobody may take its place. Counts from the healing on."""
        old, links = self.primary, await self.stack.resolve_links(f"engine->{POSTGRES_PRIMARY}")
        await self._cut(links, asyncio.sleep(_CUT_S))
        healed_s = time.monotonic()
        await self.load.answers_again(healed_s)
        if self.primary != old:
            raise AssertionError(f"{old} lived, and {self.primary} took its place")
        return time.monotonic() - healed_s

    async def fill_disk(self) -> float:
        """To the last byte, then there is space again. Counts from there on."""
        disk = self.stack.small_disk
        assert disk is not None
        if self.primary != disk.node:
            await self.switch_over()
            await self.whole()
        disk.fill()
        await asyncio.sleep(_FULL_S)
        disk.free()
        freed_s = time.monotonic()
        await self.load.answers_again(freed_s)
        return time.monotonic() - freed_s

    async def whole(self) -> None:
        """Returns when every copy streams and counts, and every engine but one stands by: none that was deposed and
        has yet to hear of it."""
        engines = [node.name for node in self.stack.topology.nodes if node.role is Role.ENGINE]
        while not (await self._is_whole() and await self._standing_by() == len(engines) - 1):
            await asyncio.sleep(_POLL_S)

    async def _standing_by(self) -> int:
        with contextlib.suppress(UnresolvedError):
            return len(await self.stack.resolve("engine:standby"))
        return 0

    async def _is_whole(self) -> bool:
        with contextlib.suppress(ControlError):
            return whole(await self.stack.ask_supervisor("status"))
        return False

    async def _replaced(self, old: str) -> None:
        while self.primary == old:
            await asyncio.sleep(_POLL_S)
        await self.load.answers_again(time.monotonic())

    async def _copies(self, sync: tuple[str, ...]) -> None:
        """Returns when commits rest on these, and something was acknowledged since."""
        while tuple((await self.stack.ask_supervisor("status"))["sync"]) != sync:
            await asyncio.sleep(_POLL_S)
        await self.load.answers_again(time.monotonic())

    async def _back(self, name: str) -> None:
        await self.stack.restart(name, _BACK_S)

    async def _cut(self, links: Iterable[Link], meanwhile: Awaitable[object]) -> None:
        await self._let_through(links, through=False)
        try:
            await meanwhile
        finally:
            await self._let_through(links, through=True)

    async def _let_through(self, links: Iterable[Link], *, through: bool) -> None:
        async with aiohttp.ClientSession(self.stack.toxiproxy_url) as http:
            for link in links:
                async with http.post(f"/proxies/{link.name}", json={"enabled": through}) as answer:
                    if answer.status != 200:
                        raise StackError(f"{link.name}: {await answer.text()}")


async def _writes(client: asyncpg.Connection[Any]) -> int:
    """How many writes it gets acknowledged on its connection."""
    try:
        statement = "UPDATE cluster_epoch SET changed_at = now()"
        await sessions.within(client, client.execute(statement), _ZOMBIE_LIMIT_S)
    except sessions.NOT_ANSWERING:
        return 0
    finally:
        client.terminate()
    return 1


class Ground(Enum):
    """What a fault needs of the platform it is done to."""

    DIRECT = "direct links"
    PROXIED = "proxied links"
    SMALL_DISK = "a small disk"


@dataclass(frozen=True, slots=True)
class Kind:
    """A fault and its budget: seconds without an acknowledged order, at the median and at most.

    A fault that returns seconds has measured its outage itself. ``every_request``: none may fail.
    """

    fault: Callable[[Drill], Awaitable[float | None]]
    median_s: float
    longest_s: float
    ground: Ground = Ground.DIRECT
    every_request: bool = False


KINDS: Final[Mapping[str, Kind]] = {
    "primary kill -9": Kind(Drill.kill_primary, 0.5, 1.0),
    "primary frozen": Kind(Drill.freeze_primary, 2.0, 2.0),
    "primary frozen, then woken": Kind(Drill.freeze_and_wake_primary, 2.0, 2.0),
    "standby kill -9": Kind(Drill.kill_standby, 1.0, 1.0),
    "standby frozen": Kind(Drill.freeze_standby, 1.0, 1.0),
    "standby, then primary kill -9": Kind(Drill.kill_standby_then_primary, 5.0, 5.0),
    "supervisor and primary kill -9": Kind(Drill.kill_supervisor_and_primary, 5.0, 5.0),
    "supervisor kill -9 in a failover": Kind(Drill.kill_supervisor_in_a_failover, 5.0, 5.0),
    "engine and primary kill -9": Kind(Drill.kill_engine_and_primary, 2.0, 2.0),
    "switchover": Kind(Drill.switch_over, 0.5, 0.5, every_request=True),
    "active engine cut from primary": Kind(Drill.cut_active_engine, 1.0, 1.0, Ground.PROXIED),
    "both engines cut from primary": Kind(Drill.cut_engines, 1.0, 1.0, Ground.PROXIED),
    "disk full on primary": Kind(Drill.fill_disk, 1.0, 2.0, Ground.SMALL_DISK),
}
