"""One feed's messages a second to 500 clients, the time from publishing to receipt, and what a stalled client changes.

The feed is the platform's own process, behind the real Redis and PostgreSQL; the records are those of the trading core,
published as an engine's publisher would, and say when they were. The clients read in a process of their own.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from time import time_ns
from typing import Any

import psutil
import uvloop
from feed_readers import connected
from rounds import report

from stack.accounts import generate_accounts
from stack.embedded import EmbeddedStack
from stack.options import StackOptions
from stack.postgres.sessions import connection
from stack.topology import Instrument, Topology, platform_topology
from trading.core.commands import ChangePhase, Command, Deposit, ListInstrument, OpenAccount, PlaceOrder
from trading.core.exchange import Exchange
from trading.core.orders import AccountId, OrderType, Phase, Side, Symbol, TimeInForce
from trading.core.orders import Instrument as Terms
from trading.infra import redis
from trading.wire.journal import JournalRecord, encode_command, encode_events, encode_record

SYMBOL = Symbol("AAA")
CLIENTS = 500
GOAL = 50_000  # messages a second
OFFERED = 60_000
P99_GOAL_MS = 100.0
STALLED_GOAL = 1.1  # times the p99 without it
ROUNDS = 5
ROUND_S = 0.8
# Three records: an order rests (book, quote), another takes it (trade, book, quote), a third waits deep in the book
# (book, and the quote's other side).
RECORDS, MESSAGES = 3, 7
EARLIER = 1_400  # such threes before anything is measured: for the client that resumes, and then reads nothing
SHARE = DOLLAR = 10**6


class Market:
    """An exchange of its own, whose records go on where the platform's journal ends."""

    def __init__(self, sequence: int, symbol_sequence: int, epoch: int) -> None:
        self._exchange = Exchange()
        self.sequence, self.symbol_sequence, self._epoch = sequence, symbol_sequence, epoch
        terms = Terms(SYMBOL, 10_000, 100, SHARE, 100 * DOLLAR, 1_000_000, 0, 1)
        accounts = [AccountId(1), AccountId(2)]
        for command in (
            ListInstrument(1, terms),
            ChangePhase(1, SYMBOL, Phase.CONTINUOUS),
            *(OpenAccount(1, account) for account in accounts),
            *(Deposit(1, account, "USD", 10**15) for account in accounts),
            *(Deposit(1, account, SYMBOL, 10**13) for account in accounts),
        ):
            assert isinstance(self._exchange.apply(command), list)
        self._orders = self._flow()

    def next(self) -> tuple[int, bytes]:
        """The next record, of this moment, with its number."""
        return self._record(next(self._orders))

    def _flow(self) -> Iterator[PlaceOrder]:
        number = 0
        while True:
            number += 3
            for offset, (account, side, price) in enumerate(
                ((1, Side.SELL, 100 * DOLLAR), (2, Side.BUY, 100 * DOLLAR), (2, Side.BUY, 90 * DOLLAR))
            ):
                yield PlaceOrder(
                    time_ns(), AccountId(account), f"f{number + offset}", SYMBOL, side,
                    OrderType.LIMIT, TimeInForce.DAY, SHARE, price,
                )  # fmt: skip

    def _record(self, command: Command) -> tuple[int, bytes]:
        events = self._exchange.apply(command)
        assert isinstance(events, list), events
        self.sequence += 1
        self.symbol_sequence += 1
        record = JournalRecord(
            sequence=self.sequence,
            epoch=self._epoch,
            at_ns=command.at_ns,
            symbol=SYMBOL,
            symbol_sequence=self.symbol_sequence,
            command=command,
            events=events,
        )
        return self.sequence, encode_record(record, encode_command(command), encode_events(events))


class ReaderProcess:
    """The clients' end, asked for what it has seen."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, url: str, requests: list[dict[str, Any]]) -> ReaderProcess:
        settings = json.dumps({"url": url, "requests": requests, "clients": CLIENTS})
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", "from feed_readers import main; main()", settings),
            cwd=Path(__file__).parent,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        readers = cls(process)
        await readers._line()
        return readers

    async def begin(self) -> None:
        await self._ask("begin")

    async def report(self, messages: int) -> dict[str, float]:
        """What was measured, once all of ``messages`` have arrived."""
        async with asyncio.timeout(10):
            while True:
                answer: dict[str, float] = json.loads(await self._ask("report"))
                if answer["messages"] >= messages:
                    return answer
                await asyncio.sleep(0.05)

    async def end(self) -> None:
        self._say("end")
        await self._process.wait()

    async def _ask(self, what: str) -> str:
        self._say(what)
        return await self._line()

    def _say(self, what: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{what}\n".encode())

    async def _line(self) -> str:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise SystemExit("the readers ended")
        return line.decode().strip()


def topology() -> Topology:
    accounts = generate_accounts(2, cash_micros=10**9, shares={})
    return platform_topology(instruments=[Instrument(SYMBOL, 10_000, 100 * DOLLAR)], accounts=accounts, engines=1)


async def market_after(stack: EmbeddedStack) -> Market:
    async with connection(stack.postgres_dsn("postgres:primary")) as database:
        sequence, epoch = await database.fetchrow("SELECT sequence, epoch FROM journal ORDER BY sequence DESC LIMIT 1")
        symbols = await database.fetchval("SELECT max(symbol_sequence) FROM journal WHERE symbol = $1", SYMBOL)
    return Market(sequence, symbols, epoch)


async def offer(market: Market, stream: redis.Redis, rate: float, seconds: float) -> int:
    """Publishes records evenly, so that clients get ``rate`` messages a second; returns how many in all."""
    pause_s = CLIENTS * MESSAGES / RECORDS / rate
    records = round(seconds / pause_s / RECORDS) * RECORDS
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    for number in range(records):
        await asyncio.sleep(began_s + number * pause_s - loop.time())
        after = market.sequence
        await redis.publish(stream, [market.next()], after=after)
    return records // RECORDS * MESSAGES * CLIENTS


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with EmbeddedStack(topology(), StackOptions(Path(folder))) as stack:
            status = stack.status()
            market = await market_after(stack)
            stream = redis.connect(stack.redis_url)
            for _ in range(EARLIER):
                after = market.sequence
                await redis.publish(stream, [market.next() for _ in range(RECORDS)], after=after)
            account = status.accounts[0]
            url = f"{status.endpoints['feed'][0]}/v2/iex"
            login = {"action": "auth", "key": account.key_id, "secret": account.secret_key}
            channels = {channel: [SYMBOL] for channel in ("trades", "quotes", "orderbooks")}
            subscribe = {"action": "subscribe", **channels}
            readers = await ReaderProcess.start(url, [login, subscribe])
            (pid,) = (node.pid for node in status.nodes if node.name == "feed:1")
            assert pid is not None
            feed = psutil.Process(pid)
            await asyncio.sleep(0.5)
            rates: list[float] = []
            p99s: dict[bool, list[float]] = {False: [], True: []}
            costs_us: list[float] = []
            for _ in range(ROUNDS):
                for stalled in (False, True):
                    resume = {"resume_from": {SYMBOL: market.symbol_sequence - 3_900}}
                    client = connected(url, [login, {**subscribe, **resume}]) if stalled else None
                    await asyncio.sleep(0.3)
                    await readers.begin()
                    used_s = sum(feed.cpu_times()[:2])
                    offered = await offer(market, stream, OFFERED, ROUND_S)
                    measured = await readers.report(offered)
                    costs_us.append((sum(feed.cpu_times()[:2]) - used_s) / offered * 1e6)
                    rates.append(measured["messages"] / measured["seconds"])
                    p99s[stalled].append(measured["p99_ms"])
                    if client is not None:
                        client.close()
            await readers.end()
    print(f"{median(costs_us):.2f} us of the feed's processor a message")
    # Of the least of each: whatever else runs on this machine only ever adds to a p99, and by more than a tenth.
    stalled_ratio = min(p99s[True]) / min(p99s[False])
    for words, found in (("p99", p99s[False]), ("with a stalled client", p99s[True])):
        print(f"{words}: {', '.join(f'{figure:.1f}' for figure in found)} ms")
    report(
        "feed fan-out to 500 clients",
        unit="messages/s",
        goal=GOAL,
        rates={"delivered": rates},
        at_most={"p99_ms": (median(p99s[False]), P99_GOAL_MS), "stalled_ratio": (stalled_ratio, STALLED_GOAL)},
    )


if __name__ == "__main__":
    uvloop.run(main())
