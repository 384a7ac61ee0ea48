"""A planned change of the primary, on a real PostgreSQL cluster with its supervisor."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from chaos.fault import FaultError
from chaos.faults import make_fault
from stack.embedded import EmbeddedStack
from stack.options import StackOptions
from stack.topology import Role, platform_topology


@pytest.mark.stack
async def test_a_switchover_makes_another_server_primary_and_undoing_changes_back(tmp_path: Path) -> None:
    changes: list[tuple[str, int]] = []

    def note(name: str, **fields: Any) -> None:
        if name == "role_changed" and fields["role"] == "primary":
            changes.append((fields["node"], fields["epoch"]))

    options = StackOptions(tmp_path, roles=frozenset({Role.POSTGRES, Role.WAL, Role.SUPERVISOR}))
    async with EmbeddedStack(platform_topology(instruments=(), accounts=()), options, note) as stack:
        fault = make_fault("switchover", "postgres:primary", None)
        aim = await fault.aim(stack)
        evidence = await fault.evidence(stack, aim, await fault.inject(stack, aim))
        assert evidence.bit, evidence
        assert stack.node("postgres:primary").name == "postgres:2"
        assert evidence.summary == "postgres:2 is the primary of epoch 2, postgres:1 was of 1"
        await fault.undo(stack, aim)
        await fault.undo(stack, aim)
        assert stack.node("postgres:primary").name == "postgres:1"
        async with asyncio.timeout(5):  # the supervisor tells it a moment later
            while len(changes) < 2:
                await asyncio.sleep(0.01)
        assert changes == [("postgres:2", 2), ("postgres:1", 3)]


async def test_a_switchover_that_changed_nothing_did_not_bite(tmp_path: Path) -> None:
    fault = make_fault("switchover", "postgres:primary", None)
    same = {"primary": "postgres:1", "epoch": 1}
    stack = EmbeddedStack(platform_topology(instruments=(), accounts=()), StackOptions(tmp_path))
    assert not (await fault.evidence(stack, ["postgres:1"], {"before": same, "after": same})).bit


def test_only_the_primary_can_be_switched_over() -> None:
    with pytest.raises(FaultError, match=r"a switchover is of postgres:primary, got 'redis:primary'"):
        make_fault("switchover", "redis:primary", None).check(platform_topology(instruments=(), accounts=()))
    with pytest.raises(FaultError, match="takes no value"):
        make_fault("switchover", "postgres:primary", "5 s")
