"""A leading engine's parts put together in the test's own process, on real servers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

from trading.core.commands import CancelOrder, ChangePhase, Command, Deposit, ListInstrument, OpenAccount, PlaceOrder
from trading.core.events import CASH
from trading.core.orders import (
    MICROS_PER_SHARE,
    AccountId,
    Instrument,
    OrderId,
    OrderType,
    Phase,
    Side,
    Symbol,
    TimeInForce,
)
from trading.engine.metrics import EngineMetrics
from trading.engine.past_orders import PastOrders
from trading.engine.payments import Payments
from trading.engine.replica import Replica
from trading.engine.sequencer import Sequencer
from trading.engine.writer import Writer
from trading.infra.database import Pool, connect
from trading.infra.leadership import Lease
from trading.wire.engine import NO_DEADLINE_NS, Answer, Submission

HOLDER = "engine:1 test"
TRADER = AccountId(1)
AAA, BBB = Symbol("AAA"), Symbol("BBB")
LISTED = Instrument(AAA, 10_000, 100, MICROS_PER_SHARE, 100_000_000, 1_000_000, 0, 10**9)
OPENINGS: list[Command] = [
    ListInstrument(0, LISTED),
    OpenAccount(0, TRADER),
    Deposit(0, TRADER, CASH, 10**15),
    ChangePhase(0, AAA, Phase.CONTINUOUS),
]

_number = count(1)


def buy(price_micros: int = 100_000_000, *, account: AccountId = TRADER, symbol: Symbol = AAA) -> PlaceOrder:
    """One share."""
    limit, day, number = OrderType.LIMIT, TimeInForce.DAY, next(_number)
    return PlaceOrder(0, account, f"o{number}", symbol, Side.BUY, limit, day, MICROS_PER_SHARE, price_micros)


def cancel(order_id: OrderId) -> CancelOrder:
    return CancelOrder(0, TRADER, order_id)


@dataclass
class Leader:
    """``committed`` collects the sequences of what became durable."""

    replica: Replica
    lease: Lease
    writer: Writer
    sequencer: Sequencer
    committed: list[int] = field(default_factory=list)

    async def submit(self, *commands: Command, deadline_ns: int = NO_DEADLINE_NS) -> list[Answer]:
        return await self.sequencer.submit([Submission(deadline_ns, command) for command in commands])

    def submitting(self, *commands: Command) -> asyncio.Task[list[Answer]]:
        return asyncio.create_task(self.submit(*commands))


@asynccontextmanager
async def leading(
    dsn: str,
    *,
    replica: Replica | None = None,
    capacity: int = 1_000,
    deadline_s: float = 10.0,
    records_per_state_hash: int = 1_000,
) -> AsyncIterator[Leader]:
    """A leader that has done its openings, unless ``replica`` is past them. Its lease lasts longer than any test."""
    lease = Lease(dsn, HOLDER, ttl_s=60)
    assert await lease.try_win()
    connection = await connect(dsn, HOLDER)
    writer = Writer(dsn, connection, holder=HOLDER, epoch=lease.epoch, deadline_s=deadline_s)
    committed: list[int] = []
    reads = Pool(dsn, "test reads", size=2)
    past_orders = PastOrders(reads)
    replica = replica or Replica()
    sequencer = Sequencer(
        replica,
        writer,
        epoch=lease.epoch,
        capacity=capacity,
        assured=lease.assured,
        first_answers=past_orders.first_answers,
        former_requests=past_orders.former_requests,
        payments=Payments(reads),
        committed=lambda records: committed.extend(sequence for sequence, _ in records),
        metrics=EngineMetrics(),
        records_per_state_hash=records_per_state_hash,
    )
    leader = Leader(replica, lease, writer, sequencer, committed)
    running = asyncio.create_task(sequencer.run())
    try:
        if not replica.sequence:
            await leader.submit(*OPENINGS)
        yield leader
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await lease.release()
        lease.close()
        writer.close()
        await reads.close()


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(10):
        while not await condition():
            await asyncio.sleep(0.01)
