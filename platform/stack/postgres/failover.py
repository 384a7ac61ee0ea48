"""Another server becomes the primary: fence the old one, complete the candidate, promote it, write the epoch.

Every step is recorded before the next begins and may be repeated, so a supervisor that is started anew goes on where
the record says. Up to ``fed`` the old primary can still be started again; from ``promoting`` on there is no way back.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

from stack.errors import StackError
from stack.postgres import receiver_log, schema, sessions
from stack.postgres.detector import PROBE_LIMIT_S
from stack.postgres.ensemble import Ensemble
from stack.postgres.nodes import RECEIVER, other
from stack.postgres.record import Stage, Step

UNDER_WAY: Final = (Step.DRAINING, Step.FENCING, Step.FENCED, Step.FED, Step.PROMOTING)
_POLL_S: Final = 0.005
_COMPLETE_WITHIN_S: Final = 0.15
_READ_WITHIN_S: Final = 0.5
_START_LIMIT_S: Final = 20.0
_PROMOTE_LIMIT_S: Final = 5.0
_EPOCH_LIMIT_S: Final = 30.0
_OWN_END: Final = """
SELECT (coalesce(greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()), '0/0') - '0/0')::bigint AS end,
       EXISTS (SELECT FROM pg_stat_wal_receiver) AS connected
"""
_PROGRESS: Final = """
SELECT pg_is_in_recovery() AS in_recovery, (pg_last_wal_replay_lsn() - '0/0')::bigint AS replayed
"""
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
            await self._ready()
            self._all.change(step=Step.PROMOTING)
        try:
            await self._promote()
        except sessions.NOT_ANSWERING:
            await self._all.kill(self._candidate)  # it is started anew when this is tried again
            raise

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
        try:
            if not (self._all.exits.runs(node) and await self._caught_up(node)):
                await self._all.kill(node)
                await self._feed(node)
        except (StackError, OSError) as error:  # its data are gone, the receiver's are, or the disk is full
            raise NoCandidateError(str(error)) from error

    async def _caught_up(self, node: str) -> bool:
        """Whether it has read everything, as it runs; it may still be reading what the old primary had sent.

        Once its connection has ended it reads files that appear in its pg_wal, too (PostgreSQL's manual, 27.2.2),
        which saves a new start. That it has read them must be seen: a promotion might overtake it.
        """
        received, timeline = self._all.cluster.received, self._all.record.timeline
        deadline_s, fed = time.monotonic() + _COMPLETE_WITHIN_S, False
        try:
            while True:
                row = (await self._all.session(node).fetch(_OWN_END, limit_s=PROBE_LIMIT_S))[0]
                if not receiver_log.beyond(received, timeline, row["end"]):
                    return True
                if not (row["connected"] or fed):
                    await self._feed(node)
                    deadline_s, fed = time.monotonic() + _READ_WITHIN_S, True
                if time.monotonic() > deadline_s:
                    return False
                await asyncio.sleep(_POLL_S)
        except sessions.NOT_ANSWERING:
            return False

    async def _feed(self, node: str) -> None:
        fed = await asyncio.to_thread(receiver_log.feed, self._all.cluster, node, self._all.record.timeline)
        self._all.report.tell("standby_fed", node=node, segments=fed)

    async def _ready(self) -> None:
        """A candidate that was down, or had to be fed, runs again; its upstream is gone, so it can only wait."""
        node = self._candidate
        try:
            if not (self._all.exits.runs(node) and await self._answers(node)):
                await self._all.start(node)
                await self._all.accepted(node, _START_LIMIT_S)
        except StackError as error:
            raise NoCandidateError(str(error)) from error

    async def _answers(self, node: str) -> bool:
        try:
            await self._all.session(node).fetch("SELECT 1", limit_s=PROBE_LIMIT_S)
        except sessions.NOT_ANSWERING:
            return False
        return True

    async def _promote(self) -> None:
        """May be repeated, and then finds a candidate that is down, up, or promoted already."""
        node, record = self._candidate, self._all.record
        if not self._all.exits.runs(node):
            await self._all.start(node)
            await self._all.accepted(node, _START_LIMIT_S)
        session = self._all.session(node)
        if await session.value("SELECT pg_is_in_recovery()"):
            await self._all.prepare_slots(node)
            self._all.cluster.write_upstream(node)
            receiver = asyncio.ensure_future(self._all.start(RECEIVER))  # the first commit waits for it
            try:
                await session.fetch("SELECT pg_promote(false)")
                await self._promoted(session)
            finally:
                await asyncio.wait({receiver})
            receiver.result()
        self._all.change(
            step=Step.PROMOTED,
            candidate=None,
            primary=node,
            epoch=record.epoch + 1,
            timeline=await session.value(TIMELINE),
            sync=(RECEIVER,),
            stale={**record.stale, record.primary: Stage.DIVERGED},
        )

    async def _promoted(self, session: sessions.Session) -> None:
        """Returns when it leads. Raises TimeoutError when it does not even get on with what it has yet to read."""
        before, since_s = -1, time.monotonic()
        while True:
            row = (await session.fetch(_PROGRESS))[0]
            if not row["in_recovery"]:
                return
            if row["replayed"] != before:
                before, since_s = row["replayed"], time.monotonic()
            elif time.monotonic() - since_s > _PROMOTE_LIMIT_S:
                raise TimeoutError(f"{self._candidate} does not get on with its promotion")
            await asyncio.sleep(_POLL_S)

    @property
    def _candidate(self) -> str:
        node = self._all.record.candidate
        assert node is not None
        return node
