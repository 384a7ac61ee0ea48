"""The primary's disk fills up: postgres:1 on a volume of its own, which shrinks to what is used, and grows again."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import asyncpg

from drills.database_faults import LIMIT_S, UnsoundError, until
from stack.postgres.alone import PostgresCluster
from stack.postgres.nodes import PAIR
from stack.postgres.record import Step
from stack.postgres.sessions import NOT_ANSWERING, within

_NODE: Final = PAIR[0]
_SIZE_BYTES: Final = 1 << 30
_MARGIN_BYTES: Final = 64 * 1024
_FULL_S: Final = 1.0
_MESSAGES: Final = 64  # of a megabyte: the log needs a new segment after 16 of them
_MESSAGE: Final = "SELECT pg_logical_emit_message(false, 'drill', repeat('x', 1048576))"


def impossible() -> str:
    """Why there can be no such volume here; "" when there can."""
    if os.getuid() != 0:
        return "only root can mount a small volume"
    return "" if shutil.which("mount") else "there is no mount program"


@asynccontextmanager
async def small_disk() -> AsyncIterator[PostgresCluster]:
    """A cluster whose first server has its data on a volume of 1 GiB, in the cluster's own folder."""
    cluster = PostgresCluster()
    volume = cluster.cluster.data(_NODE)
    volume.mkdir()
    _mount(volume, f"size={_SIZE_BYTES},mode=700")
    try:
        cluster.cluster.give_away(volume)
        async with cluster:
            yield cluster
    finally:
        _unmount(volume)
        shutil.rmtree(cluster.folder, ignore_errors=True)


async def fill(cluster: PostgresCluster) -> None:
    """Nothing more can be written on the primary for a second. Raises UnsoundError when it goes on all the same."""
    if cluster.primary != _NODE:
        await cluster.ask("switchover")
        await cluster.redundant()
    volume = cluster.cluster.data(_NODE)
    connection = await asyncpg.connect(cluster.dsn(_NODE), timeout=LIMIT_S)
    try:
        await connection.execute("SET synchronous_commit = local")
        used = shutil.disk_usage(volume).used
        _mount(volume, f"remount,size={used + _MARGIN_BYTES}")
        for _ in range(_MESSAGES):
            await within(connection, connection.execute(_MESSAGE), LIMIT_S)
        raise UnsoundError(f"{_NODE} wrote {_MESSAGES} MiB to a full disk")
    except NOT_ANSWERING:
        await asyncio.sleep(_FULL_S)
    finally:
        connection.terminate()
        _mount(volume, f"remount,size={_SIZE_BYTES}")
    await until(lambda: cluster.record.step is Step.STEADY)


def _mount(volume: Path, options: str) -> None:
    subprocess.run(("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(volume)), check=True)


def _unmount(volume: Path) -> None:
    subprocess.run(("umount", str(volume)), check=True)
