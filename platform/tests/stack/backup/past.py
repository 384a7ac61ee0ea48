"""A cluster that lived through something worth going back behind, and the ways to go back."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg

from drills.backup import committed_at
from stack.backup.alone import BackupProcess
from stack.backup.archive import Archive
from stack.backup.backups import restore
from stack.backup.side_server import Programs, SideServer
from stack.postgres.alone import PostgresCluster

DELETE = "WITH gone AS (DELETE FROM drill RETURNING 1) SELECT pg_current_xact_id()::text"


@dataclass
class Past:
    """100 rows, a point, 100 more, a wrong DELETE of them all, 10 more; and 1 that is in the open segment."""

    cluster: PostgresCluster
    backups: BackupProcess
    folder: Path
    before: datetime
    position: str
    deleted_at: datetime

    @property
    def programs(self) -> Programs:
        return Programs(self.cluster.cluster.binaries, self.cluster.cluster.user)

    @property
    def into(self) -> Path:
        return self.folder / "restored"

    async def restored(self, to: str, **fields: Any) -> int:
        """By the process; returns how many rows there are then."""
        await self.backups.ask("restore", to=to, into=str(self.into), **fields)
        return await self.count()

    async def restore_from(self, archive: Path, to: str = "latest", **fields: Any) -> None:
        """Without the process, from a copy of the archive; without the receiver unless ``folders`` are given."""
        opened = Archive.open(archive, fields.pop("key", self.backups.key))
        folders, into = fields.pop("folders", []), fields.pop("into", self.into)
        await restore(opened, folders, self.programs, to=to, into=into, **fields)

    async def count(self) -> int:
        async with SideServer(self.programs, self.into, self.folder / "side.log") as side:
            await side.leads()
            found = int((await side.row("SELECT count(*) FROM drill"))[0])
        shutil.rmtree(self.into)
        return found

    def left(self) -> list[Path]:
        return [path for path in self.folder.iterdir() if path.name.startswith((".restoring", "restored"))]

    def copy(self) -> Path:
        """Of the archive, to be spoiled."""
        return self.backups.copy(Path(tempfile.mkdtemp(dir=self.folder)) / "archive")


def reachable_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="elson-past-", dir="/tmp"))
    if os.getuid() == 0:
        folder.chmod(0o711)  # the servers' user must get to what is restored there
    return folder


async def live_through(cluster: PostgresCluster, backups: BackupProcess, folder: Path) -> Past:
    before = datetime.now(UTC)
    await backups.ask("now")
    connection = await asyncpg.connect(cluster.dsn())
    try:
        await _insert(connection, "early", 100)
        await backups.ask("point", name="half-time")
        await _insert(connection, "late", 100)
        position = await connection.fetchval("SELECT pg_current_wal_lsn()::text")
        await connection.execute("SELECT pg_switch_wal()")
        deleted_in = int(await connection.fetchval(DELETE))
        await _insert(connection, "after", 10)
        await connection.execute("SELECT pg_switch_wal()")
        await _insert(connection, "open", 1)
    finally:
        connection.terminate()
    deleted_at = await committed_at(cluster, deleted_in)
    async with asyncio.timeout(30):
        while not _all_archived(cluster, backups):
            await asyncio.sleep(0.05)
    return Past(cluster, backups, folder, before, position, deleted_at)


def _all_archived(cluster: PostgresCluster, backups: BackupProcess) -> bool:
    """Up to the segment that the row after the last switch is in."""
    (begun,) = cluster.cluster.received.glob("*.partial")
    (first,) = Archive.open(backups.settings.archive, backups.key).catalogue.backups()
    number = int(begun.name[16:24], 16)
    archived = {name.number for name in Archive.open(backups.settings.archive, backups.key).segments()}
    return number >= first.first_segment + 2 and set(range(first.first_segment, number)) <= archived


async def current_position(past: Past) -> int:
    connection = await asyncpg.connect(past.cluster.dsn())
    try:
        return int(await connection.fetchval("SELECT (pg_current_wal_lsn() - '0/0')::bigint"))
    finally:
        connection.terminate()


async def _insert(connection: asyncpg.Connection[Any], prefix: str, count: int) -> None:
    await connection.execute("INSERT INTO drill SELECT $1 || n, 1 FROM generate_series(1, $2::int) AS n", prefix, count)
