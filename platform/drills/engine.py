"""Failover drills of the engine under load (``python -m drills.engine``): exit code 1 if anything is lost or twice."""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import asyncpg

from drills.load import Load
from drills.tally import HEADINGS, Tally, judge, written_in
from stack.accounts import generate_accounts
from stack.embedded import EmbeddedStack
from stack.errors import UnresolvedError
from stack.options import StackOptions
from stack.topology import Instrument, Role, Topology, platform_topology

CLIENTS: Final = 12
_LIMIT_S: Final = 20.0
_COMMITTING: Final = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE 'WITH fence%'"


@dataclass(frozen=True)
class Drill:
    """The platform, its load, and a connection to the primary to look with."""

    stack: EmbeddedStack
    load: Load
    primary: asyncpg.Connection[Any]
    random: random.Random

    async def crash(self) -> int:
        """kill -9 of the active engine."""
        name, _ = await self._active()
        await self._outage(self.stack.kill(name), name)
        return 0

    async def freeze(self) -> int:
        """SIGSTOP of the active engine; SIGCONT once another leads. Returns what the zombie wrote, as all drills do."""
        name, epoch = await self._active()
        await self._outage(self.stack.freeze(name), name)
        return await self._wake(name, epoch)

    async def freeze_in_a_commit(self) -> int:
        """SIGSTOP while its transaction waits for the standby, which then lets it commit without the engine knowing."""
        name, epoch = await self._active()
        await self.stack.freeze("postgres:standby")
        while not await self.primary.fetch(_COMMITTING):
            await asyncio.sleep(0.002)
        await self.stack.freeze(name)
        await self._outage(self.stack.resume("postgres:standby"), name)
        return await self._wake(name, epoch)

    async def crash_of_both(self) -> int:
        """kill -9 of both engines, then both start."""
        names = [node.name for node in self.stack.topology.nodes if node.role is Role.ENGINE]
        await asyncio.gather(*(self.stack.kill(name) for name in names))
        since_s = time.monotonic()
        await asyncio.gather(*(self.stack.restart(name) for name in names))
        await self.load.answers_again(since_s)
        return 0

    async def crash_while_taking_over(self) -> int:
        """kill -9 of the active engine, and of the other about when it takes over."""
        name, _ = await self._active()
        (other,) = (n.name for n in self.stack.topology.nodes if n.role is Role.ENGINE and n.name != name)
        await self.stack.kill(name)
        await asyncio.sleep(self.random.uniform(0.3, 0.6))
        await self.stack.kill(other)
        since_s = time.monotonic()
        await asyncio.gather(*(self.stack.restart(engine) for engine in (name, other)))
        await self.load.answers_again(since_s)
        return 0

    async def _outage(self, fault: Awaitable[object], name: str) -> None:
        """Applies the fault; returns when another engine than ``name`` leads and has acknowledged something."""
        await fault
        while (await self._active())[0] == name:
            await asyncio.sleep(0.02)
        await self.load.answers_again(time.monotonic())

    async def _wake(self, name: str, epoch: int) -> int:
        """SIGCONT to the deposed engine, which has to end. Returns how many records it wrote first."""
        before, pid = await written_in(self.primary, epoch), self.stack.node(name).pid
        await self.stack.resume(name)
        while self.stack.node(name).pid == pid:
            await asyncio.sleep(0.01)
        return await written_in(self.primary, epoch) - before

    async def _active(self) -> tuple[str, int]:
        """The leader's name and epoch, once there is one."""
        while True:
            try:
                (node,) = await self.stack.resolve("engine:active")
                async with aiohttp.ClientSession() as http, http.get(self.stack.base_url(node.name) + "/state") as said:
                    state = await said.json()
                if state["role"] == "active":
                    return node.name, state["epoch"]
            except (UnresolvedError, aiohttp.ClientError, OSError):
                pass
            await asyncio.sleep(0.01)

    async def both_ready(self) -> None:
        for node in self.stack.topology.nodes:
            if node.role is Role.ENGINE and self.stack.node(node.name).state != "ready":
                await self.stack.restart(node.name)


KINDS: Final[Mapping[str, Callable[[Drill], Awaitable[int]]]] = {
    "kill -9": Drill.crash,
    "freeze": Drill.freeze,
    "freeze in a commit": Drill.freeze_in_a_commit,
    "crash of both": Drill.crash_of_both,
    "crash while taking over": Drill.crash_while_taking_over,
}


def topology() -> Topology:
    accounts = generate_accounts(CLIENTS, cash_micros=10**15, shares={"AAA": 10**8})
    return platform_topology(instruments=[Instrument("AAA", 10_000, 100_000_000)], accounts=accounts)


async def run_drills(counts: Mapping[str, int], options: StackOptions, *, seed: int = 1) -> dict[str, Tally]:
    """As many drills of each kind as asked for, all on one platform that is never started anew."""
    tallies = {kind: Tally() for kind in counts}
    async with EmbeddedStack(topology(), options) as stack:
        primary = await asyncpg.connect(stack.postgres_dsn())
        try:
            async with Load(stack.status(), CLIENTS) as load:
                drill = Drill(stack, load, primary, random.Random(seed))
                await load.answers_again(time.monotonic())
                for kind, count in counts.items():
                    for _ in range(count):
                        await _one(drill, KINDS[kind], tallies[kind])
                    await _judge(drill, tallies[kind])
                await load.drain()
                await _judge(drill, tallies[kind])
        finally:
            primary.terminate()
    return tallies


async def _one(drill: Drill, fault: Callable[[Drill], Awaitable[int]], tally: Tally) -> None:
    async with asyncio.timeout(_LIMIT_S):
        since_s = time.monotonic()
        tally.zombie_writes += await fault(drill)
        tally.outages_s.append(drill.load.longest_gap_s(since_s))
        await drill.both_ready()


async def _judge(drill: Drill, tally: Tally) -> None:
    acknowledged, refused = drill.load.acknowledged, drill.load.refused
    drill.load.acknowledged, drill.load.refused = {}, []
    tally.refused += len(refused)
    await judge(drill.primary, tally, acknowledged)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--drills", type=int, default=20, help="of kill -9 and of freeze")
    parser.add_argument("--others", type=int, default=4, help="of each other kind")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    counts = {kind: chosen.drills if kind in ("kill -9", "freeze") else chosen.others for kind in KINDS}
    with tempfile.TemporaryDirectory() as folder:
        tallies = asyncio.run(run_drills(counts, StackOptions(Path(folder) / "logs"), seed=chosen.seed))
    print(f"{'':24}{HEADINGS}")
    for kind, tally in tallies.items():
        print(f"{kind:24}{tally.line()}")
    sys.exit(0 if all(tally.sound for tally in tallies.values()) else 1)


if __name__ == "__main__":
    main()
