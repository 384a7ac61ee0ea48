"""The warm standby: applies each record as it becomes durable, compares state hashes, takes a lease that expires."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import Any, Final

import asyncpg

from trading.engine.metrics import EngineMetrics
from trading.engine.replica import Replica, StateDiffersError
from trading.engine.snapshots import Snapshots
from trading.infra.database import DatabaseError, connect, within
from trading.infra.journal import NOTIFICATIONS
from trading.infra.leadership import Lease
from trading.infra.process import ProcessEndError
from trading.infra.tail import holds, newest_hash, read_tail
from trading.infra.telemetry import log
from trading.wire.garbage import no_garbage_collection

_POLL_S: Final = 0.05  # looks for an expired lease, and for records in case no notification came
_GATHER_S: Final = 0.005  # records that follow each other closely are read together
_RECONNECT_S: Final = 0.1
_LISTEN_DEADLINE_S: Final = 2.0


class Standby:
    """``replica`` is current as far as ``caught_up`` says; ``differs`` is final."""

    def __init__(self, dsn: str, lease: Lease, *, node: str, metrics: EngineMetrics, snapshots: Snapshots) -> None:
        self._dsn = dsn
        self._lease = lease
        self._node = node
        self._metrics = metrics
        self._snapshots = snapshots
        self._leader_sequence = 0
        self._news = asyncio.Event()
        self._recovered = False
        self._compares_from = 0
        self.replica = Replica()
        self.caught_up = False
        self.differs = False

    async def run(self) -> None:
        """Returns when the lease is won; never, once the state differs from the leader's."""
        waiting = False
        while True:
            try:
                connection = await connect(self._dsn, f"{self._node} tail")
                try:
                    await self._follow(connection)
                    return
                finally:
                    connection.terminate()
            except StateDiffersError:
                await self._stand_aside()
            except DatabaseError as error:
                if not waiting:
                    log("waiting_for_database", level=logging.WARNING, reason=str(error))
                waiting, self.caught_up = True, False
                self._lease.close()  # the next try starts on a connection of which everything is known
                await asyncio.sleep(_RECONNECT_S)

    async def catch_up(self, connection: asyncpg.Connection[Any]) -> None:
        """Applies all that is in the journal. Raises DatabaseError, StateDiffersError, ReplayError, ProcessEndError.

        The past is compared first: what was seen of a commit that was cut off may be lost with a primary.
        """
        if self.replica.sequence and not await holds(connection, self.replica.sequence, self.replica.at_ns):
            raise ProcessEndError(f"the journal does not hold record {self.replica.sequence} as this engine applied it")
        with no_garbage_collection():
            await self._apply_tail(connection)

    async def _follow(self, connection: asyncpg.Connection[Any]) -> None:
        await self._recover(connection)
        await within(connection, connection.add_listener(NOTIFICATIONS, self._hear), _LISTEN_DEADLINE_S)
        await self.catch_up(connection)
        self.caught_up = True
        while not await self._lease.try_win():
            next_try_s = time.monotonic() + _POLL_S
            while (left_s := next_try_s - time.monotonic()) > 0:
                await self._wait_for_news(left_s)
                await self._apply_tail(connection)
            self._snapshots.make_when_due(self.replica)
        self._snapshots.stop()

    async def _recover(self, connection: asyncpg.Connection[Any]) -> None:
        """Once in a process's life; afterwards its own memory is newer than any snapshot.

        Of the leaders' hashes on the way only the newest is compared: it speaks for those before.
        """
        if not self._recovered:
            self._compares_from = await newest_hash(connection)
            self.replica = await self._snapshots.newest(connection)
        self._recovered = True

    def _hear(self, *notification: object) -> None:
        self._leader_sequence = max(self._leader_sequence, int(str(notification[-1])))
        self._measure()
        self._news.set()

    async def _wait_for_news(self, limit_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self._news.wait()
                await asyncio.sleep(_GATHER_S)
        self._news.clear()

    async def _apply_tail(self, connection: asyncpg.Connection[Any]) -> None:
        while page := await read_tail(connection, self.replica.sequence):
            hashed = max((record.sequence for record in page if record.state_hash), default=0)
            for record in page:
                self.replica.replay(record.command, record.events)
                if record.state_hash and record.sequence == hashed >= self._compares_from:  # a page's last, likewise
                    self._compare(record.state_hash)
            self._measure()
            await asyncio.sleep(0)

    def _measure(self) -> None:
        self._leader_sequence = max(self._leader_sequence, self.replica.sequence)
        self._metrics.sequence.set(self.replica.sequence)
        self._metrics.lag_records.set(self._leader_sequence - self.replica.sequence)

    def _compare(self, leaders: str) -> None:
        own = self.replica.state_hash()
        self._metrics.hash_comparisons.labels("same" if own == leaders else "different").inc()
        if own != leaders:
            log("state_differs", level=logging.CRITICAL, sequence=self.replica.sequence, own=own, leaders=leaders)
            raise StateDiffersError(f"at record {self.replica.sequence} this engine's state is not the leader's")

    async def _stand_aside(self) -> None:
        """Lives on to be looked at, and takes part in nothing any more."""
        self.differs, self.caught_up = True, False
        self._lease.close()
        self._snapshots.stop()
        await asyncio.get_running_loop().create_future()
