"""What makes an answer durable, and the three ways a commit can look durable without being it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from stack.embedded import EmbeddedStack
from tests.engine.leader import AAA, LISTED
from trading.core.commands import ChangePhase, Deposit, ListInstrument, OpenAccount, PlaceOrder
from trading.core.orders import AccountId, OrderType, Phase, Side, TimeInForce
from trading.engine.replica import Replica
from trading.infra.database import connect
from trading.infra.journal import AmbiguousCommitError, Batch, FencedError, JournalWriter
from trading.infra.leadership import Lease, LeaseLostError
from trading.infra.tail import Written, read_tail
from trading.wire.journal import JournalRecord

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]

COMMANDS = [
    ListInstrument(1, LISTED),
    OpenAccount(1, AccountId(1)),
    Deposit(1, AccountId(1), "USD", 500),
]


@pytest_asyncio.fixture(loop_scope="session")
async def lease(database: EmbeddedStack) -> AsyncIterator[Lease]:
    lease = Lease(database.postgres_dsn(), "engine:1 test", ttl_s=0.5)
    assert await lease.try_win()
    yield lease
    lease.close()


def batch_of(replica: Replica, epoch: int) -> Batch:
    batch = Batch()
    for command in COMMANDS:
        record = replica.execute(command, epoch=epoch, batch=batch)
        assert isinstance(record, JournalRecord)
        batch.add(record)
    return batch


async def journaled(dsn: str) -> list[Written]:
    connection = await connect(dsn, "test")
    try:
        return await read_tail(connection, 0)
    finally:
        connection.terminate()


async def test_a_batch_writes_the_journal_and_every_projection(database: EmbeddedStack, lease: Lease) -> None:
    dsn = database.postgres_dsn()
    connection = await connect(dsn, lease.holder)
    replica = Replica()
    await JournalWriter(connection, lease.epoch, 3.0).commit(batch_of(replica, lease.epoch))
    balances = await connection.fetch("SELECT * FROM balances")
    ledger = await connection.fetch("SELECT sequence, debit_account_id, credit_account_id, asset, amount FROM ledger")
    connection.terminate()
    assert [tuple(row) for row in balances] == [(1, "USD", 500, 0, 0)]
    assert [tuple(row) for row in ledger] == [(3, 0, 1, "USD", 500)]
    copy = Replica()
    for written in await journaled(dsn):
        copy.replay(written.command, written.events)
    assert copy.full_state() == replica.full_state()


async def winner_after(lease: Lease) -> Lease:
    successor = Lease(lease.dsn, "engine:2 test", ttl_s=lease.ttl_s)
    async with asyncio.timeout(5):
        while not await successor.try_win():
            await asyncio.sleep(0.05)
    return successor


async def test_a_deposed_writer_commits_nothing(database: EmbeddedStack, lease: Lease) -> None:
    dsn = database.postgres_dsn()
    # Another application name, so that taking over cannot end this session: only the epoch stands in its way.
    connection = await connect(dsn, "zombie")
    successor = await winner_after(lease)
    assert successor.epoch == lease.epoch + 1
    with pytest.raises(FencedError):
        await JournalWriter(connection, lease.epoch, 3.0).commit(batch_of(Replica(), lease.epoch))
    with pytest.raises(LeaseLostError):
        await lease.renew()
    assert await journaled(dsn) == []
    connection.terminate()
    successor.close()


async def test_taking_over_waits_for_a_batch_in_flight_or_stops_it(database: EmbeddedStack, lease: Lease) -> None:
    """A leader frozen in the middle of a transaction holds the epoch's lock: its session is ended, its work undone."""
    dsn = database.postgres_dsn()
    frozen = await connect(dsn, lease.holder)
    transaction = frozen.transaction()
    await transaction.start()
    await frozen.execute("SELECT 1 FROM leader_epoch WHERE id = 1 AND epoch = $1 FOR SHARE", lease.epoch)
    columns = "account_id, multiplier, self_trade, blocked, opened_at_ns"
    await frozen.execute(f"INSERT INTO accounts ({columns}) VALUES (99, 1, 'cancel_newest', false, 0)")
    successor = await winner_after(lease)
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await transaction.commit()
    connection = await connect(dsn, "test")
    assert await connection.fetchval("SELECT count(*) FROM accounts") == 0
    connection.terminate()
    successor.close()


async def test_a_lease_that_is_held_cannot_be_won(database: EmbeddedStack, lease: Lease) -> None:
    rival = Lease(database.postgres_dsn(), "engine:2 test", ttl_s=0.5)
    for _ in range(4):
        await lease.renew()
        assert not await rival.try_win()
        await asyncio.sleep(0.2)
    rival.close()


async def test_a_lease_that_ran_out_is_still_its_holders_while_nobody_has_won_it(
    database: EmbeddedStack, lease: Lease
) -> None:
    epoch = lease.epoch
    await asyncio.sleep(lease.ttl_s * 1.2)
    await lease.renew()
    await asyncio.wait_for(lease.assured(), 0.1)
    rival = Lease(database.postgres_dsn(), "engine:2 test", ttl_s=0.5)
    assert not await rival.try_win()
    assert lease.epoch == epoch
    rival.close()


async def test_a_contender_that_was_without_the_database_lets_the_holder_go_first(
    database: EmbeddedStack, lease: Lease
) -> None:
    """It cannot know whether the lease ran out because of its holder or because nobody could renew it."""
    await asyncio.sleep(lease.ttl_s * 1.5)
    rival = Lease(database.postgres_dsn(), "engine:2 test", ttl_s=2)
    connected_s = time.monotonic()
    assert not await rival.try_win()
    while not await rival.try_win():
        await asyncio.sleep(0.05)
    assert 1 <= time.monotonic() - connected_s < 1.5
    with pytest.raises(LeaseLostError):
        await lease.renew()
    rival.close()


async def test_a_lease_is_kept_while_the_standby_is_away(database: EmbeddedStack, lease: Lease) -> None:
    """Only what is acknowledged to clients has to wait for it."""
    await database.kill("postgres:standby")
    for _ in range(3):
        await lease.renew()


async def test_one_order_that_sweeps_eleven_thousand_others_is_one_record(
    database: EmbeddedStack, lease: Lease
) -> None:
    connection = await connect(database.postgres_dsn(), lease.holder)
    writer, replica = JournalWriter(connection, lease.epoch, 30.0), Replica()
    shares = Deposit(1, AccountId(1), "AAA", 11_000 * 10**6)
    buyer = [OpenAccount(1, AccountId(2)), Deposit(1, AccountId(2), "USD", 10**15)]
    resting = [limit(1, Side.SELL, 1, f"s{n}") for n in range(11_000)]
    openings = [*COMMANDS, shares, *buyer, ChangePhase(1, AAA, Phase.CONTINUOUS), *resting]
    for commands in (openings, [limit(2, Side.BUY, 11_000, "sweep")]):
        batch = Batch()
        for command in commands:
            record = replica.execute(command, epoch=lease.epoch, batch=batch)
            assert isinstance(record, JournalRecord)
            batch.add(record)
        await writer.commit(batch)
    assert await connection.fetchval("SELECT count(*) FROM fills") == 22_000
    assert await connection.fetchval("SELECT max(line) FROM ledger") > 2**15
    connection.terminate()


def limit(account: int, side: Side, shares: int, client_order_id: str) -> PlaceOrder:
    kind, day, price = OrderType.LIMIT, TimeInForce.DAY, 100_000_000
    return PlaceOrder(1, AccountId(account), client_order_id, AAA, side, kind, day, shares * 10**6, price)


async def test_a_commit_that_never_reaches_the_standby_is_not_acknowledged(
    database: EmbeddedStack, lease: Lease
) -> None:
    connection = await connect(database.postgres_dsn(), lease.holder)
    await database.kill("postgres:standby")
    with pytest.raises(AmbiguousCommitError):
        await JournalWriter(connection, lease.epoch, 0.5).commit(batch_of(Replica(), lease.epoch))
    assert connection.is_closed()


async def test_a_canceled_synchronous_commit_is_not_acknowledged(database: EmbeddedStack, lease: Lease) -> None:
    """PostgreSQL answers such a commit with success and a warning."""
    dsn = database.postgres_dsn()
    connection = await connect(dsn, lease.holder)
    await database.kill("postgres:standby")
    commit = asyncio.create_task(JournalWriter(connection, lease.epoch, 10.0).commit(batch_of(Replica(), lease.epoch)))
    other = await connect(dsn, "test")
    cancel = (
        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND wait_event = 'SyncRep'"
    )
    while not await other.fetch(cancel, lease.holder):
        await asyncio.sleep(0.02)
    with pytest.raises(AmbiguousCommitError, match="synchronous replication"):
        await commit
    other.terminate()
    connection.terminate()


async def test_a_frozen_server_cannot_hang_the_writer(database: EmbeddedStack, lease: Lease) -> None:
    connection = await connect(database.postgres_dsn(), lease.holder)
    await database.freeze("postgres:primary")
    with pytest.raises(AmbiguousCommitError):
        await JournalWriter(connection, lease.epoch, 0.3).commit(batch_of(Replica(), lease.epoch))
    assert connection.is_closed()
