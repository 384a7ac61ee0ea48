"""Clients of a primary that is lost: they find the server that was promoted, and never one of an older epoch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from stack.embedded import EmbeddedStack
from stack.postgres.sessions import connection
from trading.infra.database import DatabaseError, Pool, connect

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]

IN_RECOVERY = "SELECT pg_is_in_recovery() AS standby, inet_server_port() AS port"


def both(stack: EmbeddedStack) -> str:
    """One DSN for the two servers, the primary last, so that the standby is asked first."""
    standby = stack.wiring.address("postgres:2")
    before, at, after = stack.postgres_dsn().rpartition("@")
    return before + at + standby + "," + after


async def promote(stack: EmbeddedStack) -> None:
    """By hand, as nobody supervises these servers: open to writers, who wait for no standby."""
    stack.postgres.write_identity("postgres:2", stack.postgres.leader(()))
    async with connection(stack.postgres_dsn("postgres:2")) as standby:
        await standby.execute("SELECT pg_reload_conf()")
        await standby.execute("SELECT pg_promote(true)")


@pytest_asyncio.fixture(loop_scope="session")
async def pool(own_postgres: EmbeddedStack) -> AsyncIterator[Pool]:
    """With connections to the primary that wait for work."""
    pool = Pool(both(own_postgres), "pool")
    await asyncio.gather(*(pool.fetch("SELECT pg_sleep(0.1)") for _ in range(4)))
    yield pool
    await pool.close()


async def port_of(pool: Pool) -> int:
    (row,) = await pool.fetch(IN_RECOVERY)
    assert not row["standby"]
    port: int = row["port"]
    return port


async def test_reads_go_on_at_the_promoted_server_after_a_crash(own_postgres: EmbeddedStack, pool: Pool) -> None:
    old, new = (own_postgres.wiring.ports[name] for name in ("postgres:1", "postgres:2"))
    assert await port_of(pool) == old
    await own_postgres.kill("postgres:primary")
    reads = [asyncio.create_task(port_of(pool)) for _ in range(8)]  # before there is a primary again
    await asyncio.sleep(0.1)
    await promote(own_postgres)
    assert await asyncio.gather(*reads) == [new] * 8


async def test_a_frozen_primary_costs_one_deadline_not_one_for_every_connection(
    own_postgres: EmbeddedStack, pool: Pool
) -> None:
    await own_postgres.freeze("postgres:primary")
    await promote(own_postgres)
    with pytest.raises(DatabaseError):
        await pool.fetch(IN_RECOVERY, deadline_s=0.3)
    async with asyncio.timeout(2):
        ports = {await port_of(pool) for _ in range(4)}
    assert ports == {own_postgres.wiring.ports["postgres:2"]}


async def test_a_primary_of_an_older_epoch_is_refused_when_it_wakes_up(own_postgres: EmbeddedStack) -> None:
    (await connect(both(own_postgres), "first")).terminate()
    await own_postgres.freeze("postgres:primary")
    await promote(own_postgres)
    async with connection(own_postgres.postgres_dsn("postgres:standby")) as promoted:
        await promoted.execute("UPDATE cluster_epoch SET epoch = 2")
    (await connect(both(own_postgres), "second")).terminate()
    postgres_standby_port = own_postgres.wiring.ports["postgres:2"]
    await own_postgres.resume("postgres:primary")
    for _ in range(3):
        found = await connect(both(own_postgres), "third")
        assert await found.fetchval("SELECT inet_server_port()") == postgres_standby_port
        found.terminate()
    await own_postgres.kill("postgres:standby")
    with pytest.raises(DatabaseError, match="the server is of epoch 1, its cluster has reached 2"):
        await connect(both(own_postgres), "fourth")
