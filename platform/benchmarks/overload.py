"""Three times the orders the platform can take: how many are still acknowledged, how soon the others are refused.

Rounds alternate between a closed loop, whose rate is the peak, and an open loop at three times that, which sends on
schedule whatever happens. The generator shares the machine, and on two processors carrying that much traffic takes
orders from any platform: so a third contender is the closed loop while the excess, twice the peak, goes to the cheapest
server there can be, which refuses it unread. The goal is meant against that; the plain ratio stands beside it, and the
one per second of processor that the platform's own processes got.
"""

from __future__ import annotations

import asyncio
import gc
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import perf_counter
from uuid import uuid4

import psutil
import uvloop
from order_client import Connection, OrderClient
from orders_over_http import (
    BARE_REFUSAL,
    CONNECTIONS,
    SYMBOLS,
    bare_server,
    closed_loop,
    listening,
    topology,
    verify,
)
from rounds import report

from stack.embedded import EmbeddedStack
from stack.options import StackOptions

ROUNDS = 3
PEAK_S = 2.5
OVERLOAD_S = 2.5
WARM_UP_S = 1.5
OVERLOAD = 3.0
MOST_CONNECTIONS = 4_000
LEAST_RATIO = 0.9
REFUSED_P50_GOAL_MS = 50.0
GROWTH_GOAL_MB = 64.0
BESIDE = "peak beside the excess refused elsewhere"
_TICK_S = 0.002


@dataclass
class Tally:
    """What became of the requests of one open loop. ``unsent``: no connection was free for them any more."""

    statuses: Counter[int] = field(default_factory=Counter)
    refused_ms: list[float] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    unsent: int = 0


class Flood:
    """Orders on schedule, each on a free connection; there are more connections than the platform lets in."""

    def __init__(self, client: OrderClient) -> None:
        self._client = client
        self._idle: list[Connection] = []
        self._all: list[Connection] = []

    async def connect(self) -> None:
        while len(self._all) < MOST_CONNECTIONS:
            self._all += await asyncio.gather(*(self._client.connect() for _ in range(100)))
        self._idle = list(self._all)

    def close(self) -> None:
        for connection in self._all:
            connection.close()

    async def run(self, rate: float, seconds: float) -> tuple[Tally, float]:
        """The tally, and the acknowledged orders a second while the flood lasted."""
        tally, started, sent = Tally(), perf_counter(), 0
        async with asyncio.TaskGroup() as tasks:
            while (elapsed := perf_counter() - started) < seconds:
                while sent < elapsed * rate:
                    sent += 1
                    if self._idle:
                        tasks.create_task(self._one(self._idle.pop(), tally))
                    else:
                        tally.unsent += 1
                await asyncio.sleep(_TICK_S)
            goodput = len(tally.acknowledged) / seconds
        return tally, goodput

    async def _one(self, connection: Connection, tally: Tally) -> None:
        client_order_id = uuid4().hex
        began_s = perf_counter()
        status, _ = await connection.post(self._client.request(client_order_id))
        tally.statuses[status] += 1
        if status == 200:
            tally.acknowledged.append(client_order_id)
        else:
            tally.refused_ms.append((perf_counter() - began_s) * 1e3)
        self._idle.append(connection)


class Platform:
    """What the platform's own processes use of the machine."""

    def __init__(self, stack: EmbeddedStack) -> None:
        processes = {node.name: psutil.Process(node.pid) for node in stack.status().nodes if node.pid}
        self._apis = [process for name, process in processes.items() if name.startswith("api")]
        self._all = list(processes.values())

    def cpu_s(self) -> float:
        """Of all processes, with those that PostgreSQL forked."""
        everybody = {process for one in self._all for process in (one, *one.children(recursive=True))}
        return sum(sum(process.cpu_times()[:2]) for process in everybody)

    def apis_mb(self) -> float:
        return sum(process.memory_info().rss for process in self._apis) / 2**20


async def beside(client: OrderClient, excess: Flood, rate: float, seconds: float) -> float:
    """Orders a second of the closed loop while ``excess`` is sent, and refused, elsewhere."""
    goodput, (tally, _) = await asyncio.gather(closed_loop(client, seconds), excess.run(rate, seconds))
    if set(tally.statuses) != {503}:
        raise SystemExit(f"the bare server answered {dict(tally.statuses)}")
    return goodput


async def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with (
            EmbeddedStack(topology(), StackOptions(folder / "logs")) as stack,
            bare_server(folder, BARE_REFUSAL) as bare,
        ):
            await listening(bare)
            status, platform = stack.status(), Platform(stack)
            urls = status.endpoints["api"]
            async with (
                OrderClient(urls, status.accounts, SYMBOLS, connections=CONNECTIONS) as client,
                OrderClient([bare], status.accounts, SYMBOLS, connections=0) as elsewhere,
            ):
                flood, excess = Flood(client), Flood(elsewhere)
                await flood.connect()
                await excess.connect()
                await closed_loop(client, WARM_UP_S)
                gc.freeze()
                rates: dict[str, list[float]] = {
                    f"acknowledged at {OVERLOAD:g} x capacity": [],
                    BESIDE: [],
                    "peak": [],
                }
                goodputs, limits, peaks = rates.values()
                per_cpu: list[float] = []
                tallies: list[Tally] = []
                sizes_mb: list[float] = []
                for _ in range(ROUNDS):
                    before_s = platform.cpu_s()
                    peaks.append(await closed_loop(client, PEAK_S))
                    peak_cpu = (platform.cpu_s() - before_s) / PEAK_S
                    before_s = platform.cpu_s()
                    tally, goodput = await flood.run(OVERLOAD * peaks[-1], OVERLOAD_S)
                    cpu = (platform.cpu_s() - before_s) / OVERLOAD_S
                    goodputs.append(goodput)
                    per_cpu.append(goodput / cpu / (peaks[-1] / peak_cpu))
                    limits.append(await beside(client, excess, (OVERLOAD - 1) * peaks[-1], OVERLOAD_S))
                    tallies.append(tally)
                    sizes_mb.append(platform.apis_mb())
                flood.close()
                excess.close()
            acknowledged = [order for tally in tallies for order in tally.acknowledged]
            await verify(stack, acknowledged)
    statuses = sum((tally.statuses for tally in tallies), Counter())
    refused_ms = [one for tally in tallies for one in tally.refused_ms]
    print(f"answers {dict(statuses)}; not sent for want of a connection {sum(tally.unsent for tally in tallies):,}")
    print(f"per second of the platform's own processor time: {median(per_cpu):.2f} of the peak's")
    report(
        "orders under overload",
        unit="orders/s",
        goal=LEAST_RATIO * median(limits),
        rates=rates,
        least={BESIDE: LEAST_RATIO},
        at_most={
            "refused_p50_ms": (median(refused_ms) if refused_ms else 0.0, REFUSED_P50_GOAL_MS),
            "apis_growth_mb": (sizes_mb[-1] - sizes_mb[0], GROWTH_GOAL_MB),
        },
    )


if __name__ == "__main__":
    uvloop.run(main())
