"""When a standby makes snapshots, and how an engine that starts begins from the newest one that is sound."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import asyncpg

from trading.engine.metrics import EngineMetrics
from trading.engine.replica import Frozen, Replica, StateDiffersError
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
        """Returns at once; checking, encoding, packing and storing go on beside the standby's other work.

        Raises StateDiffersError when the last one showed that the replica's state and its running hash had parted.
        """
        self._look_at_last()
        if self._making or replica.sequence - self._last < self._every:
            return
        self._last = replica.sequence
        self._making = asyncio.create_task(self._make(replica.sequence, replica.freeze()))

    def stop(self) -> None:
        """Gives up the one that is being made. Raises StateDiffersError as ``make_when_due`` does."""
        self._look_at_last()
        if self._making:
            self._making.cancel()

    def _look_at_last(self) -> None:
        if self._making and self._making.done():
            making, self._making = self._making, None
            making.result()  # a defect in making one is not hidden

    @staticmethod
    def _restored(snapshot: Snapshot) -> Replica:
        if snapshot.version != SNAPSHOT_VERSION:
            raise SnapshotFormatError(f"version {snapshot.version}, this build reads {SNAPSHOT_VERSION}")
        replica = Replica.restored(snapshot.body)
        if (replica.sequence, replica.state_hash()) != (snapshot.sequence, snapshot.state_hash):
            raise SnapshotFormatError("the restored state has another hash")
        return replica

    async def _make(self, sequence: int, frozen: Frozen) -> None:
        def pack() -> Packed:
            return Packed.of(Snapshot(sequence, SNAPSHOT_VERSION, _checked_hash(sequence, frozen), frozen.encode()))

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


def _checked_hash(sequence: int, frozen: Frozen) -> str:
    """The state's hash, computed afresh: a row that went wrong without an event shows in no other way."""
    own = frozen.state.hash()
    if own != frozen.state_hash:
        log("state_differs", level=logging.CRITICAL, sequence=sequence, own=own, running=frozen.state_hash)
        raise StateDiffersError(f"at record {sequence} this engine's state is not what its events made it")
    return own
