"""When a standby makes snapshots, and how an engine that starts begins from the newest one that is sound."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import asyncpg

from trading.engine.metrics import EngineMetrics
from trading.engine.replica import Replica
from trading.infra.database import DatabaseError, connect
from trading.infra.snapshots import Packed, Snapshot, newest_first, save, skipped
from trading.infra.telemetry import log
from trading.wire.snapshot import SNAPSHOT_VERSION, SnapshotFormatError


class Snapshots:
    """Made by a standby every so many records: the leader never stops for one.

    A leader that is alone makes none, however long that lasts: a later recovery then has more to replay.
    """

    def __init__(self, dsn: str, *, node: str, every: int, metrics: EngineMetrics) -> None:
        self._dsn = dsn
        self._application_name = f"{node} snapshot"
        self._every = every
        self._metrics = metrics
        self._last = 0
        self._making: asyncio.Task[None] | None = None

    async def newest(self, connection: asyncpg.Connection[Any]) -> Replica:
        """The replica as the newest sound snapshot has it; an empty one when there is none. Raises DatabaseError."""
        async for snapshot in newest_first(connection):
            try:
                replica = self._restored(snapshot)
            except SnapshotFormatError as error:
                self._metrics.snapshots.labels("skipped").inc()
                skipped(snapshot.sequence, str(error))
            else:
                log("restored", sequence=snapshot.sequence)
                self._last = snapshot.sequence
                return replica
        return Replica()

    def make_when_due(self, replica: Replica) -> None:
        """Returns at once; encoding, packing and storing go on beside the standby's other work."""
        if self._making and self._making.done():
            self._making.result()  # a defect in making one is not hidden
            self._making = None
        if self._making or replica.sequence - self._last < self._every:
            return
        self._last = replica.sequence
        encode, state_hash = replica.freeze(), replica.state_hash()
        self._making = asyncio.create_task(self._make(replica.sequence, state_hash, encode))

    def stop(self) -> None:
        """Gives up the one that is being made."""
        if self._making:
            self._making.cancel()

    @staticmethod
    def _restored(snapshot: Snapshot) -> Replica:
        if snapshot.version != SNAPSHOT_VERSION:
            raise SnapshotFormatError(f"version {snapshot.version}, this build reads {SNAPSHOT_VERSION}")
        replica = Replica.restored(snapshot.body)
        if (replica.sequence, replica.state_hash()) != (snapshot.sequence, snapshot.state_hash):
            raise SnapshotFormatError("the restored state has another hash")
        return replica

    async def _make(self, sequence: int, state_hash: str, encode: Callable[[], bytes]) -> None:
        def pack() -> Packed:
            return Packed.of(Snapshot(sequence, SNAPSHOT_VERSION, state_hash, encode()))

        packed = await asyncio.to_thread(pack)
        try:
            connection = await connect(self._dsn, self._application_name)
            try:
                await save(connection, packed)
            finally:
                connection.terminate()
        except DatabaseError as error:
            self._metrics.snapshots.labels("failed").inc()
            log("snapshot_failed", level=logging.WARNING, sequence=sequence, reason=str(error))
        else:
            self._metrics.snapshots.labels("made").inc()
            log("snapshot_made", sequence=sequence, bytes=len(packed.compressed))
