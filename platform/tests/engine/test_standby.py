"""The warm standby: it keeps up by notification, compares itself with the leader, and knows when to stand aside."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from stack.embedded import EmbeddedStack
from stack.options import StackOptions
from stack.programs import PROGRAMS
from stack.topology import Role
from tests.client import Client, limit_order
from tests.conftest import WITHOUT_FEEDS, small_platform
from tests.engine.leader import TRADER, buy, leading, until
from trading.core.commands import Deposit, OpenAccount
from trading.core.events import CASH
from trading.core.orders import AccountId
from trading.engine.metrics import EngineMetrics
from trading.engine.snapshots import Snapshots
from trading.engine.standby import Standby
from trading.infra.database import connect
from trading.infra.leadership import Lease
from trading.infra.process import ProcessEndError

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]


@asynccontextmanager
async def following(dsn: str, *, records_per_snapshot: int = 20_000) -> AsyncIterator[tuple[Standby, EngineMetrics]]:
    metrics = EngineMetrics()
    lease = Lease(dsn, "engine:2 test", ttl_s=60)
    snapshots = Snapshots(dsn, node="engine:2", every=records_per_snapshot, metrics=metrics)
    standby = Standby(dsn, lease, node="engine:2", metrics=metrics, snapshots=snapshots)
    running = asyncio.create_task(standby.run())
    try:
        yield standby, metrics
    finally:
        running.cancel()
        await asyncio.wait({running})
        lease.close()


def value(metrics: EngineMetrics, name: str, **labels: str) -> float:
    found = metrics.registry.get_sample_value(name, labels)
    assert found is not None, name
    return found


async def test_a_standby_hears_of_a_batch_and_applies_it(database: EmbeddedStack) -> None:
    dsn = database.postgres_dsn()
    async with leading(dsn) as leader, following(dsn) as (standby, metrics):
        await until(lambda: _true(standby.caught_up))
        observer = await connect(dsn, "test")
        heard: list[str] = []
        await observer.add_listener("journal", lambda *said: heard.append(str(said[-1])))
        await leader.submit(*(buy() for _ in range(5)))
        await until(lambda: _true(standby.replica.sequence == leader.replica.sequence))
        await until(lambda: _true(heard == [str(leader.replica.sequence)]))
        assert value(metrics, "engine_replication_lag_records") == 0
        assert standby.replica.full_state() == leader.replica.full_state()
        observer.terminate()


async def test_a_standby_whose_connection_was_cut_goes_on_where_it_was(database: EmbeddedStack) -> None:
    dsn = database.postgres_dsn()
    observer = await connect(dsn, "test")
    async with leading(dsn) as leader, following(dsn) as (standby, _):
        await until(lambda: _true(standby.caught_up))
        end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'engine:2 tail'"
        assert await observer.fetch(end)
        await leader.submit(buy())
        await until(lambda: _true(standby.replica.sequence == leader.replica.sequence))
    observer.terminate()


async def test_leader_and_standby_agree_by_their_hashes(database: EmbeddedStack) -> None:
    dsn = database.postgres_dsn()
    async with leading(dsn, records_per_state_hash=10) as leader, following(dsn) as (_, metrics):
        for _ in range(25):
            await leader.submit(buy())
        same = ("engine_state_hash_comparisons_total", {"result": "same"})
        await until(lambda: _true(value(metrics, same[0], **same[1]) >= 1))
        assert value(metrics, "engine_state_hash_comparisons_total", result="different") == 0
    observer = await connect(dsn, "test")
    rows = await observer.fetch("SELECT sequence FROM state_hashes ORDER BY sequence")
    assert [row["sequence"] for row in rows] == [10, 20]
    observer.terminate()


async def test_a_row_that_goes_wrong_before_an_event_touches_it_shows_in_the_hashes(database: EmbeddedStack) -> None:
    dsn = database.postgres_dsn()
    async with leading(dsn, records_per_state_hash=10) as leader, following(dsn) as (standby, metrics):
        await until(lambda: _true(standby.caught_up))
        assert standby.replica.state_hash() == leader.replica.state_hash()
        _corrupt(standby)
        for _ in range(10):
            await leader.submit(buy())
        await until(lambda: _true(standby.differs))
        assert value(metrics, "engine_state_hash_comparisons_total", result="different") == 1


async def test_a_row_that_no_event_touches_any_more_shows_at_the_next_snapshot(
    database: EmbeddedStack, told: list[str]
) -> None:
    dsn, idle = database.postgres_dsn(), AccountId(2)
    async with (
        leading(dsn, records_per_state_hash=10) as leader,
        following(dsn, records_per_snapshot=40) as (
            standby,
            metrics,
        ),
    ):
        await leader.submit(OpenAccount(0, idle), Deposit(0, idle, CASH, 1_000))
        await until(lambda: _true(standby.caught_up and standby.replica.sequence == leader.replica.sequence))
        assert standby.replica.state_hash() == leader.replica.state_hash()
        _corrupt(standby, idle)
        for _ in range(30):
            await leader.submit(buy())
        await until(lambda: _true(value(metrics, "engine_state_hash_comparisons_total", result="same") >= 1))
        assert not standby.differs
        for _ in range(10):
            await leader.submit(buy())
        await until(lambda: _true(standby.differs))
        observer = await connect(dsn, "test")
        assert not await observer.fetch("SELECT 1 FROM snapshots")
        observer.terminate()
    assert told.count("state_differs") == 1


def _corrupt(standby: Standby, account_id: AccountId = TRADER) -> None:
    standby.replica.exchange.venue.accounts[account_id].cash.available += 1


async def test_an_engine_that_has_applied_what_the_journal_lost_does_not_go_on(database: EmbeddedStack) -> None:
    """The row of a commit that was cut off is visible for a moment, and gone with the primary it was on."""
    dsn = database.postgres_dsn()
    observer = await connect(dsn, "test")
    async with leading(dsn) as leader, following(dsn) as (standby, _):
        await leader.submit(buy())
        await until(lambda: _true(standby.replica.sequence == leader.replica.sequence))
        await observer.execute("UPDATE journal SET at_ns = at_ns + 1 WHERE sequence = $1", leader.replica.sequence)
        with pytest.raises(ProcessEndError, match="does not hold record"):
            await standby.catch_up(observer)
    observer.terminate()


async def test_a_standby_whose_memory_differs_says_so_and_never_takes_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ELSON_RECORDS_PER_STATE_HASH", "20")
    programs = {**PROGRAMS, Role.ENGINE: (sys.executable, "-m", "tests.engine.corrupted_engine")}
    async with (
        EmbeddedStack(small_platform(), StackOptions(tmp_path, roles=WITHOUT_FEEDS, programs=programs)) as stack,
        Client(stack.status()) as client,
    ):
        for _ in range(40):
            assert (await client.place(limit_order("buy", 1, "10.00")))[0] == 200
        (standby,), (leader,) = await stack.resolve("engine:standby"), await stack.resolve("engine:active")

        async def get(path: str) -> tuple[int, str]:
            async with client.http.get(stack.base_url(standby.name) + path) as answer:
                return answer.status, await answer.text()

        async with asyncio.timeout(10):
            while (ready := await get("/health/ready"))[0] != 503:
                await asyncio.sleep(0.05)
        assert "state differs" in ready[1]
        assert 'engine_state_hash_comparisons_total{result="different"} 1.0' in (await get("/metrics"))[1]
        assert (stack.options.log_folder / f"{standby.name}.log").read_text().count('"event": "state_differs"') == 1
        await stack.kill(leader.name)
        assert (await client.place(limit_order("buy", 1, "10.00")))[0] in (503, 504)
        assert '"standby"' in (await get("/state"))[1]


async def _true(condition: bool) -> bool:
    return condition
