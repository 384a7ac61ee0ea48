"""A short run of the database's failover drills, and the proof that they see a second primary."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from drills.failover import run_drills
from drills.holders import Holders
from stack.embedded import EmbeddedStack
from stack.postgres.sessions import connection

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]

ROWS = ("primary frozen, then woken", "standby, then primary kill -9")


async def test_a_database_that_fails_over_under_orders_loses_and_doubles_nothing(tmp_path: Path) -> None:
    rows = await run_drills(dict.fromkeys(ROWS, 1), tmp_path)
    assert {name: row for name, row in rows.items() if not row.sound} == {}
    assert [len(row.redundant_s) for row in rows.values()] == [1] * len(ROWS)


async def test_a_drill_sees_a_primary_that_was_not_fenced_before_the_next(own_postgres: EmbeddedStack) -> None:
    """By hand, as nobody supervises these servers."""
    async with Holders(own_postgres.postgres) as holders, asyncio.timeout(20):
        while not holders.answers:
            await asyncio.sleep(0.01)
        async with connection(own_postgres.postgres_dsn("postgres:standby")) as standby:
            await standby.execute("SELECT pg_promote(true)")
        while not holders.second:
            await asyncio.sleep(0.01)
