"""A server's disk that is full, on a real cluster whose first server has a small one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from chaos.fault import FaultError
from chaos.faults import make_fault
from stack.embedded import EmbeddedStack
from stack.options import StackOptions
from stack.postgres.sessions import connection
from stack.small_disk import SIZE_MB, unshare_mounts
from stack.topology import Role, platform_topology

ROLES = frozenset({Role.POSTGRES, Role.WAL, Role.SUPERVISOR})
MANY = "INSERT INTO orders SELECT repeat('x', 500) FROM generate_series(1, 5000)"
DISK = ["postgres:1"]
MB = 1 << 20


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[EmbeddedStack]:
    if why := unshare_mounts():
        pytest.skip(why)
    topology = platform_topology(instruments=(), accounts=(), small_disk="postgres:1")
    async with EmbeddedStack(topology, StackOptions(tmp_path, roles=ROLES)) as running:
        async with connection(running.postgres_dsn()) as primary:
            await primary.execute("CREATE TABLE orders (what text)")
        yield running
    assert not running.folder.exists()


async def write(stack: EmbeddedStack) -> None:
    async with connection(stack.postgres_dsn()) as primary:
        await primary.execute(MANY)


def free_bytes(stack: EmbeddedStack) -> int:
    assert stack.small_disk is not None
    return stack.small_disk.free_bytes


@pytest.mark.stack
async def test_a_full_disk_refuses_writes_until_the_undo(stack: EmbeddedStack) -> None:
    fault = make_fault("disk_full", "postgres:primary", None)
    aim = await fault.aim(stack)
    assert aim == DISK
    before = free_bytes(stack)
    assert 100 * MB < before < SIZE_MB * MB
    facts = await fault.inject(stack, aim)
    assert free_bytes(stack) == 0
    with pytest.raises(asyncpg.DiskFullError):
        await write(stack)
    evidence = await fault.evidence(stack, aim, facts)
    assert evidence.bit, evidence
    assert evidence.summary == f"0 of {before:,} bytes were left to postgres:1; writes it was refused: 1"
    await fault.undo(stack, aim)
    await fault.undo(stack, aim)
    assert free_bytes(stack) > before - 20 * MB
    await write(stack)


@pytest.mark.stack
async def test_a_full_disk_that_nobody_writes_to_did_not_bite(stack: EmbeddedStack) -> None:
    fault = make_fault("disk_full", "postgres:1", None)
    evidence = await fault.evidence(stack, DISK, await fault.inject(stack, DISK))
    await fault.undo(stack, DISK)
    assert not evidence.bit, evidence


@pytest.mark.stack
async def test_a_disk_with_space_left_did_not_bite(stack: EmbeddedStack) -> None:
    fault = make_fault("disk_full", "postgres:1", None)
    facts = await fault.inject(stack, DISK)
    with pytest.raises(asyncpg.DiskFullError):
        await write(stack)
    evidence = await fault.evidence(stack, DISK, facts | {"free_bytes": 8192})
    await fault.undo(stack, DISK)
    assert not evidence.bit, evidence


@pytest.mark.stack
async def test_whose_disk_is_not_small_is_not_aimed_at(stack: EmbeddedStack) -> None:
    fault = make_fault("disk_full", "postgres:standby", None)
    with pytest.raises(FaultError, match="postgres:standby is postgres:2, and the small disk is that of postgres:1"):
        await fault.aim(stack)


def test_only_a_small_disk_can_be_filled() -> None:
    small = platform_topology(instruments=(), accounts=(), small_disk="postgres:1")
    for target in ("postgres:1", "postgres:primary"):
        make_fault("disk_full", target, None).check(small)
    for target in ("postgres:2", "postgres", "redis:1"):
        with pytest.raises(FaultError, match=f"the only disk that may be filled is that of postgres:1, got '{target}'"):
            make_fault("disk_full", target, None).check(small)
    with pytest.raises(FaultError, match=r"no server has a disk that may be filled: topology\.small_disk gives"):
        make_fault("disk_full", "postgres:1", None).check(platform_topology(instruments=(), accounts=()))
    with pytest.raises(FaultError, match="disk_full takes no value, got '1 GB'"):
        make_fault("disk_full", "postgres:1", "1 GB")
    with pytest.raises(FaultError, match="postgres:1 has a disk of its own"):
        make_fault("lose", "postgres", None).check(small)
