"""Data that are deleted or lost with their servers, and come back from the backup: on a real cluster."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest

from chaos.fault import FaultError
from chaos.faults import make_fault
from stack.embedded import EmbeddedStack
from stack.options import StackOptions
from stack.postgres.sessions import connection
from stack.topology import Role, platform_topology

ROLES = frozenset({Role.POSTGRES, Role.WAL, Role.SUPERVISOR, Role.BACKUP})
COUNT = "SELECT count(*) FROM fills"


async def write(stack: EmbeddedStack, first: int, last: int) -> None:
    async with connection(stack.postgres_dsn()) as primary:
        await primary.execute("INSERT INTO fills SELECT * FROM generate_series($1::int, $2::int)", first, last)


async def count(stack: EmbeddedStack) -> int:
    async with connection(stack.postgres_dsn()) as primary:
        found: int = await primary.fetchval(COUNT)
    return found


def feed(log: Path) -> None:
    """Files for a server that is gone, as the supervisor writes them, for as long as there is a folder."""
    with contextlib.suppress(FileNotFoundError):
        for number in range(100_000):
            (log / f"fed.{number}").touch()


@pytest.mark.stack
async def test_what_is_deleted_or_lost_comes_back_from_the_backup(tmp_path: Path) -> None:
    topology = platform_topology(instruments=(), accounts=())
    async with EmbeddedStack(topology, StackOptions(tmp_path, roles=ROLES)) as stack:
        async with connection(stack.postgres_dsn()) as primary:
            await primary.execute("CREATE TABLE fills (sequence int PRIMARY KEY)")
        async with asyncio.timeout(30):
            while not [each for each in (await stack.ask_backup("list"))["backups"] if each["verified"]]:
                await asyncio.sleep(0.1)
        await write(stack, 1, 100)

        deleting = make_fault("wrong_delete", "postgres:primary", "fills")
        aim = await deleting.aim(stack)
        facts = await deleting.inject(stack, aim)
        assert await count(stack) == 0
        await write(stack, 101, 110)
        evidence = await deleting.evidence(stack, aim, facts)
        assert (evidence.bit, evidence.summary) == (True, "100 rows of fills were deleted, 0 of them are there")
        await deleting.undo(stack, aim)
        assert await count(stack) == 110
        assert not (await deleting.evidence(stack, aim, facts)).bit

        losing = make_fault("lose", "postgres", None)
        aim = await losing.aim(stack)
        feeding = asyncio.create_task(asyncio.to_thread(feed, stack.postgres.data(aim[0]) / "pg_wal"))
        facts = await losing.inject(stack, aim)
        await feeding
        assert (await losing.evidence(stack, aim, facts)).bit
        await losing.undo(stack, aim)
        await losing.undo(stack, aim)
        assert await count(stack) == 110
        assert not (await losing.evidence(stack, aim, facts)).bit


def test_only_what_a_backup_can_bring_back_is_deleted_or_lost() -> None:
    topology = platform_topology(instruments=(), accounts=())
    with pytest.raises(FaultError, match="expected a table out of fills, ledger"):
        make_fault("wrong_delete", "postgres:primary", "orders")
    with pytest.raises(FaultError, match="rows are deleted on postgres:primary, got 'postgres:3'"):
        make_fault("wrong_delete", "postgres:3", "fills").check(topology)
    with pytest.raises(FaultError, match="only postgres as a whole"):
        make_fault("lose", "postgres:primary", None).check(topology)
