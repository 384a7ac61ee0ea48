"""What the one writer takes in, what it refuses, and in which order it executes."""

from __future__ import annotations

import asyncio
import time

import pytest

from stack.embedded import EmbeddedStack
from tests.engine.leader import OPENINGS, buy, cancel, leading, until
from trading.core.orders import OrderId, RejectReason
from trading.engine.lanes import OverloadedError
from trading.engine.replica import Replica
from trading.infra.database import connect
from trading.infra.journal import read_records
from trading.infra.tail import read_tail
from trading.wire.engine import Denied, Done

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]

SYNC_WAIT = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"


async def test_a_cancel_overtakes_a_full_queue_of_orders(database: EmbeddedStack) -> None:
    """It is sent last, while a commit is stuck and the queue refuses orders, and is the next record all the same."""
    observer = await connect(database.postgres_dsn(), "test")
    async with leading(database.postgres_dsn(), capacity=20) as leader:
        (resting,) = await leader.submit(buy())
        assert isinstance(resting, Done)
        assert resting.order is not None
        await database.freeze("postgres:standby")
        try:
            stuck = leader.submitting(buy())
            await until(lambda: observer.fetch(SYNC_WAIT))
            waiting = [leader.submitting(buy()) for _ in range(20)]
            await asyncio.sleep(0)
            before = leader.replica.full_state()
            with pytest.raises(OverloadedError):
                await leader.submit(buy())
            assert leader.replica.full_state() == before
            canceling = leader.submitting(cancel(resting.order.order_id))
        finally:
            await database.resume("postgres:standby")
        ((first,), (canceled,)) = await stuck, await canceling
        assert isinstance(first, Done)
        assert canceled == Done(first.sequence + 1)
        sequences = [answer.sequence for task in waiting for answer in await task if isinstance(answer, Done)]
        assert sequences == list(range(first.sequence + 2, first.sequence + 22))
    observer.terminate()


async def test_a_flood_of_cancels_does_not_stop_the_orders(database: EmbeddedStack) -> None:
    async with leading(database.postgres_dsn()) as leader:
        placed = await leader.submit(*(buy() for _ in range(900)))
        ids = [answer.order.order_id for answer in placed if isinstance(answer, Done) and answer.order]
        cancels = [leader.submitting(cancel(order_id)) for order_id in ids]
        order = leader.submitting(buy())
        ((accepted,), canceled) = await order, await asyncio.gather(*cancels)
        assert isinstance(accepted, Done)
        assert accepted.sequence < max(answer.sequence for (answer,) in canceled if isinstance(answer, Done))


async def test_a_command_whose_deadline_has_passed_is_refused_and_changes_nothing(database: EmbeddedStack) -> None:
    async with leading(database.postgres_dsn()) as leader:
        before = leader.replica.full_state()
        (late,) = await leader.submit(buy(), deadline_ns=time.time_ns() - 1)
        assert isinstance(late, Denied)
        assert late.reason is RejectReason.DEADLINE_PASSED
        assert leader.replica.full_state() == before


async def test_a_command_whose_deadline_passes_while_it_waits_is_refused(database: EmbeddedStack) -> None:
    observer = await connect(database.postgres_dsn(), "test")
    async with leading(database.postgres_dsn()) as leader:
        await database.freeze("postgres:standby")
        try:
            stuck = leader.submitting(buy())
            await until(lambda: observer.fetch(SYNC_WAIT))
            deadline_ns = time.time_ns() + 50_000_000
            waiting = asyncio.create_task(leader.submit(buy(), deadline_ns=deadline_ns))
            while time.time_ns() <= deadline_ns:
                await asyncio.sleep(0.01)
        finally:
            await database.resume("postgres:standby")
        ((done,), (late,)) = await stuck, await waiting
        assert isinstance(done, Done)
        assert isinstance(late, Denied)
        assert late.reason is RejectReason.DEADLINE_PASSED
        assert leader.replica.sequence == done.sequence
    observer.terminate()


async def test_a_refusal_is_not_told_while_another_may_lead_and_know_better(database: EmbeddedStack) -> None:
    """Nothing is committed for it, so nothing but the lease can tell that it is still this engine's to say."""
    async with leading(database.postgres_dsn()) as leader:
        held_until_s, leader.lease.held_until_s = leader.lease.held_until_s, 0.0
        refused = leader.submitting(cancel(OrderId(10**9)))
        await asyncio.sleep(0.2)
        assert not refused.done()
        leader.lease.held_until_s = held_until_s
        (answer,) = await asyncio.wait_for(refused, 1)
        assert isinstance(answer, Denied)


async def test_time_does_not_go_back_when_the_next_leaders_clock_is_behind(database: EmbeddedStack) -> None:
    dsn, ahead_ns = database.postgres_dsn(), time.time_ns() + 3_600 * 10**9
    async with leading(dsn) as leader:
        leader.replica.exchange.venue.now_ns = ahead_ns  # this host's clock is an hour ahead
        await leader.submit(buy())
        sequence = leader.replica.sequence
    successor = Replica()
    connection = await connect(dsn, "test")
    for written in await read_tail(connection, 0):
        successor.replay(written.command, written.events)
    assert successor.sequence == sequence
    async with leading(dsn, replica=successor) as leader:
        await leader.submit(buy())
    times = [record.at_ns for record in await read_records(connection, len(OPENINGS))]
    assert times == [ahead_ns, ahead_ns]
    connection.terminate()
