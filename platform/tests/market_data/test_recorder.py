"""The recorder on a real database: nothing is missing and nothing there twice, whoever records and however often."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from stack.embedded import EmbeddedStack
from trading.core.state import state_of
from trading.infra.database import connect
from trading.infra.market_data import MarketDataStore, OvertakenError, Progress
from trading.infra.snapshots import Packed, Snapshot, save
from trading.wire.journal import JournalRecord
from trading.wire.market_data import MINUTE_NS
from trading.wire.snapshot import SNAPSHOT_VERSION, encode_snapshot

from .conftest import commit, recorded, recording
from .history import History

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]


async def quotes_in(connection: asyncpg.Connection[Any]) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await connection.fetch("SELECT * FROM quotes ORDER BY symbol, symbol_sequence")]


async def minutes_in(connection: asyncpg.Connection[Any]) -> list[tuple[Any, ...]]:
    names = "symbol, start_ns, volume, trades, value::text, open_micros, close_micros, first_trade_id, last_trade_id"
    return [tuple(row) for row in await connection.fetch(f"SELECT {names} FROM minute_bars ORDER BY symbol, start_ns")]


def naive_quotes(history: History) -> list[tuple[Any, ...]]:
    return sorted((row.symbol, row.at_ns, row.symbol_sequence, *row.quote) for row in history.quotes)


def naive_minutes(history: History) -> list[tuple[Any, ...]]:
    groups: dict[tuple[str, int], list[Any]] = {}
    for trade, at_ns in history.prints:
        groups.setdefault((trade.symbol, at_ns - at_ns % MINUTE_NS), []).append(trade)
    return [
        (
            *place,
            sum(trade.quantity for trade in trades),
            len(trades),
            str(sum(trade.quantity * trade.price_micros for trade in trades)),
            *(trades[0].price_micros, trades[-1].price_micros, trades[0].trade_id, trades[-1].trade_id),
        )
        for place, trades in sorted(groups.items())
    ]


async def check(connection: asyncpg.Connection[Any], history: History) -> None:
    await recorded(connection, history.records[-1].sequence)
    assert await quotes_in(connection) == naive_quotes(history)
    assert await minutes_in(connection) == naive_minutes(history)


async def test_what_the_hub_hands_over_is_recorded_and_what_it_does_not_is_read_from_the_journal(
    database: EmbeddedStack, connection: asyncpg.Connection[Any]
) -> None:
    history = History()
    await commit(connection, history.go_on(400))
    async with recording(database.postgres_dsn()) as recorder:
        await check(connection, history)
        for round_ in range(4):
            records = history.go_on(300)
            await commit(connection, records)
            for record in records if round_ % 2 else records[::7]:
                recorder.offer(record)
        await check(connection, history)


async def test_another_recorder_takes_over_and_goes_on_amid_the_minute(
    database: EmbeddedStack, connection: asyncpg.Connection[Any]
) -> None:
    history = History()
    for number in range(4):
        await commit(connection, history.go_on(250))
        async with recording(database.postgres_dsn(), node=f"feed:{number}"):
            await recorded(connection, history.records[-1].sequence)
        await commit(connection, history.go_on(150))  # while nobody records
    async with recording(database.postgres_dsn()):
        await check(connection, history)


async def test_a_book_is_restored_from_the_newest_snapshot_that_is_not_past_the_progress(
    database: EmbeddedStack, connection: asyncpg.Connection[Any]
) -> None:
    history = History()
    await commit(connection, history.go_on(300))
    await take_snapshot(connection, history)
    await commit(connection, history.go_on(200))
    async with recording(database.postgres_dsn()):
        await recorded(connection, history.records[-1].sequence)
    await commit(connection, history.go_on(200))
    await take_snapshot(connection, history)  # too new
    await connection.execute("DELETE FROM journal WHERE sequence <= $1", history.records[200].sequence)
    async with recording(database.postgres_dsn()):
        await check(connection, history)


async def take_snapshot(connection: asyncpg.Connection[Any], history: History) -> None:
    state = state_of(history.exchange)
    snapshot = Snapshot(history.exchange.sequence, SNAPSHOT_VERSION, state.hash(), encode_snapshot(state))
    await save(connection, Packed.of(snapshot))


async def test_only_one_records_and_the_other_begins_when_its_session_ends(
    database: EmbeddedStack, connection: asyncpg.Connection[Any]
) -> None:
    history = History()
    await commit(connection, history.go_on(50))
    dsn = database.postgres_dsn()
    first, second = [await MarketDataStore.open(dsn, f"recorder {number}") for number in (1, 2)]
    assert await first.try_lock()
    assert not await second.try_lock()
    first.close()
    async with asyncio.timeout(5):
        while not await second.try_lock():
            await asyncio.sleep(0.02)
    second.close()


async def test_writing_the_same_twice_changes_nothing_and_who_was_overtaken_writes_nothing(
    database: EmbeddedStack, connection: asyncpg.Connection[Any]
) -> None:
    store = await MarketDataStore.open(database.postgres_dsn(), "recorder")
    none, one, two = Progress(0, 0), Progress(1, 0), Progress(2, 0)
    await store.write(none, one, [("AAA", 1, 1, 10, 1, 11, 1)], [])
    with pytest.raises(OvertakenError):
        await store.write(none, two, [("AAA", 2, 2, 10, 1, 11, 1)], [])
    await store.write(one, two, [("AAA", 1, 1, 10, 1, 11, 1)], [])
    assert await quotes_in(connection) == [("AAA", 1, 1, 10, 1, 11, 1)]
    assert await store.progress() == two
    store.close()


async def test_old_quotes_are_deleted_in_steps_but_never_a_symbols_last(
    database: EmbeddedStack, connection: asyncpg.Connection[Any]
) -> None:
    history = History()
    await commit(connection, history.go_on(1_500))
    async with recording(database.postgres_dsn(), quotes_kept_h=1):
        await recorded(connection, history.records[-1].sequence)
        last = {row.symbol: row.at_ns for row in history.quotes}
        async with asyncio.timeout(10):
            while len(await quotes_in(connection)) > 20:
                await asyncio.sleep(0.02)
    kept = await quotes_in(connection)
    assert {(symbol, at_ns) for symbol, at_ns, *_ in kept} == set(last.items())


async def test_a_recorder_that_says_nothing_loses_its_hold(database: EmbeddedStack) -> None:
    silent = await connect(database.postgres_dsn(), "recorder", idle_session_timeout="200")
    await silent.fetchval("SELECT 1")
    async with asyncio.timeout(5):
        while not silent.is_closed():
            await asyncio.sleep(0.02)


async def test_a_database_that_goes_away_is_waited_for(
    database: EmbeddedStack, connection: asyncpg.Connection[Any]
) -> None:
    history = History()
    await commit(connection, history.go_on(200))
    async with recording(database.postgres_dsn()) as recorder:
        await recorded(connection, history.records[-1].sequence)
        await connection.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'feed:1 recorder'"
        )
        records: list[JournalRecord] = history.go_on(200)
        await commit(connection, records)
        for record in records:
            recorder.offer(record)
        await check(connection, history)
