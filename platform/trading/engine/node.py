"""An engine's life: follow the journal until the lease is free, then lead until it is lost, then end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from enum import StrEnum
from typing import Final

from trading.core.commands import ChangePhase
from trading.core.orders import Phase
from trading.engine.lanes import OverloadedError
from trading.engine.metrics import EngineMetrics
from trading.engine.past_orders import PastOrders
from trading.engine.payments import Payments
from trading.engine.publisher import Publisher
from trading.engine.replica import Replica, StateDiffersError
from trading.engine.sequencer import Sequencer
from trading.engine.snapshots import Snapshots
from trading.engine.standby import Standby
from trading.engine.writer import Writer
from trading.infra import redis
from trading.infra.database import DatabaseError, Pool, connect
from trading.infra.journal import FencedError
from trading.infra.leadership import Lease, LeaseLostError
from trading.infra.process import ProcessEndError
from trading.infra.settings import Settings
from trading.infra.telemetry import log
from trading.wire.engine import NO_DEADLINE_NS, Answer, EngineState, Submission

_ORDERLY_END_S: Final = 1.0
_REOPENING_POLL_S: Final = 0.05

# What a leader's life ends with in the ordinary course of things; anything else is a defect.
_ENDS: Final = (LeaseLostError, FencedError, DatabaseError, StateDiffersError)


class Role(StrEnum):
    ACTIVE = "active"
    STANDBY = "standby"


class NotLeadingError(Exception):
    """This engine is a standby; the active one must be asked."""


class EngineNode:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._dsn = settings.postgres_dsn.get_secret_value()
        self._lease = Lease(self._dsn, f"{settings.node} {os.getpid()}", settings.lease_ttl_ms / 1000)
        self._sequencer: Sequencer | None = None
        self._reads = Pool(self._dsn, f"{settings.node} reads", size=2)
        self._past_orders = PastOrders(self._reads)
        self.metrics = EngineMetrics()
        node, metrics, every = settings.node, self.metrics, settings.records_per_snapshot
        snapshots = Snapshots(self._dsn, node=node, every=every, metrics=metrics)
        self._standby = Standby(self._dsn, self._lease, node=node, metrics=metrics, snapshots=snapshots)
        client = redis.connect(settings.redis_url.get_secret_value(), settings.redis_addresses)
        self._publisher = Publisher(client, self._dsn, node=settings.node, metrics=self.metrics)

    @property
    def replica(self) -> Replica:
        return self._standby.replica

    @property
    def health(self) -> str:
        """``ok`` for one that leads or could take over at once; else why not."""
        if self._standby.differs:
            return "state differs from what it must be"
        if self._sequencer is not None and self._sequencer.out_of_space:
            return "the database has no space left"
        return "ok" if self._standby.caught_up else "catching up"

    @property
    def state(self) -> EngineState:
        role = Role.STANDBY if self._sequencer is None else Role.ACTIVE
        return EngineState(self._settings.node, role.value, self._lease.epoch, self.replica.sequence)

    async def submit(self, commands: list[Submission]) -> list[Answer]:
        """Raises NotLeadingError on a standby, and what Sequencer.submit raises."""
        if self._sequencer is None:
            raise NotLeadingError
        return await self._sequencer.submit(commands)

    async def run(self) -> None:
        """Ends only by raising: the process must not go on with what it knew."""
        await self._standby.run()
        try:
            await self._lead()
        except _ENDS as end:
            raise ProcessEndError(str(end)) from None

    async def stop(self) -> None:
        """An orderly end: the standby need not wait for the lease to run out."""
        self._sequencer = None
        try:
            await self._lease.release()
        except DatabaseError as error:
            log("lease_not_released", level=logging.WARNING, reason=str(error))
        self._lease.close()
        await self._reads.close()

    # -- active ------------------------------------------------------------------------------------

    async def _lead(self) -> None:
        """Raises what the first of its parts ends with, without waiting for the others.

        A part that is deaf to being canceled must not keep a deposed leader alive.
        """
        parts = [
            asyncio.create_task(part)
            for part in (self._keep_lease(), self._sequence(), self._publisher.run(), self._reopen())
        ]
        try:
            done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            for part in parts:
                part.cancel()
            await asyncio.wait(parts, timeout=_ORDERLY_END_S)
            raise
        for part in done:
            part.result()

    async def _sequence(self) -> None:
        """Applies what is left of the journal, then serves. The lease has been held from the first moment on."""
        connection = await connect(self._dsn, self._lease.holder)
        await self._standby.catch_up(connection)
        writer = Writer(
            self._dsn,
            connection,
            holder=self._lease.holder,
            epoch=self._lease.epoch,
            deadline_s=self._settings.commit_deadline_ms / 1000,
        )
        self._publisher.start_at(self.replica.sequence)
        self._sequencer = Sequencer(
            self.replica,
            writer,
            epoch=self._lease.epoch,
            capacity=self._settings.queue_capacity,
            assured=self._lease.assured,
            first_answers=self._past_orders.first_answers,
            former_requests=self._past_orders.former_requests,
            payments=Payments(self._reads),
            committed=self._publisher.offer,
            metrics=self.metrics,
            records_per_state_hash=self._settings.records_per_state_hash,
        )
        self.metrics.lag_records.set(0)
        self.metrics.active.set(1)
        self.metrics.epoch.set(self._lease.epoch)
        log("leading", epoch=self._lease.epoch, sequence=self.replica.sequence)
        await self._sequencer.run()

    async def _keep_lease(self) -> None:
        """Renews three times per TTL. Safety does not hang on it (the epoch fences), only a quick, clean end does."""
        while True:
            asked_s = time.monotonic()
            await self._lease.renew()
            await asyncio.sleep(max(0.0, asked_s + self._lease.ttl_s / 3 - time.monotonic()))

    async def _reopen(self) -> None:
        """Ends every volatility halt by its auction when its time has come."""
        while True:
            await asyncio.sleep(_REOPENING_POLL_S)
            if self._sequencer is None:
                continue
            now_ns = time.time_ns()
            due = [symbol for at_ns, symbol in self.replica.exchange.reopenings() if at_ns <= now_ns]
            for symbol in due:
                with contextlib.suppress(OverloadedError):  # then the next round does it
                    reopening = ChangePhase(0, symbol, Phase.CONTINUOUS)
                    await self._sequencer.submit([Submission(NO_DEADLINE_NS, reopening)])
