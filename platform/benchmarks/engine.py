"""Orders a second that one engine makes durable on the primary and its synchronous standby, without an api.

Batches of commands go straight to the engine over a few connections, as a busy api would send them. Peer: pgbench with
eight clients that insert single rows into the same pair of servers, each waiting for the synchronous commit.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import tempfile
from itertools import count
from pathlib import Path
from time import perf_counter

import aiohttp
import uvloop
from rounds import report

from stack.accounts import generate_accounts
from stack.binaries import postgres_folder
from stack.embedded import EmbeddedStack
from stack.options import StackOptions
from stack.postgres.sessions import connection
from stack.topology import Instrument, Role, platform_topology
from trading.core.commands import PlaceOrder
from trading.core.orders import MICROS_PER_SHARE, AccountId, OrderType, Side, Symbol, TimeInForce
from trading.wire.engine import COMMANDS_PATH, NO_DEADLINE_NS, Done, decode_answers, encode_commands
from trading.wire.journal import encode_command

GOAL = 10_000
ROUNDS = 3
ROUND_S = 4.0
WARM_UP_S = 2.0
CONNECTIONS = 4
BATCH = 250
ACCOUNTS = 20
PGBENCH_CLIENTS = 8
SYMBOLS = ("AAA", "BBB")
ROLES = frozenset({Role.POSTGRES, Role.REDIS, Role.SENTINEL, Role.TOXIPROXY, Role.ENGINE})

_numbers = count(1)
_chance = random.Random(5)


def order() -> bytes:
    """A limit order of 1 to 10 shares, one in ten of which trades at once."""
    number, side = next(_numbers), _chance.choice((Side.BUY, Side.SELL))
    cents = _chance.randint(1, 50) if _chance.random() < 0.9 else -1
    price_micros = 100_000_000 + (-cents if side is Side.BUY else cents) * 10_000
    command = PlaceOrder(
        0,
        AccountId(number % ACCOUNTS + 1),
        f"order-{number}",
        Symbol(SYMBOLS[number % len(SYMBOLS)]),
        side,
        OrderType.LIMIT,
        TimeInForce.DAY,
        _chance.randint(1, 10) * MICROS_PER_SHARE,
        price_micros,
    )
    return encode_command(command)


async def load(http: aiohttp.ClientSession, url: str, seconds: float) -> float:
    """Acknowledged orders a second; every one must be accepted."""
    started, acknowledged = perf_counter(), 0

    async def one() -> None:
        nonlocal acknowledged
        while perf_counter() - started < seconds:
            body = encode_commands((NO_DEADLINE_NS, order()) for _ in range(BATCH))
            async with http.post(url, data=body) as response:
                answers = decode_answers(await response.read())
            refused = [answer for answer in answers if not isinstance(answer, Done)]
            assert not refused, refused[0]
            acknowledged += len(answers)

    await asyncio.gather(*(one() for _ in range(CONNECTIONS)))
    return acknowledged / (perf_counter() - started)


async def single_rows(dsn: str, script: Path) -> float:
    """pgbench's transactions a second."""
    argv = ["-n", "-f", str(script), "-c", str(PGBENCH_CLIENTS), "-j", "1", "-T", str(round(ROUND_S)), dsn]
    process = await asyncio.create_subprocess_exec(
        str(postgres_folder() / "pgbench"), *argv, stdout=asyncio.subprocess.PIPE, env=dict(os.environ)
    )
    printed, _ = await process.communicate()
    found = re.search(rb"tps = ([0-9.]+)", printed)
    assert found is not None, printed
    return float(found[1])


async def main() -> None:
    accounts = generate_accounts(ACCOUNTS, cash_micros=10**15, shares=dict.fromkeys(SYMBOLS, 10**7))
    instruments = [Instrument(symbol, 10_000, 100_000_000) for symbol in SYMBOLS]
    topology = platform_topology(instruments=instruments, accounts=accounts, engines=1)
    with tempfile.TemporaryDirectory() as name:
        script = Path(name) / "insert.sql"
        script.write_text("INSERT INTO single_rows (text) VALUES ('an order of about one hundred bytes');\n")
        async with EmbeddedStack(topology, StackOptions(Path(name) / "logs", roles=ROLES)) as stack:
            (node,) = (node for node in topology.nodes if node.role is Role.ENGINE)
            dsn, url = stack.postgres_dsn(), f"http://{stack.wiring.address(node)}{COMMANDS_PATH}"
            async with connection(dsn) as database:
                await database.execute("CREATE TABLE single_rows (id bigserial PRIMARY KEY, text text)")
            rates: dict[str, list[float]] = {"durable engine": [], "pgbench, 8 clients, single rows": []}
            async with aiohttp.ClientSession() as http:
                await load(http, url, WARM_UP_S)
                for _ in range(ROUNDS):
                    rates["durable engine"].append(await load(http, url, ROUND_S))
                    rates["pgbench, 8 clients, single rows"].append(await single_rows(dsn, script))
            async with connection(dsn) as database:
                journaled = await database.fetchval("SELECT count(*) FROM orders")
    print(f"{journaled:,} orders are in the database, of {next(_numbers) - 1:,} sent")
    report("durable engine", unit="orders/s", goal=GOAL, rates=rates, least={"pgbench, 8 clients, single rows": 1.0})


if __name__ == "__main__":
    uvloop.run(main())
