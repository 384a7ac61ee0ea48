"""Orders a second through api, engine and synchronous commit, generator included, against a bare FastAPI POST.

The whole platform runs as it does for users: two apis, engine and its standby, PostgreSQL with a synchronous standby,
Redis, feed. Closed loop with 256 connections for the rate; then an open loop at half of the goal for the latency,
counted from the intended start of each order. Afterwards every acknowledged order is looked for in both databases.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import perf_counter, process_time
from urllib.parse import urlsplit

import uvloop
from order_client import OrderClient
from rounds import report

from stack.accounts import generate_accounts
from stack.embedded import EmbeddedStack
from stack.options import StackOptions
from stack.ports import PortReserve
from stack.postgres.sessions import connection
from stack.topology import Instrument, Topology, platform_topology

ROUNDS = 3
ROUND_S = 4.0
WARM_UP_S = 2.0
OPEN_LOOP_S = 8.0
CONNECTIONS = 256  # fewer, and the machine waits for them a third of the time
GOAL = 3_000
P99_GOAL_MS = 20.0
REPLAY_S = 10.0
_HERE = Path(__file__).parent
BARE_API = ("-m", "uvicorn", "bare_api:app", "--app-dir", str(_HERE), "--log-level", "error", "--port")
BARE_REFUSAL = (str(_HERE / "bare_refusal.py"),)
SYMBOLS = ("AAA", "BBB")


def topology() -> Topology:
    accounts = generate_accounts(20, cash_micros=10**14, shares=dict.fromkeys(SYMBOLS, 10**7))
    return platform_topology(instruments=[Instrument(s, 10_000, 100_000_000) for s in SYMBOLS], accounts=accounts)


async def closed_loop(client: OrderClient, seconds: float) -> float:
    """Orders a second."""
    started, before = perf_counter(), len(client.acknowledged)

    async def one() -> None:
        while perf_counter() - started < seconds:
            await client.place()

    await asyncio.gather(*(one() for _ in range(CONNECTIONS)))
    return (len(client.acknowledged) - before) / (perf_counter() - started)


async def open_loop(client: OrderClient, rate: float) -> list[float]:
    """Response times in ms, sorted, of Poisson arrivals at ``rate`` a second."""
    draw, started, offset_s = random.Random(11), perf_counter(), 0.0
    times_ms: list[float] = []

    async def one(intended_s: float) -> None:
        await client.place()
        times_ms.append((perf_counter() - intended_s) * 1e3)

    async with asyncio.TaskGroup() as tasks:
        while offset_s < OPEN_LOOP_S:
            offset_s += draw.expovariate(rate)
            await asyncio.sleep(max(0.0, started + offset_s - perf_counter()))
            tasks.create_task(one(started + offset_s))
    return sorted(times_ms)


@asynccontextmanager
async def bare_server(folder: Path, argv: tuple[str, ...] = BARE_API) -> AsyncIterator[str]:
    """The URL of a peer: Python started with these arguments, then the port."""
    with PortReserve(folder) as ports:
        port = ports.take()
        process = await asyncio.create_subprocess_exec(sys.executable, *argv, str(port), env=dict(os.environ))
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            await process.wait()


async def listening(url: str) -> None:
    server = urlsplit(url)
    for _ in range(200):
        try:
            _, writer = await asyncio.open_connection(server.hostname, server.port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
    raise SystemExit(f"{url} does not answer")


async def verify(stack: EmbeddedStack, client_order_ids: list[str]) -> None:
    """Ends the benchmark unless both servers hold every one of these orders; the standby may still be replaying."""
    count = "SELECT count(*) FROM orders WHERE client_order_id = ANY($1::text[])"
    for server in ("postgres:primary", "postgres:standby"):
        async with connection(stack.postgres_dsn(server)) as database, asyncio.timeout(REPLAY_S):
            while await database.fetchval(count, client_order_ids) != len(client_order_ids):
                await asyncio.sleep(0.1)


async def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with EmbeddedStack(topology(), StackOptions(folder / "logs")) as stack, bare_server(folder) as bare:
            await listening(bare)
            status = stack.status()
            async with (
                OrderClient(status.endpoints["api"], status.accounts, SYMBOLS, connections=CONNECTIONS) as platform,
                OrderClient([bare], status.accounts, SYMBOLS, connections=CONNECTIONS) as peer,
            ):
                clients = {"durable orders over HTTP": platform, "bare FastAPI POST": peer}
                for client in clients.values():
                    await closed_loop(client, WARM_UP_S)
                gc.freeze()
                rates: dict[str, list[float]] = {contender: [] for contender in clients}
                for _ in range(ROUNDS):
                    for contender, client in clients.items():
                        rates[contender].append(await closed_loop(client, ROUND_S))
                began_s = process_time()
                times_ms = await open_loop(platform, GOAL / 2)
                generator_us = (process_time() - began_s) / len(times_ms) * 1e6
            await verify(stack, platform.acknowledged)
    p50_ms, p99_ms = (times_ms[int(len(times_ms) * part)] for part in (0.50, 0.99))
    print(f"{len(platform.acknowledged):,} acknowledged orders are in both databases")
    print(f"at {GOAL // 2:,} orders/s: p50 {p50_ms:.1f} ms, p99 {p99_ms:.1f} ms; generator {generator_us:.0f} us each")
    report(
        "durable orders over HTTP",
        unit="orders/s",
        goal=GOAL,
        rates=rates,
        at_most={"p99_ms_at_half": (p99_ms, P99_GOAL_MS)},
    )


if __name__ == "__main__":
    uvloop.run(main())
