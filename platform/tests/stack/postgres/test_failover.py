"""The cluster under writers, broken in every way its supervisor is there for: nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from drills.database import Row, run_fault
from drills.database_controls import CONTROLS, controls
from drills.writers import Writers, lost, prepare
from stack.errors import ControlError
from stack.postgres import sessions, tools
from stack.postgres.alone import PostgresCluster
from stack.postgres.nodes import API, ENGINE, PAIR, READER, RECEIVER, REPLICATOR, other
from stack.postgres.settings import SEGMENT_BYTES
from stack.process import ChildProcess, Launch
from trading.infra import database

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="module")]
# The drill keeps to its budgets; here, on a machine that runs other tests beside, only a hang must be told from delay.
LIMIT_MS = 15_000
SHORT = (
    "primary kill -9",
    "primary frozen, resumed",
    "standby, then primary kill -9",
    "switchover",
    "supervisor killed at promoting, standby",
    "standby's data lost, primary kill -9",
    "link standby->primary cut, primary",
    "link clients->primary silent",
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster() -> AsyncIterator[PostgresCluster]:
    async with PostgresCluster(proxied=True) as cluster:
        await prepare(cluster.dsn())
        await cluster.redundant()
        yield cluster


@pytest.mark.parametrize("name", SHORT)
async def test_nothing_acknowledged_is_lost_and_redundancy_comes_back(cluster: PostgresCluster, name: str) -> None:
    row = Row()
    await run_fault(cluster, name, row)
    assert (row.lost, row.faults) == (0, [])
    assert row.acknowledged > 50
    assert row.outages_ms[0] < LIMIT_MS


async def test_roles_may_do_no_more_than_they_need(cluster: PostgresCluster) -> None:
    connection = await asyncpg.connect(cluster.dsn())
    try:
        rows = await connection.fetch("SELECT * FROM pg_roles WHERE rolname LIKE 'elson\\_%'")
        hashed = await connection.fetch("SELECT rolpassword FROM pg_authid WHERE rolcanlogin")
    finally:
        connection.terminate()
    assert not any(row["rolsuper"] or row["rolcreatedb"] or row["rolcreaterole"] for row in rows)
    assert [row["rolname"] for row in rows if row["rolreplication"]] == [REPLICATOR]
    assert all(row["rolpassword"].startswith("SCRAM-SHA-256$") for row in hashed)
    for role in (ENGINE, API, READER):
        client = await asyncpg.connect(cluster.dsn(role=role))
        try:
            await client.execute("SET default_transaction_read_only = off")
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await client.execute("CREATE TABLE mine (n int)")
        finally:
            client.terminate()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(cluster.dsn(role=ENGINE).replace(cluster.cluster.passwords[ENGINE], "guessed"))


async def test_a_switchover_needs_both_partners(cluster: PostgresCluster) -> None:
    await cluster.redundant()
    before, standby = cluster.record, other(cluster.primary)
    cluster.host.refuse(standby)
    await cluster.host.kill(standby)
    try:
        with pytest.raises(ControlError, match=f"no switchover: {standby} and wal:1 must both be synchronous"):
            await cluster.ask("switchover")
        assert cluster.record.epoch == before.epoch
    finally:
        cluster.host.allow()
    await cluster.redundant()


async def test_a_follower_rejoins_when_asked_and_the_primary_does_not(cluster: PostgresCluster) -> None:
    await cluster.redundant()
    with pytest.raises(ControlError, match="cannot rejoin"):
        await cluster.ask("rejoin", node=cluster.primary)
    await cluster.ask("rejoin", node="postgres:3")
    await cluster.redundant()
    await cluster.ask("rejoin", node=other(cluster.primary))
    await cluster.redundant()
    log = [json.loads(line) for line in cluster.log("supervisor:1").read_text().splitlines()]
    rebuilt = [line["how"] for line in log if line["event"] == "node_rebuilt"]
    assert "rewound" in rebuilt  # the primaries that were killed before
    assert rebuilt[-2:] == ["copied", "copied"]  # a rewind would leave a follower with a log of its own


async def test_a_receiver_that_died_while_it_made_a_file_goes_on_with_it(cluster: PostgresCluster) -> None:
    await cluster.redundant()
    connection = await asyncpg.connect(cluster.dsn())
    await connection.execute("SELECT pg_switch_wal(), txid_current()")
    connection.terminate()
    await cluster.redundant()
    cluster.host.refuse(RECEIVER)
    await cluster.host.kill(RECEIVER)
    opened = max(cluster.cluster.received.glob("*.partial"))
    assert not any(opened.read_bytes()[SEGMENT_BYTES // 2 :])
    os.truncate(opened, SEGMENT_BYTES // 2)
    cluster.host.allow()
    await cluster.redundant()


async def test_a_record_that_is_damaged_or_another_clusters_starts_nothing(cluster: PostgresCluster) -> None:
    await cluster.redundant()
    path = cluster.cluster.record
    sound = path.read_text()
    await cluster.end_supervisor()
    others = sound.replace(str(cluster.record.system_identifier), "4711")
    for text, complaint in ((sound[:40], "the record is damaged"), (others, "the record is of cluster 4711, but")):
        path.write_text(text)
        process = await cluster.start_supervisor()
        assert await asyncio.wait_for(process.wait(), 10) == 2
        said = cluster.log("supervisor:1").read_text().splitlines()[-1]
        assert str(path) in said
        assert complaint in said
        assert path.read_text() == text
    path.write_text(sound)
    await cluster.start_supervisor()
    await cluster.redundant()


async def test_a_second_supervisor_is_refused(cluster: PostgresCluster) -> None:
    await cluster.redundant()
    second = await cluster.start_supervisor()
    assert await asyncio.wait_for(second.wait(), 10) == 2
    assert "decides for this cluster" in cluster.log("supervisor:1").read_text().splitlines()[-1]
    await cluster.redundant()


class ClosedMeanwhile(asyncpg.Connection):  # type: ignore[type-arg]  # not when it runs
    """By somebody else, in the moment between a statement's preparation and its execution."""

    async def _get_statement(self, *arguments: Any, **options: Any) -> Any:
        statement = await super()._get_statement(*arguments, **options)
        self.terminate()
        return statement


@pytest.mark.parametrize("within", [sessions.within, database.within], ids=["the supervisor's", "the platform's"])
async def test_a_connection_closed_in_the_middle_of_a_statement_is_an_error_that_is_expected(
    cluster: PostgresCluster, within: Callable[..., Awaitable[object]]
) -> None:
    connection = await asyncpg.connect(cluster.dsn(), connection_class=ClosedMeanwhile)
    with pytest.raises((*sessions.NOT_ANSWERING, database.DatabaseError), match="closed meanwhile") as raised:
        await within(connection, connection.fetch("SELECT 1"), 5)
    assert isinstance(raised.value.__cause__, AttributeError)  # all that asyncpg says of it


async def test_restored_data_take_the_primarys_place_and_the_rest_is_copied(cluster: PostgresCluster) -> None:
    await cluster.redundant()
    side = await _restored(cluster)
    before = cluster.record
    async with Writers(cluster.clients_dsn()) as writers:
        await writers.flowing()
    await cluster.end_supervisor()
    doomed = await cluster.start_supervisor(die_at="adopting")
    with contextlib.suppress(ControlError):  # it does not live to answer, and the next one goes on
        await cluster.ask("adopt", folder=str(side))
    await asyncio.wait_for(doomed.wait(), 10)
    await cluster.start_supervisor()
    await cluster.redundant()
    assert (cluster.record.epoch, cluster.primary) == (before.epoch + 1, before.primary)
    assert await lost(cluster.dsn(), writers.acknowledged) == len(writers.acknowledged)
    for node in (*PAIR, "postgres:3"):
        connection = await asyncpg.connect(cluster.dsn(node))
        assert await connection.fetchval("SELECT epoch FROM cluster_epoch") == before.epoch + 1
        connection.terminate()


async def test_only_a_folder_of_this_cluster_is_adopted(cluster: PostgresCluster, tmp_path: Path) -> None:
    before = cluster.record
    running = cluster.cluster.data(cluster.primary)
    for folder, complaint in ((tmp_path, "holds no PostgreSQL server's data"), (running, "was not shut down in order")):
        with pytest.raises(ControlError, match=complaint):
            await cluster.ask("adopt", folder=str(folder))
    assert cluster.record == before


async def test_a_cluster_that_is_wrong_on_purpose_is_caught_by_the_same_count(cluster: PostgresCluster) -> None:
    await cluster.end_supervisor()
    async with controls(cluster) as control:
        lost = {name: (await control.run(wrong)).lost for name, wrong in CONTROLS.items()}
    await cluster.start_supervisor()
    assert all(lost.values()), lost


async def _restored(cluster: PostgresCluster) -> Path:
    """A base backup, recovered to its end on a timeline of its own, and stopped."""
    own, side = cluster.cluster, cluster.cluster.folder / "side"
    port = str(own.ports["postgres:1"] + 40)
    address = own.address(cluster.primary).split(":")
    tool = own.basebackup("postgres:3", cluster.primary)
    argv = (tool.argv[0], "-h", address[0], "-p", address[1], "-U", REPLICATOR, "-D", str(side), "-X", "stream")
    await tools.run(Launch((*argv, "-c", "fast"), tool.env, tool.log, user=tool.user, guarded=True), "the base backup")
    own.write(side / "identity.conf", "recovery_target = 'immediate'\nrecovery_target_action = 'promote'\n")
    own.write(side / "postgresql.auto.conf", f"restore_command = 'cp {own.received}/%f %p'\n")
    own.write(side / "recovery.signal", "")
    server = own.server("postgres:3")
    argv = (server.argv[0], "-D", str(side), "-p", port)
    process = ChildProcess.start(
        Launch(argv, server.env, server.log, user=server.user, guarded=True, stop_signal=signal.SIGINT)
    )
    try:
        await _leads(own.dsn(f"127.0.0.1:{port}"), process)
    finally:
        await process.terminate(5)
    return side


async def _leads(dsn: str, process: ChildProcess) -> None:
    while process.running:
        try:
            connection = await asyncpg.connect(dsn, timeout=1)
        except (OSError, asyncpg.PostgresError):
            await asyncio.sleep(0.02)
            continue
        in_recovery = await connection.fetchval("SELECT pg_is_in_recovery()")
        connection.terminate()
        if not in_recovery:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the side server ended")
