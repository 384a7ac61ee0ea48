"""Negative controls of the database drills: four ways to lose what was acknowledged, each of which must be counted."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import asyncpg

from drills.writers import WRITE, Writers, lost
from stack.postgres.alone import PostgresCluster
from stack.postgres.ensemble import Ensemble
from stack.postgres.failover import TIMELINE, Failover
from stack.postgres.nodes import RECEIVER, other
from stack.postgres.record import RecordFile, Stage, Step
from stack.postgres.report import Report
from stack.postgres.sessions import within
from stack.postgres.supervisor import Supervisor
from stack.tasks import end

_CUT_OFF_S: Final = 0.2
_PINNED: Final = 10
_LIMIT_S: Final = 30.0
_CANCEL_S: Final = 0.2


@dataclass(frozen=True)
class Loss:
    outage_s: float
    acknowledged: int
    lost: int


class ReadingWriters(Writers):
    """Has the server cancel what takes long, and retries with a statement that finds the row and writes nothing."""

    async def write(self, connection: asyncpg.Connection[Any], key: str) -> None:
        insert = "INSERT INTO drill SELECT $1, epoch FROM cluster_epoch ON CONFLICT DO NOTHING"
        try:
            await connection.execute(insert, key, timeout=_CANCEL_S)
        except TimeoutError:
            await connection.execute(insert, key, timeout=_CANCEL_S)


class Lagging(Failover):
    """Promotes the standby as it is, whatever the receiver has beyond it."""

    async def _complete(self) -> None:
        pass


class Unfenced(Failover):
    """Promotes while the old primary still serves, with the receiver beside it."""

    def __init__(self, ensemble: Ensemble) -> None:
        super().__init__(ensemble)
        self.acknowledged: list[str] = []

    async def _fence(self) -> None:
        self._all.change(step=Step.FENCED)

    async def _promote(self) -> None:
        node, record = self._candidate, self._all.record
        self._all.cluster.write_identity(node, self._all.cluster.leader(()))
        self._all.reload(node)
        session = self._all.session(node)
        await session.fetch("SELECT pg_promote(true)", limit_s=10)
        self.acknowledged = await _write(self._all.cluster.dsn(self._all.cluster.address(record.primary)))
        self._all.change(
            step=Step.PROMOTED,
            candidate=None,
            primary=node,
            epoch=record.epoch + 1,
            timeline=await session.value(TIMELINE),
            sync=(RECEIVER,),
            stale={record.primary: Stage.DIVERGED},
        )


@dataclass(frozen=True)
class Control:
    """A cluster under a supervisor of this process, whose way to fail over can be exchanged."""

    cluster: PostgresCluster
    supervisor: Supervisor

    async def asynchronous_commit(self) -> Loss:
        writers = Writers(self.dsn, settings={"synchronous_commit": "local"})
        return await self._cut_off_and_lost(writers, other(self.cluster.primary), RECEIVER)

    async def retry_that_only_reads(self) -> Loss:
        return await self._cut_off_and_lost(ReadingWriters(self.dsn), other(self.cluster.primary), RECEIVER)

    async def promotion_of_a_lagging_standby(self) -> Loss:
        self.supervisor.failover = Lagging(self.supervisor.ensemble)
        return await self._cut_off_and_lost(Writers(self.dsn), other(self.cluster.primary))

    async def no_fencing(self) -> Loss:
        unfenced = self.supervisor.failover = Unfenced(self.supervisor.ensemble)
        async with Writers(self.dsn) as writers:
            await writers.flowing()
            began_s = time.monotonic()
            await self.supervisor.fail_over()
            return await self._count(writers, began_s, unfenced.acknowledged)

    @property
    def dsn(self) -> str:
        return self.cluster.clients_dsn()

    async def run(self, control: Callable[[Control], Awaitable[Loss]]) -> Loss:
        """One of the above, once the pair and the receiver are as they must be."""
        async with asyncio.timeout(_LIMIT_S):
            while (record := self.supervisor.record).step is not Step.STEADY or len(record.sync) < 2:
                await asyncio.sleep(0.01)
        try:
            return await control(self)
        finally:
            self.supervisor.failover = Failover(self.supervisor.ensemble)

    async def _cut_off_and_lost(self, writers: Writers, *nodes: str) -> Loss:
        """These copies are down while something is acknowledged; then the primary dies, and they come back."""
        primary, host = self.cluster.primary, self.cluster.host
        async with writers:
            await writers.flowing()
            host.refuse(*nodes)
            await asyncio.gather(*(host.kill(node) for node in nodes))
            await writers.flowing()
            await asyncio.sleep(_CUT_OFF_S)
            began_s = time.monotonic()
            killing = asyncio.ensure_future(host.kill(primary))
            await asyncio.sleep(0)  # it has its signal; were the others allowed before, they could still follow it
            host.allow()
            await killing
            async with asyncio.timeout(_LIMIT_S):
                while self.cluster.primary == primary or self.cluster.record.step is not Step.STEADY:
                    await asyncio.sleep(0.01)
            return await self._count(writers, began_s)

    async def _count(self, writers: Writers, began_s: float, others: Collection[str] = ()) -> Loss:
        await writers.flowing()
        outage_s = writers.longest_gap_s(began_s)
        await writers.stop()
        acknowledged = {*writers.acknowledged, *others}
        return Loss(outage_s, len(acknowledged), await lost(self.cluster.dsn(), acknowledged))


async def _write(dsn: str) -> list[str]:
    """A few keys, acknowledged by this one server. Raises one of NOT_ANSWERING when it does not."""
    keys = [f"{id(dsn)}-pinned-{number}" for number in range(_PINNED)]
    connection = await asyncpg.connect(dsn, timeout=_LIMIT_S)
    try:
        for key in keys:
            await within(connection, connection.execute(WRITE, key), _LIMIT_S)
    finally:
        connection.terminate()
    return keys


@asynccontextmanager
async def controls(cluster: PostgresCluster) -> AsyncIterator[Control]:
    """Under a supervisor of this process; the cluster's own must not run meanwhile."""
    file = RecordFile.open(cluster.cluster.record)
    supervisor = Supervisor(cluster.cluster, cluster.host, file, Report(cluster.host, io.StringIO()))
    running = asyncio.ensure_future(supervisor.run())
    try:
        yield Control(cluster, supervisor)
    finally:
        await end(running)
        file.close()


CONTROLS: Final[Mapping[str, Callable[[Control], Awaitable[Loss]]]] = {
    "control: asynchronous commit": Control.asynchronous_commit,
    "control: a retry that only reads": Control.retry_that_only_reads,
    "control: a lagging standby promoted": Control.promotion_of_a_lagging_standby,
    "control: no fencing": Control.no_fencing,
}
