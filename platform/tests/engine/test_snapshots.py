"""Snapshots: made beside the standby's work, the last few kept, and a damaged one never trusted."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from stack.embedded import EmbeddedStack
from tests.engine.leader import buy, leading, until
from trading.engine.metrics import EngineMetrics
from trading.engine.replica import Frozen, Replica
from trading.engine.snapshots import Snapshots
from trading.engine.standby import Standby
from trading.infra.database import connect
from trading.infra.leadership import Lease
from trading.infra.snapshots import Packed, Snapshot, newest_first, save

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]

SEQUENCES = "SELECT sequence FROM snapshots ORDER BY sequence"


def snapshots(dsn: str) -> Snapshots:
    return Snapshots(dsn, node="engine:2", every=10, metrics=EngineMetrics())


async def stored(connection: asyncpg.Connection[Any]) -> list[int]:
    return [row["sequence"] for row in await connection.fetch(SEQUENCES)]


async def test_the_last_three_are_kept(database: EmbeddedStack) -> None:
    connection = await connect(database.postgres_dsn(), "test")
    for sequence in (10, 20, 30, 40, 50):
        await save(connection, Packed.of(Snapshot(sequence, 1, "hash", b"state " * sequence)))
    assert await stored(connection) == [30, 40, 50]
    read = [snapshot async for snapshot in newest_first(connection)]
    assert [snapshot.sequence for snapshot in read] == [50, 40, 30]
    assert read[0].body == b"state " * 50
    connection.terminate()


@pytest.mark.parametrize(
    "damage",
    [
        "SET body = set_byte(body, length(body) / 2, get_byte(body, length(body) / 2) # 1)",
        "SET body = substr(body, 1, length(body) - 1)",
        "SET state_hash = 'another'",
        "SET version = 2",
        "SET sequence = 51",
        "SET checksum = ''",
    ],
)
async def test_a_damaged_one_is_reported_and_the_next_older_one_taken(
    database: EmbeddedStack, damage: str, told: list[str]
) -> None:
    connection = await connect(database.postgres_dsn(), "test")
    for sequence in (40, 50):
        await save(connection, Packed.of(Snapshot(sequence, 1, "hash", b"state " * sequence)))
    await connection.execute(f"UPDATE snapshots {damage} WHERE sequence = 50")
    read = [snapshot async for snapshot in newest_first(connection)]
    assert [snapshot.sequence for snapshot in read] == [40]
    assert told == ["snapshot_skipped"]
    connection.terminate()


async def test_what_follows_a_snapshot_is_all_that_recovery_replays(database: EmbeddedStack) -> None:
    dsn = database.postgres_dsn()
    connection = await connect(dsn, "test")
    async with leading(dsn) as leader:
        await leader.submit(*(buy() for _ in range(20)))
        snapshots(dsn).make_when_due(leader.replica)
        at = leader.replica.sequence
        await until(lambda: connection.fetch(SEQUENCES))
        await leader.submit(*(buy() for _ in range(5)))
        # Only the snapshot can tell what was before it.
        await connection.execute("DELETE FROM journal WHERE sequence < $1", at)
        lease = Lease(dsn, "engine:2 test", ttl_s=60)
        standby = Standby(dsn, lease, node="engine:2", metrics=EngineMetrics(), snapshots=snapshots(dsn))
        running = asyncio.create_task(standby.run())
        while not standby.caught_up:
            await asyncio.sleep(0.01)
        assert standby.replica.full_state() == leader.replica.full_state()
        running.cancel()
        await asyncio.wait({running})
        lease.close()
    connection.terminate()


async def test_a_snapshot_that_restores_to_another_state_is_skipped(database: EmbeddedStack) -> None:
    dsn = database.postgres_dsn()
    connection = await connect(dsn, "test")
    metrics = EngineMetrics()
    async with leading(dsn) as leader:
        body = leader.replica.freeze().encode()
        await save(connection, Packed.of(Snapshot(leader.replica.sequence, 1, "another", body)))
        await save(connection, Packed.of(Snapshot(99, 1, leader.replica.state_hash(), body)))
        await save(connection, Packed.of(Snapshot(100, 1, "hash", b"no state")))
        await save(connection, Packed.of(Snapshot(101, 2, leader.replica.state_hash(), body)))
        found = await Snapshots(dsn, node="engine:2", every=10, metrics=metrics).newest(connection)
        assert found.full_state() == Replica().full_state()
        skipped = metrics.registry.get_sample_value("engine_snapshots_total", {"result": "skipped"})
        assert skipped == 3  # the fourth was the oldest, and was let go of
    connection.terminate()


async def test_nothing_waits_for_the_standby_server_or_for_a_snapshot(database: EmbeddedStack) -> None:
    connection = await connect(database.postgres_dsn(), "test")
    await database.freeze("postgres:standby")
    try:
        await save(connection, Packed.of(Snapshot(1, 1, "hash", b"state")))
    finally:
        await database.resume("postgres:standby")
    connection.terminate()


async def test_a_defect_in_making_one_is_not_hidden(database: EmbeddedStack) -> None:
    class Unencodable(Frozen):
        def encode(self) -> bytes:
            raise ZeroDivisionError

    class Unfreezable(Replica):
        def freeze(self) -> Frozen:
            return Unencodable(*super().freeze())

    replica = Unfreezable()
    made = Snapshots(database.postgres_dsn(), node="engine:2", every=0, metrics=EngineMetrics())

    async def make_for_ever() -> None:
        while True:
            made.make_when_due(replica)
            await asyncio.sleep(0.01)

    with pytest.raises(ZeroDivisionError):
        await make_for_ever()
