"""Account and order reads a second over HTTP, generator included, against a bare FastAPI GET of the same run.

The whole platform runs as it does for users, with two apis. Closed loop with 64 connections; the accounts hold shares
and have open orders, and every answer is looked at.
"""

from __future__ import annotations

import asyncio
import gc
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from time import perf_counter
from urllib.parse import urlsplit

import uvloop
from order_client import Connection, OrderClient
from orders_over_http import SYMBOLS, bare_server, listening, topology
from rounds import report

from stack.embedded import EmbeddedStack
from stack.options import StackOptions
from stack.postgres.sessions import connection
from stack.status import AccountStatus
from trading.wire.orders import order_uuid

ROUNDS = 3
ROUND_S = 0.7
WARM_UP_S = 0.3
CONNECTIONS = 64
ORDERS = 400
LEAST = 0.5
KINDS = ("account reads over HTTP", "order reads over HTTP")


class Reader:
    """Sends requests that are encoded already, each connection one after another."""

    def __init__(self, urls: Sequence[str], requests: Sequence[bytes], must_hold: bytes) -> None:
        self._servers = [urlsplit(url) for url in urls]
        self._requests, self._must_hold = requests, must_hold
        self._draw = random.Random(7)

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        self._connections: list[Connection] = []
        for number in range(CONNECTIONS):
            server = self._servers[number % len(self._servers)]
            _, connection = await loop.create_connection(Connection, server.hostname, server.port)
            self._connections.append(connection)

    async def rate(self, seconds: float) -> float:
        """Answers a second; ends the benchmark at one that is not what was asked for."""
        started, answered = perf_counter(), 0

        async def one(connection: Connection) -> None:
            nonlocal answered
            while perf_counter() - started < seconds:
                status, body = await connection.post(self._draw.choice(self._requests))
                if status != 200 or self._must_hold not in body:
                    raise SystemExit(f"refused: {status} {body.decode()}")
                answered += 1

        await asyncio.gather(*(one(connection) for connection in self._connections))
        return answered / (perf_counter() - started)

    def close(self) -> None:
        for open_one in self._connections:
            open_one.close()


def get(path: str, account: AccountStatus) -> bytes:
    return (
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n"
        f"APCA-API-KEY-ID: {account.key_id}\r\nAPCA-API-SECRET-KEY: {account.secret_key}\r\n\r\n"
    ).encode()


async def order_ids(stack: EmbeddedStack) -> list[tuple[int, str]]:
    """Owner's number and public id of every order."""
    async with connection(stack.postgres_dsn()) as database:
        rows = await database.fetch("SELECT account_id, order_id FROM orders WHERE client_order_id IS NOT NULL")
    return [(row["account_id"], order_uuid(row["order_id"])) for row in rows]


async def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with EmbeddedStack(topology(), StackOptions(folder / "logs")) as stack, bare_server(folder) as bare:
            await listening(bare)
            status = stack.status()
            async with OrderClient(status.endpoints["api"], status.accounts, SYMBOLS, connections=16) as orders:
                await asyncio.gather(*(orders.place() for _ in range(ORDERS)))
            accounts = {account.account_id: account for account in status.accounts}
            own = [get(f"/v2/orders/{order_id}", accounts[owner]) for owner, order_id in await order_ids(stack)]
            account_reads = [get("/v2/account", account) for account in status.accounts]
            readers = {
                KINDS[0]: Reader(status.endpoints["api"], account_reads, b'"equity"'),
                KINDS[1]: Reader(status.endpoints["api"], own, b'"filled_qty"'),
                "bare FastAPI GET": Reader([bare], [get("/v2/account", status.accounts[0])], b'"equity"'),
            }
            for reader in readers.values():
                await reader.open()
                await reader.rate(WARM_UP_S)
            gc.freeze()
            rates: dict[str, list[float]] = {contender: [] for contender in readers}
            for _ in range(ROUNDS):
                for contender, reader in readers.items():
                    rates[contender].append(await reader.rate(ROUND_S))
            for reader in readers.values():
                reader.close()
    for contender in KINDS:
        print(f"{contender:40} {median(rates[contender]):14,.0f} reads/s")
    slower = [min(both) for both in zip(*(rates.pop(contender) for contender in KINDS), strict=True)]
    report(
        "account and order reads over HTTP",
        unit="reads/s",
        goal=0,
        rates={"the slower of account and order reads": slower, **rates},
        least={"bare FastAPI GET": LEAST},
    )


if __name__ == "__main__":
    uvloop.run(main())
