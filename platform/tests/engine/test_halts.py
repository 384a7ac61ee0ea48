"""A volatility halt ends by itself, by its auction, whoever leads when its time has come."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from stack.embedded import EmbeddedStack
from stack.options import StackOptions
from tests.client import Client, limit_order
from tests.conftest import WITHOUT_FEEDS, small_platform
from trading.core.commands import ChangePhase, PlaceOrder
from trading.core.events import PhaseChanged, Traded, Uncrossed
from trading.core.orders import NS_PER_S, Phase
from trading.infra.database import connect
from trading.infra.journal import read_records
from trading.wire.journal import JournalRecord

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]


async def halted_at(client: Client, price: str) -> None:
    """Somebody asks, and somebody else bids, more than the band allows."""
    for side, account in (("sell", 1), ("buy", 0)):
        assert (await client.place(limit_order(side, 1, price), account=account))[0] == 200


async def reopening(connection: asyncpg.Connection[Any], after: int) -> tuple[JournalRecord, JournalRecord]:
    """The record that halted the market and the one that reopened it."""
    async with asyncio.timeout(15):
        while True:
            records = await read_records(connection, after)
            reopened = [record for record in records if isinstance(record.command, ChangePhase)]
            if reopened:
                (halt,) = (record for record in records[: records.index(reopened[0])] if halts(record))
                return halt, reopened[0]
            await asyncio.sleep(0.05)


def halts(record: JournalRecord) -> bool:
    return any(isinstance(event, PhaseChanged) for event in record.events)


def check(halt: JournalRecord, reopened: JournalRecord, price_micros: int) -> None:
    (halted,) = (event for event in halt.events if isinstance(event, PhaseChanged))
    assert isinstance(halt.command, PlaceOrder)
    assert halted.phase is Phase.HALTED
    assert halted.reopens_at_ns == halt.at_ns + 2 * NS_PER_S
    assert reopened.at_ns >= halted.reopens_at_ns
    assert reopened.command == ChangePhase(reopened.at_ns, halted.symbol, Phase.CONTINUOUS)
    assert reopened.events[0] == Uncrossed(halted.symbol, price_micros, 10**6)
    (trade,) = (event for event in reopened.events if isinstance(event, Traded))
    assert (trade.price_micros, trade.auction) == (price_micros, True)


async def test_a_volatility_halt_ends_with_an_auction_also_under_the_next_leader(tmp_path: Path) -> None:
    topology = small_platform()
    banded = replace(topology.instruments[0], band_ppm=10_000, halt_ns=2 * NS_PER_S)
    topology = replace(topology, instruments=(banded, *topology.instruments[1:]))
    async with (
        EmbeddedStack(topology, StackOptions(tmp_path, roles=WITHOUT_FEEDS)) as stack,
        Client(stack.status()) as client,
    ):
        connection = await connect(stack.postgres_dsn(), "test")
        begun = await connection.fetchval("SELECT max(sequence) FROM journal")
        await halted_at(client, "105.00")
        halt, reopened = await reopening(connection, begun)
        check(halt, reopened, 105_000_000)
        assert reopened.epoch == halt.epoch
        await halted_at(client, "110.00")
        (active,) = await stack.resolve("engine:active")
        await stack.kill(active.name)
        halt, reopened = await reopening(connection, reopened.sequence)
        check(halt, reopened, 110_000_000)
        assert reopened.epoch > halt.epoch
        connection.terminate()
