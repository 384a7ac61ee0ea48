"""Reads that tolerate age leave the primary alone while a replica keeps up, and say where they came from."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from stack.embedded import EmbeddedStack
from stack.postgres.sessions import connection
from trading.infra.aged_reads import AgedReads, read_from
from trading.infra.database import DatabaseError, Pool

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]

WHO = "SELECT inet_server_port() AS port"


@pytest_asyncio.fixture(loop_scope="session")
async def reads(database: EmbeddedStack) -> AsyncIterator[AgedReads]:
    primary, replica = (Pool(database.postgres_dsn(f"postgres:{name}"), "reads") for name in ("primary", "replica"))
    yield AgedReads(primary, replica, most_lag_s=0.5)
    await replica.close()
    await primary.close()


async def source(reads: AgedReads, database: EmbeddedStack) -> tuple[str, str]:
    """Which server answered, and which one it says."""
    (row,) = await reads.run(lambda database: database.fetch(WHO))
    said = read_from.get() or ""
    (server,) = (name for name, port in database.wiring.ports.items() if port == row["port"])
    return server, said.partition(";")[0]


async def until(reads: AgedReads, database: EmbeddedStack, expected: tuple[str, str]) -> None:
    async with asyncio.timeout(5):
        while await source(reads, database) != expected:
            await asyncio.sleep(0.05)


async def test_a_replica_is_read_while_it_keeps_up_and_again_when_it_has_caught_up(
    database: EmbeddedStack, reads: AgedReads
) -> None:
    await until(reads, database, ("postgres:3", "replica"))
    async with (
        connection(database.postgres_dsn("postgres:replica")) as standby,
        connection(database.postgres_dsn()) as primary,
    ):
        await standby.execute("SELECT pg_wal_replay_pause()")
        await primary.execute("CREATE TABLE not_replayed (id int)")
        await until(reads, database, ("postgres:1", "primary"))
        await standby.execute("SELECT pg_wal_replay_resume()")
        await until(reads, database, ("postgres:3", "replica"))
        await reads.run(lambda database: database.fetch("SELECT id FROM not_replayed"))
        await primary.execute("DROP TABLE not_replayed")


async def test_without_its_replica_the_primary_is_read(database: EmbeddedStack, reads: AgedReads) -> None:
    await until(reads, database, ("postgres:3", "replica"))
    await database.kill("postgres:replica")
    assert await source(reads, database) == ("postgres:1", "primary")


async def test_a_replica_that_receives_nothing_is_not_taken_for_one_that_keeps_up(
    database: EmbeddedStack, reads: AgedReads
) -> None:
    await database.kill("postgres:primary")
    async with asyncio.timeout(5):
        while await reads.lag_s() is not None:
            await asyncio.sleep(0.05)
    with pytest.raises(DatabaseError):
        await reads.run(lambda database: database.fetch(WHO, deadline_s=0.5))
