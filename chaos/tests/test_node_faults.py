"""Kill and freeze, against real processes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psutil
import pytest

from chaos.fault import FaultError
from chaos.faults import make_fault
from stack.embedded import EmbeddedStack
from stack.errors import StackError
from stack.options import StackOptions
from stack.topology import Role, platform_topology

REDIS = ["redis:1"]


@pytest.mark.stack
async def test_a_killed_node_is_gone_and_undoing_starts_it_again(stack: EmbeddedStack) -> None:
    before = stack.node("redis:1").pid
    fault = make_fault("kill", "redis", None)
    facts = await fault.inject(stack, await fault.aim(stack))
    evidence = await fault.evidence(stack, REDIS, facts)
    assert evidence.bit, evidence
    assert before is not None
    assert not psutil.pid_exists(before)
    await fault.undo(stack, REDIS)
    await fault.undo(stack, REDIS)
    after = stack.node("redis:1")
    assert after.state == "ready"
    assert after.pid != before


@pytest.mark.stack
async def test_a_node_that_does_not_run_cannot_be_killed(stack: EmbeddedStack) -> None:
    fault = make_fault("kill", "feed:1", None)
    with pytest.raises(StackError, match="feed:1 is not running"):
        await fault.inject(stack, await fault.aim(stack))


@pytest.mark.stack
async def test_every_process_of_a_frozen_node_stands_still_until_the_undo(stack: EmbeddedStack) -> None:
    fault = make_fault("freeze", "redis:1", None)
    facts = await fault.inject(stack, REDIS)
    evidence = await fault.evidence(stack, REDIS, facts)
    pid = stack.node("redis:1").pid
    assert pid is not None
    assert evidence.bit, evidence
    assert psutil.Process(pid).status() == psutil.STATUS_STOPPED
    await fault.undo(stack, REDIS)
    await fault.undo(stack, REDIS)
    assert psutil.Process(pid).status() != psutil.STATUS_STOPPED


@pytest.mark.stack
async def test_a_frozen_primary_that_was_ended_where_it_stood_did_stand_still_and_is_not_woken_up(
    tmp_path: Path,
) -> None:
    topology = platform_topology(instruments=(), accounts=())
    options = StackOptions(tmp_path, roles=frozenset({Role.REDIS, Role.SENTINEL}))
    async with EmbeddedStack(topology, options) as stack:
        fault = make_fault("freeze", "redis:primary", None)
        (frozen,) = aim = await fault.aim(stack)
        facts, pid = await fault.inject(stack, aim), stack.node(frozen).pid
        async with asyncio.timeout(15):
            while stack.node(frozen).pid in (pid, None):
                await asyncio.sleep(0.05)
        evidence = await fault.evidence(stack, aim, facts)
        await fault.undo(stack, aim)
        assert evidence.bit, evidence
        assert stack.node("redis:replica").name == frozen


@pytest.mark.stack
async def test_a_freeze_that_somebody_lifted_at_once_did_not_bite(stack: EmbeddedStack) -> None:
    fault = make_fault("freeze", "redis:1", None)
    facts = await fault.inject(stack, REDIS)
    pid = stack.node("redis:1").pid
    psutil.Process(pid).resume()  # by another hand: its owner believes that it still is frozen
    evidence = await fault.evidence(stack, REDIS, facts)
    await fault.undo(stack, REDIS)
    assert not evidence.bit, evidence
    assert evidence.summary == "redis:1 did not stand still"


@pytest.mark.stack
@pytest.mark.parametrize("states", [{"1": psutil.STATUS_SLEEPING}, {}])
async def test_a_freeze_that_took_hold_too_late_did_not_bite(stack: EmbeddedStack, states: dict[str, str]) -> None:
    fault = make_fault("freeze", "redis:1", None)
    await fault.inject(stack, REDIS)
    evidence = await fault.evidence(stack, REDIS, {"redis:1": {"states_at_start": states}})
    await fault.undo(stack, REDIS)
    assert not evidence.bit, evidence


@pytest.mark.parametrize("kind", ["kill", "freeze"])
def test_a_node_the_topology_does_not_have_is_refused(kind: str) -> None:
    topology = platform_topology(instruments=(), accounts=())
    for known in ("engine:active", "engine", "postgres:standby"):
        make_fault(kind, known, None).check(topology)
    with pytest.raises(FaultError, match="no node 'engine:7'; there are api:1, api:2, backup:1, engine:1"):
        make_fault(kind, "engine:7", None).check(topology)


@pytest.mark.parametrize("kind", ["kill", "freeze"])
def test_kill_and_freeze_take_no_value(kind: str) -> None:
    with pytest.raises(FaultError, match="takes no value"):
        make_fault(kind, "engine:1", "5 s")
