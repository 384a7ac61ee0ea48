"""A short run of the failover drills, and the proof that they see what they are there to see."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from drills.engine import KINDS, run_drills
from drills.tally import Tally, judge
from stack.embedded import EmbeddedStack
from stack.options import StackOptions
from stack.programs import PROGRAMS
from stack.topology import Role
from tests.conftest import WITHOUT_FEEDS
from tests.engine.leader import buy, leading
from trading.infra.database import connect

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]


def options(folder: Path, program: str) -> StackOptions:
    programs = {**PROGRAMS, Role.ENGINE: (sys.executable, "-m", program)}
    return StackOptions(folder, roles=WITHOUT_FEEDS, programs=programs)


async def test_engines_that_crash_and_freeze_under_load_lose_and_double_nothing(tmp_path: Path) -> None:
    counts = dict.fromkeys(KINDS, 1)
    tallies = await run_drills(counts, StackOptions(tmp_path, roles=WITHOUT_FEEDS))
    assert {kind: tally for kind, tally in tallies.items() if not tally.sound} == {}
    assert {kind: len(tally.outages_s) for kind, tally in tallies.items()} == counts


async def test_a_drill_sees_orders_that_were_acknowledged_too_early(tmp_path: Path) -> None:
    tallies = await run_drills({"kill -9": 1}, options(tmp_path, "tests.engine.hasty_engine"))
    assert tallies["kill -9"].lost > 0


async def test_a_deposed_leader_ends_although_its_publisher_does_not(tmp_path: Path) -> None:
    tallies = await run_drills({"freeze": 1}, options(tmp_path, "tests.engine.deaf_engine"))
    assert tallies["freeze"].sound


async def test_a_drill_sees_an_order_that_was_placed_twice(database: EmbeddedStack) -> None:
    connection = await connect(database.postgres_dsn(), "test")
    async with leading(database.postgres_dsn()) as leader:
        order = buy()
        await leader.submit(order, buy())
        again = """INSERT INTO journal SELECT $1, epoch, at_ns, NULL, NULL, command, events FROM journal
                   WHERE command::text LIKE $2"""
        tally = Tally()
        await judge(connection, tally, {})
        assert tally.doubled == 0
        await connection.execute(again, leader.replica.sequence + 1, f'%"{order.client_order_id}"%')
        await judge(connection, tally, {})
        assert tally.doubled == 1
    connection.terminate()
