"""Orders a second through api, engine and synchronous commit, generator included, against a bare FastAPI POST.

Closed loop with 64 connections for the rate; then an open loop at half of it for the latency, counted from the
intended start of each order.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import perf_counter
from uuid import uuid4

import aiohttp
from rounds import report

from stack.accounts import generate_accounts
from stack.embedded import EmbeddedStack
from stack.options import StackOptions
from stack.ports import PortReserve
from stack.status import AccountStatus
from stack.topology import Instrument, Topology, platform_topology

ROUNDS = 3
ROUND_S = 4.0
CONNECTIONS = 64
GOAL = 3_000
SYMBOLS = ("AAA", "BBB")


def topology() -> Topology:
    accounts = generate_accounts(20, cash_micros=10**14, shares=dict.fromkeys(SYMBOLS, 10**7))
    return platform_topology(instruments=[Instrument(s, 10_000, 100_000_000) for s in SYMBOLS], accounts=accounts)


class Target:
    """Where orders go, and as whom."""

    def __init__(self, http: aiohttp.ClientSession, urls: list[str], accounts: list[AccountStatus]) -> None:
        self._http, self._urls, self._accounts = http, urls, accounts
        self._random = random.Random(7)

    async def place(self) -> None:
        draw = self._random
        account, side = draw.choice(self._accounts), draw.choice(("buy", "sell"))
        cents = 10_000 + draw.randint(-20, 20) + (-3 if side == "buy" else 3)
        order = {
            "symbol": draw.choice(SYMBOLS),
            "qty": "1",
            "side": side,
            "type": "limit",
            "time_in_force": "day",
            "limit_price": f"{cents / 100:.2f}",
            "client_order_id": uuid4().hex,
        }
        headers = {"APCA-API-KEY-ID": account.key_id, "APCA-API-SECRET-KEY": account.secret_key}
        async with self._http.post(draw.choice(self._urls) + "/v2/orders", json=order, headers=headers) as response:
            answer = await response.read()
            if response.status != 200:
                raise SystemExit(f"refused: {response.status} {answer.decode()}")


async def closed_loop(target: Target) -> float:
    """Orders a second."""
    started, placed = perf_counter(), 0

    async def one() -> None:
        nonlocal placed
        while perf_counter() - started < ROUND_S:
            await target.place()
            placed += 1

    await asyncio.gather(*(one() for _ in range(CONNECTIONS)))
    return placed / (perf_counter() - started)


async def open_loop(target: Target, rate: float) -> list[float]:
    """Response times in ms, sorted, of Poisson arrivals at ``rate`` a second."""
    draw, started, offset_s = random.Random(11), perf_counter(), 0.0
    times_ms: list[float] = []

    async def one(intended_s: float) -> None:
        await target.place()
        times_ms.append((perf_counter() - intended_s) * 1e3)

    async with asyncio.TaskGroup() as tasks:
        while offset_s < ROUND_S * 2:
            offset_s += draw.expovariate(rate)
            await asyncio.sleep(max(0.0, started + offset_s - perf_counter()))
            tasks.create_task(one(started + offset_s))
    return sorted(times_ms)


@asynccontextmanager
async def bare_server(folder: Path) -> AsyncIterator[str]:
    with PortReserve(folder) as ports:
        port = ports.take()
        argv = ("bare_api:app", "--app-dir", str(Path(__file__).parent), "--port", str(port), "--log-level", "error")
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "uvicorn", *argv, env=dict(os.environ))
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            await process.wait()


async def ready(http: aiohttp.ClientSession, url: str) -> None:
    for _ in range(200):
        try:
            async with http.get(url + "/openapi.json"):
                return
        except aiohttp.ClientError:
            await asyncio.sleep(0.05)
    raise SystemExit(f"{url} does not answer")


async def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        connector = aiohttp.TCPConnector(limit=0)
        async with (
            EmbeddedStack(topology(), StackOptions(folder / "logs")) as stack,
            bare_server(folder) as bare,
            aiohttp.ClientSession(connector=connector) as http,
        ):
            await ready(http, bare)
            status = stack.status()
            platform = Target(http, status.endpoints["api"], status.accounts)
            peer = Target(http, [bare], status.accounts)
            rates: dict[str, list[float]] = {"durable orders over HTTP": [], "bare FastAPI POST": []}
            for _ in range(ROUNDS):
                for contender, target in zip(rates, (platform, peer), strict=True):
                    rates[contender].append(await closed_loop(target))
            half = sorted(rates["durable orders over HTTP"])[ROUNDS // 2] / 2
            times_ms = await open_loop(platform, half)
            p50, p99 = (times_ms[int(len(times_ms) * part)] for part in (0.50, 0.99))
            print(f"at {half:,.0f} orders/s: p50 {p50:.1f} ms, p99 {p99:.1f} ms from the intended start")
    report("durable orders over HTTP", unit="orders/s", goal=GOAL, rates=rates)


if __name__ == "__main__":
    asyncio.run(main())
