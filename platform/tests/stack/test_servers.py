"""PostgreSQL, Redis and Toxiproxy as nodes of a stack."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import aiohttp
import asyncpg
import psutil
import pytest

from stack.embedded import EmbeddedStack
from stack.errors import NoSuchStackError, StackError
from stack.postgres.nodes import DATABASE, SUPERUSER
from stack.postgres.sessions import connection
from stack.registry import find_stack, running_stacks
from stack.toxiproxy import proxied_bytes
from tests.stack.conftest import Events

pytestmark = pytest.mark.stack
MakeStack = Callable[..., EmbeddedStack]


def all_processes(stack: EmbeddedStack) -> list[psutil.Process]:
    mine = [psutil.Process(node.pid) for node in stack.status().nodes if node.pid]
    return [each for process in mine for each in (process, *process.children(recursive=True))]


async def test_an_acknowledged_commit_waits_for_the_standby(make_stack: MakeStack) -> None:
    stack = make_stack()
    await stack.start()
    dsn = stack.postgres_dsn()
    async with connection(dsn) as client:
        await client.execute("CREATE TABLE t (n int)")
        await stack.kill("postgres:standby")
        commit = asyncio.create_task(client.execute("INSERT INTO t VALUES (1)"))
        done, _ = await asyncio.wait({commit}, timeout=1)
        assert not done
        await stack.restart("postgres:standby")
        assert await commit == "INSERT 0 1"
    async with connection(stack.postgres_dsn("postgres:standby")) as standby:
        assert await standby.fetchval("SELECT n FROM t") == 1


async def test_what_was_committed_survives_the_death_of_the_primary(make_stack: MakeStack, events: Events) -> None:
    stack = make_stack()
    await stack.start()
    async with connection(stack.postgres_dsn()) as client:
        await client.execute("CREATE TABLE t AS SELECT 7 AS n")
    await stack.kill("postgres:primary")
    assert stack.node("postgres:primary").state == "exited"
    await stack.restart("postgres:primary")
    assert stack.node("postgres:primary").state == "ready"
    async with connection(stack.postgres_dsn()) as client:
        assert await client.fetchval("SELECT n FROM t") == 7
    assert events.named("node_exited", node="postgres:1", cause="killed", exit_code=-signal.SIGKILL)


async def test_a_password_is_needed_to_reach_the_database(make_stack: MakeStack) -> None:
    stack = make_stack()
    await stack.start()
    address = stack.wiring.address("postgres:1")
    with pytest.raises(asyncpg.InvalidPasswordError):
        async with connection(f"postgresql://{SUPERUSER}:guess@{address}/{DATABASE}"):
            pass


async def test_a_proxied_link_passes_through_its_own_proxy_and_a_direct_one_does_not(make_stack: MakeStack) -> None:
    stack = make_stack("engine:1->postgres", "postgres->postgres")
    await stack.start()
    links = {link.name: link for link in stack.status().links}
    proxied, direct = links["engine:1->postgres:1"], links["engine:2->postgres:1"]
    assert proxied.listen != proxied.upstream
    assert direct.listen == direct.upstream
    async with aiohttp.ClientSession() as session:
        for link in (proxied, direct):
            dsn = stack.postgres_dsn().replace(stack.wiring.address("postgres:1"), link.listen)
            async with connection(dsn) as client:
                await client.fetchval("SELECT repeat('x', 100000)")
        await stack.kill("postgres:standby")  # a connection is counted when it ends
        moved: dict[str, int] = {}
        while not {proxied.name, "postgres:2->postgres:1"} <= moved.keys():
            moved = await proxied_bytes(session, stack.toxiproxy_url)
    assert moved[proxied.name] > 100_000
    assert direct.name not in moved


async def test_a_frozen_server_stands_still_with_all_its_backends_until_resumed(make_stack: MakeStack) -> None:
    stack = make_stack()
    await stack.start()
    async with connection(stack.postgres_dsn()) as client:
        await stack.freeze("postgres:primary")
        pid = stack.node("postgres:primary").pid
        assert pid is not None
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        assert len(family) > 5
        assert {process.status() for process in family} == {psutil.STATUS_STOPPED}
        answer = asyncio.create_task(client.fetchval("SELECT 1"))
        done, _ = await asyncio.wait({answer}, timeout=0.3)
        assert not done
        await stack.resume("postgres:primary")
        assert await answer == 1


async def test_nothing_is_left_when_a_stack_stops_even_with_a_frozen_node(
    make_stack: MakeStack, own_registry: Path
) -> None:
    stack = make_stack()
    await stack.start()
    await stack.freeze("postgres:standby")
    processes = all_processes(stack)
    assert len(processes) > 10
    await stack.stop()
    await stack.stop()
    assert not [process for process in processes if process.is_running()]
    assert not stack.folder.exists()
    assert list((own_registry / "elson" / "stacks").iterdir()) == []


async def test_two_stacks_at_once_do_not_meet(make_stack: MakeStack) -> None:
    first, second = make_stack("engine->postgres"), make_stack("engine->postgres")
    await asyncio.gather(first.start(), second.start())
    ports = [
        {*stack.wiring.ports.values(), *(port for port in stack.wiring.listens.values())} for stack in (first, second)
    ]
    assert ports[0].isdisjoint(ports[1])
    assert {status.stack_id for status in running_stacks()} == {first.stack_id, second.stack_id}
    with pytest.raises(NoSuchStackError, match=first.stack_id):
        find_stack()
    await first.stop()
    assert find_stack().stack_id == second.stack_id
    async with connection(second.postgres_dsn()) as client:
        assert await client.fetchval("SELECT 1") == 1


async def test_a_taken_port_is_named_before_anything_starts(make_stack: MakeStack) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        stack = make_stack(ports={"redis:1": taken.getsockname()[1]})
        with pytest.raises(StackError, match=f"port {taken.getsockname()[1]}, wanted for redis:1, is taken"):
            await stack.start()
    assert not stack.folder.exists()


async def test_secrets_are_readable_by_their_owner_only(make_stack: MakeStack, own_registry: Path) -> None:
    stack = make_stack()
    await stack.start()
    entry = own_registry / "elson" / "stacks" / f"{stack.stack_id}.json"
    for path in (entry, stack.folder / "control.sock"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((stack.folder / "pg").stat().st_mode) == 0o700
    assert not (stack.folder / "pg" / "password").exists()
    command_lines = [" ".join(process.cmdline()) for process in all_processes(stack)]
    password = stack.postgres_dsn().split(":")[2].split("@")[0]
    assert not [line for line in command_lines if password in line]


async def test_under_root_the_database_runs_as_nobody(make_stack: MakeStack) -> None:
    if os.getuid() != 0:
        pytest.skip("only root needs another user for PostgreSQL")
    stack = make_stack()
    await stack.start()
    pid = stack.node("postgres:primary").pid
    assert pid is not None
    assert psutil.Process(pid).username() == "nobody"
