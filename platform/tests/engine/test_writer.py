"""A commit that gave no clear answer: what became of it is looked up, and only then is anybody told anything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import asyncpg
import pytest
import pytest_asyncio

from stack.embedded import EmbeddedStack
from tests.engine.leader import Leader, buy, leading, until
from trading.engine.lanes import OverloadedError
from trading.infra.database import connect
from trading.infra.journal import AmbiguousCommitError, Batch, FencedError
from trading.wire.engine import Done
from trading.wire.journal import JournalRecord

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]

LINK = "engine:1->postgres:1"
SYNC_WAIT = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE $1"
END_COMMIT = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'WITH fence%' AND state = 'active'"
)
CANCEL_COMMIT = END_COMMIT.replace("terminate", "cancel")
DISK_FULL = """
CREATE FUNCTION disk_full() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$;
CREATE TRIGGER disk_full BEFORE INSERT ON journal EXECUTE FUNCTION disk_full()
"""
SPACE_AGAIN = "DROP TRIGGER disk_full ON journal; DROP FUNCTION disk_full()"
COMMIT, LOOK_UP = "WITH fence%", "COMMIT%"


@pytest_asyncio.fixture(loop_scope="session")
async def observer(database: EmbeddedStack) -> AsyncIterator[asyncpg.Connection[Any]]:
    connection = await connect(database.postgres_dsn(), "test")
    yield connection
    connection.terminate()


@asynccontextmanager
async def standby_frozen(stack: EmbeddedStack) -> AsyncIterator[None]:
    await stack.freeze("postgres:standby")
    try:
        yield
    finally:
        await stack.resume("postgres:standby")


async def journaled_once(leader: Leader, observer: asyncpg.Connection[Any], answer: Done) -> bool:
    rows = await observer.fetch("SELECT sequence FROM journal ORDER BY sequence")
    return [row["sequence"] for row in rows] == list(range(1, answer.sequence + 1)) and answer.sequence in (
        leader.committed
    )


async def test_a_commit_cut_off_while_it_waits_for_the_standby_is_found_and_then_answered(
    database: EmbeddedStack, observer: asyncpg.Connection[Any]
) -> None:
    """The row is visible on the primary at once; nobody is told before the look-up itself has reached the standby."""
    async with leading(database.postgres_dsn()) as leader:
        async with standby_frozen(database):
            order = leader.submitting(buy())
            await until(lambda: observer.fetch(SYNC_WAIT, COMMIT))
            await observer.fetch(END_COMMIT)
            await until(lambda: observer.fetch("SELECT 1 FROM journal WHERE sequence = 5"))
            await until(lambda: observer.fetch(SYNC_WAIT, LOOK_UP))
            assert not order.done()
        (answer,) = await order
        assert isinstance(answer, Done)
        assert await journaled_once(leader, observer, answer)
        (more,) = await leader.submit(buy())
        assert isinstance(more, Done)


async def test_a_canceled_synchronous_commit_is_answered_once_the_standby_has_it(
    database: EmbeddedStack, observer: asyncpg.Connection[Any]
) -> None:
    """PostgreSQL answers such a commit with success and a warning."""
    async with leading(database.postgres_dsn()) as leader:
        async with standby_frozen(database):
            order = leader.submitting(buy())
            await until(lambda: observer.fetch(SYNC_WAIT, COMMIT))
            await observer.fetch(CANCEL_COMMIT)
            await until(lambda: observer.fetch(SYNC_WAIT, LOOK_UP))
            assert not order.done()
        (answer,) = await order
        assert isinstance(answer, Done)
        assert await journaled_once(leader, observer, answer)


async def test_a_look_up_that_is_canceled_while_it_waits_is_no_answer_either(
    database: EmbeddedStack, observer: asyncpg.Connection[Any]
) -> None:
    async with leading(database.postgres_dsn()) as leader:
        async with standby_frozen(database):
            order = leader.submitting(buy())
            await until(lambda: observer.fetch(SYNC_WAIT, COMMIT))
            await observer.fetch(END_COMMIT)
            await until(lambda: observer.fetch(SYNC_WAIT, LOOK_UP))
            (first,) = await observer.fetch(SYNC_WAIT, LOOK_UP)
            await observer.fetch("SELECT pg_cancel_backend($1)", first["pid"])

            async def looks_again() -> bool:
                waiting = await observer.fetch(SYNC_WAIT, LOOK_UP)
                return [row["pid"] for row in waiting] not in ([], [first["pid"]])

            await until(looks_again)
            assert not order.done()
        (answer,) = await order
        assert isinstance(answer, Done)


@asynccontextmanager
async def epoch_locked(dsn: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    """Holds up every commit before it has written anything."""
    blocker = await connect(dsn, "blocker")
    try:
        async with blocker.transaction():
            await blocker.execute("SELECT 1 FROM leader_epoch WHERE id = 1 FOR UPDATE")
            yield blocker
    finally:
        blocker.terminate()


async def test_a_batch_that_was_not_written_is_written_again(
    database: EmbeddedStack, observer: asyncpg.Connection[Any]
) -> None:
    async with leading(database.postgres_dsn()) as leader:
        async with epoch_locked(database.postgres_dsn()):
            order = leader.submitting(buy())
            await until(lambda: observer.fetch(END_COMMIT))
        (answer,) = await order
        assert isinstance(answer, Done)
        assert await journaled_once(leader, observer, answer)


async def test_a_session_behind_a_cut_link_cannot_write_after_the_look_up(
    database: EmbeddedStack, observer: asyncpg.Connection[Any]
) -> None:
    """The server does not notice the cut: its session still waits for the lock, with the whole statement in hand."""
    direct, proxied = database.wiring.address("postgres:1"), _proxied(database)
    async with leading(database.postgres_dsn().replace(direct, proxied)) as leader:
        async with epoch_locked(database.postgres_dsn()):
            order = leader.submitting(buy())
            lock_wait = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'WITH fence%'"
            await until(lambda: observer.fetch(lock_wait))
            await _cut(database)
            gone = f"SELECT 1 WHERE NOT EXISTS ({lock_wait})"
            await until(lambda: observer.fetch(gone))
        (answer,) = await order
        assert isinstance(answer, Done)
        assert await journaled_once(leader, observer, answer)


async def test_a_link_cut_while_the_commit_waits_for_the_standby_loses_and_doubles_nothing(
    database: EmbeddedStack, observer: asyncpg.Connection[Any]
) -> None:
    direct, proxied = database.wiring.address("postgres:1"), _proxied(database)
    async with leading(database.postgres_dsn().replace(direct, proxied)) as leader:
        async with standby_frozen(database):
            order = leader.submitting(buy())
            await until(lambda: observer.fetch(SYNC_WAIT, COMMIT))
            await _cut(database)
            await until(lambda: observer.fetch(SYNC_WAIT, LOOK_UP))
            assert not order.done()
        (answer,) = await order
        assert isinstance(answer, Done)
        assert await journaled_once(leader, observer, answer)


async def test_a_look_up_under_another_epoch_ends_the_leader(
    database: EmbeddedStack, observer: asyncpg.Connection[Any]
) -> None:
    async with leading(database.postgres_dsn()) as leader:
        async with epoch_locked(database.postgres_dsn()) as successor:
            commit = asyncio.create_task(leader.writer.commit(_batch_of(leader)))
            await until(lambda: observer.fetch(END_COMMIT))
            await successor.execute("UPDATE leader_epoch SET epoch = epoch + 1")
        with pytest.raises(FencedError):
            await commit
        await observer.execute("UPDATE leader_epoch SET epoch = epoch - 1")
        assert not await observer.fetch("SELECT 1 FROM journal WHERE sequence = 5")


async def test_a_batch_that_cannot_be_written_is_not_tried_again(database: EmbeddedStack) -> None:
    async with leading(database.postgres_dsn()) as leader:
        batch = _batch_of(leader)
        await leader.writer.commit(batch)
        with pytest.raises(AmbiguousCommitError, match="UniqueViolation"):
            await leader.writer.commit(batch)


async def test_a_full_disk_refuses_what_comes_and_keeps_what_was_taken(
    database: EmbeddedStack, observer: asyncpg.Connection[Any]
) -> None:
    """The server's own error, by a trigger; longer than a commit may take. ``make drill-data`` fills a real disk."""
    async with leading(database.postgres_dsn(), deadline_s=0.3) as leader:
        await observer.execute(DISK_FULL)
        try:
            taken = leader.submitting(buy())
            await until(lambda: _waits_for_space(leader))
            with pytest.raises(OverloadedError, match="no space left"):
                await leader.submit(buy())
            await asyncio.sleep(1)
            assert not taken.done()
        finally:
            await observer.execute(SPACE_AGAIN)
        (answer,) = await taken
        assert isinstance(answer, Done)
        assert await journaled_once(leader, observer, answer)
        (more,) = await leader.submit(buy())
        assert isinstance(more, Done)


async def test_a_server_that_stays_frozen_ends_the_leader_in_bounded_time(
    database: EmbeddedStack, observer: asyncpg.Connection[Any]
) -> None:
    async with leading(database.postgres_dsn(), deadline_s=0.2) as leader:
        await database.freeze("postgres:primary")
        try:
            with pytest.raises(AmbiguousCommitError):
                await leader.writer.commit(_batch_of(leader))
        finally:
            await database.resume("postgres:primary")


async def _waits_for_space(leader: Leader) -> bool:
    return leader.sequencer.out_of_space


def _batch_of(leader: Leader) -> Batch:
    batch = Batch()
    record = leader.replica.execute(buy()._replace(at_ns=leader.replica.at_ns), epoch=leader.lease.epoch, batch=batch)
    assert isinstance(record, JournalRecord)
    batch.add(record)
    return batch


def _proxied(stack: EmbeddedStack) -> str:
    (address,) = (stack.wiring.listen(link) for link in stack.topology.links if link.name == LINK)
    return address


async def _cut(stack: EmbeddedStack) -> None:
    """Ends every connection of the link on the client's side, and lets new ones through."""
    async with aiohttp.ClientSession() as http:
        for enabled in (False, True):
            async with http.post(f"{stack.toxiproxy_url}/proxies/{LINK}", json={"enabled": enabled}) as answer:
                assert answer.status == 200
