"""The Redis pair behind its sentinels: who dies, hangs or is deposed comes back as a replica, whatever the binary."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stack.binaries import installations
from stack.embedded import EmbeddedStack
from stack.options import StackOptions
from stack.topology import Role, platform_topology
from tests.redis_pair import client_of, hit, roles, whole_again
from tests.stack.conftest import Events

pytestmark = pytest.mark.stack
FOUND = installations("redis-server")


@pytest.fixture(params=[path for _, path in FOUND], ids=[source for source, _ in FOUND])
async def stack(
    request: pytest.FixtureRequest, tmp_path: Path, events: Events, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[EmbeddedStack]:
    """Two Redis and three sentinels of each installation that is there."""
    monkeypatch.setenv("ELSON_REDIS_SERVER", str(request.param))
    topology = platform_topology(instruments=(), accounts=())
    options = StackOptions(tmp_path, roles=frozenset({Role.REDIS, Role.SENTINEL}))
    async with EmbeddedStack(topology, options, events) as stack:
        yield stack


async def written(stack: EmbeddedStack, key: str) -> None:
    async with client_of(stack, "redis:primary") as client:
        await client.set(key, "1")
        await client.wait(1, 1000)


async def test_a_killed_primary_comes_back_as_the_replica_of_the_other_which_has_the_data(
    stack: EmbeddedStack, events: Events
) -> None:
    (first,) = await stack.resolve("redis:primary")
    await written(stack, "kept")
    assert hit(stack, "redis:primary") == first.name
    await whole_again(stack, first.name)
    assert [node.name for node in await stack.resolve("redis:replica")] == [first.name]
    assert stack.node("redis:primary").role == "primary"
    async with client_of(stack, "redis:primary") as client:
        assert await client.get("kept") == b"1"
    assert await roles(stack) == ["master", "slave"]
    assert events.named("role_changed", node=first.name, role="replica", epoch=1)


async def test_a_primary_frozen_from_outside_is_ended_and_never_wakes_up_beside_its_successor(
    stack: EmbeddedStack,
) -> None:
    frozen, pid = hit(stack, "redis:primary", signal.SIGSTOP), stack.node("redis:primary").pid
    await whole_again(stack, frozen)
    assert stack.node(frozen).pid != pid


async def test_a_frozen_primary_that_is_resumed_too_late_begins_anew_and_one_resumed_at_once_goes_on(
    stack: EmbeddedStack,
) -> None:
    primary = stack.node("redis:primary")
    await stack.freeze("redis:primary")
    await stack.resume("redis:primary")
    assert stack.node("redis:primary").pid == primary.pid
    await stack.freeze("redis:primary")
    await asyncio.sleep(0.5)
    await stack.resume(primary.name)  # before anybody was elected
    assert stack.node(primary.name).pid != primary.pid
    await whole_again(stack, primary.name)
    assert await roles(stack) == ["master", "slave"]


async def test_a_replica_that_believes_to_lead_is_put_right(stack: EmbeddedStack) -> None:
    before = stack.node("redis:replica")
    async with client_of(stack, before.name) as client:
        await client.replicaof("NO", "ONE")
    assert await roles(stack) == ["master", "master"]
    async with asyncio.timeout(10):
        while stack.node(before.name).pid in (before.pid, None):
            await asyncio.sleep(0.1)
    await whole_again(stack, before.name)


async def test_after_the_loss_of_both_and_of_a_sentinel_the_pair_is_there_again(stack: EmbeddedStack) -> None:
    for name in ("sentinel:1", "redis:1", "redis:2"):
        hit(stack, name)
    await whole_again(stack, "redis:2")
    lost = hit(stack, "redis:primary")  # and it can do without its first primary
    await whole_again(stack, lost)
    assert stack.node("sentinel:1").state == "ready"


async def test_a_node_killed_by_its_stack_stays_down_until_it_is_restarted(stack: EmbeddedStack) -> None:
    killed = stack.node("redis:primary").name
    await stack.kill("redis:primary")
    async with asyncio.timeout(10):
        while stack.node("redis:primary").name == killed:
            await asyncio.sleep(0.05)
    await asyncio.sleep(0.5)
    assert stack.node(killed).state == "exited"
    await stack.restart(killed)
    await whole_again(stack, killed)
