"""Another server becomes the primary: fence the old one, complete the candidate, promote it, write the epoch.

Every step is recorded before the next begins and may be repeated, so a supervisor that is started anew goes on where
the record says. Up to ``fed`` the old primary could still be started again; from ``promoting`` on there is no way back.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

from stack.errors import StackError, StartError
from stack.postgres import receiver_log, schema, sessions
from stack.postgres.ensemble import Ensemble
from stack.postgres.nodes import RECEIVER, other
from stack.postgres.record import Stage, Step

UNDER_WAY: Final = (Step.DRAINING, Step.FENCING, Step.FENCED, Step.FED, Step.PROMOTING)
_POLL_S: Final = 0.005
_COMPLETE_WITHIN_S: Final = 0.15
_START_LIMIT_S: Final = 20.0
_PROMOTE_LIMIT_S: Final = 10.0
_EPOCH_LIMIT_S: Final = 30.0
_OWN_END: Final = "SELECT (greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) - '0/0')::bigint"
TIMELINE: Final = "SELECT ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int"


class NoCandidateError(StackError):
    """No server may take the primary's place; the message says why."""


class Failover:
    """Acts on the ensemble; nobody else starts or ends its processes meanwhile."""

    def __init__(self, ensemble: Ensemble) -> None:
        self._all = ensemble

    async def run(self, *, planned: bool = False) -> None:
        """Returns when the candidate is primary, closed until ``open``. Raises NoCandidateError before it is fenced."""
        if self._all.record.step not in UNDER_WAY:
            candidate = self.candidate()
            self._all.change(step=Step.DRAINING if planned else Step.FENCING, candidate=candidate)
        await self._fence()
        if self._all.record.step is Step.FENCED:
            await self._complete()
            self._all.change(step=Step.FED)
        if self._all.record.step is Step.FED:
            self._all.change(step=Step.PROMOTING)
        await self._promote()

    def candidate(self) -> str:
        """The pair's other server, unless it is on its way back from an earlier failover. Raises NoCandidateError."""
        record = self._all.record
        node = other(record.primary)
        if node in record.stale:
            raise NoCandidateError(f"{node} is {record.stale[node]} and has not what was acknowledged since")
        return node

    async def restart(self) -> None:
        """The primary again, in place, where nobody may take over. Raises StartError."""
        step = Step.STEADY if self._all.record.step in UNDER_WAY else self._all.record.step
        self._all.change(step=step, candidate=None)
        await self._all.start(self._all.primary)
        await self._all.accepted(self._all.primary, _START_LIMIT_S)

    async def write_epoch(self) -> None:
        """The new primary's first transaction; waits for a second copy, like any. Raises one of NOT_ANSWERING."""
        record = self._all.record
        cluster = self._all.cluster
        async with sessions.session(cluster.dsn(cluster.address(record.primary))) as first:
            await first.fetch("SET default_transaction_read_only = off")
            await first.fetch(schema.WRITE_EPOCH, record.epoch, limit_s=_EPOCH_LIMIT_S)

    def open(self) -> None:
        """Lets everybody write, once the epoch is there."""
        self._all.change(step=Step.STEADY)
        self._all.lead(self._all.record.sync)

    async def _fence(self) -> None:
        """The old primary is gone, and the receiver with it, when this returns."""
        record = self._all.record
        if record.step is Step.DRAINING:
            await self._all.stop(record.primary)
        await asyncio.gather(self._all.kill(record.primary), self._all.kill(RECEIVER))
        if record.step in (Step.DRAINING, Step.FENCING):
            self._all.change(step=Step.FENCED)

    async def _complete(self) -> None:
        """The candidate has on its disk what it had and what the receiver has."""
        node = self._candidate
        timeline = self._all.record.timeline
        if self._all.exits.runs(node) and await self._has_everything(node, timeline):
            return
        await self._all.kill(node)
        try:
            fed = await asyncio.to_thread(receiver_log.feed, self._all.cluster, node, timeline)
        except receiver_log.GapError as error:
            raise NoCandidateError(str(error)) from error
        self._all.report.tell("standby_fed", node=node, segments=fed)

    async def _has_everything(self, node: str, timeline: int) -> bool:
        """It may still be reading what the old primary had sent."""
        deadline_s = time.monotonic() + _COMPLETE_WITHIN_S
        try:
            async with asyncio.timeout(_COMPLETE_WITHIN_S * 2):
                while receiver_log.beyond(
                    self._all.cluster.received, timeline, await self._all.session(node).value(_OWN_END) or 0
                ):
                    if time.monotonic() > deadline_s:
                        return False
                    await asyncio.sleep(_POLL_S)
                return True
        except sessions.NOT_ANSWERING:
            return False

    async def _promote(self) -> None:
        node, record = self._candidate, self._all.record
        if not self._all.exits.runs(node):
            await self._start_candidate(node)
        session = self._all.session(node)
        if await session.value("SELECT pg_is_in_recovery()"):
            await self._all.prepare_slots(node)
            self._all.cluster.write_upstream(node)
            receiver = asyncio.ensure_future(self._all.start(RECEIVER))  # a commit waits for it: it must be there first
            await session.fetch("SELECT pg_promote(false)")
            async with asyncio.timeout(_PROMOTE_LIMIT_S):
                while await session.value("SELECT pg_is_in_recovery()"):
                    await asyncio.sleep(_POLL_S)
            await receiver
        self._all.change(
            step=Step.PROMOTED,
            candidate=None,
            primary=node,
            epoch=record.epoch + 1,
            timeline=await session.value(TIMELINE),
            sync=(RECEIVER,),
            stale={**record.stale, record.primary: Stage.DIVERGED},
        )

    async def _start_candidate(self, node: str) -> None:
        """A candidate that was down, or had to be fed. Its upstream is gone; where it is promoted already, it leads."""
        await self._all.start(node)
        try:
            await self._all.accepted(node, _START_LIMIT_S)
        except StartError as error:
            if self._all.record.step is Step.PROMOTING:
                raise
            raise NoCandidateError(str(error)) from error

    @property
    def _candidate(self) -> str:
        node = self._all.record.candidate
        assert node is not None
        return node
