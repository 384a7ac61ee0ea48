"""Keeps one process that is not the primary going: restarts it, points it at the primary, rewinds or copies it anew."""

from __future__ import annotations

import asyncio
import shutil
import time
from typing import Final

from stack.errors import StackError, StartError
from stack.postgres import sessions, tools
from stack.postgres.control_data import ControlData
from stack.postgres.detector import PROBE_LIMIT_S, NewConnections, Strikes
from stack.postgres.ensemble import Ensemble
from stack.postgres.nodes import RECEIVER
from stack.postgres.receiver_log import make_folder, set_aside
from stack.postgres.record import Stage
from stack.postgres.sync_set import SyncSet
from stack.process import log_tail

_PAUSE_S: Final = 0.1
_ASK_EVERY_S: Final = 1.0
_FIRST_BACKOFF_S: Final = 0.1
_LONGEST_BACKOFF_S: Final = 3.0
_START_LIMIT_S: Final = 20.0
_REBUILT_LIMIT_S: Final = 5.0
_STREAMS_WITHIN_S: Final = 5.0
_CHECKPOINT_LIMIT_S: Final = 60.0
_RECEIVER_STALLED_S: Final = 2.0
_RECEIVED_TIMELINE: Final = "SELECT max(received_tli) FROM pg_stat_wal_receiver"
_REMOVED: Final = "has already been removed"


class Keeper:
    """Runs as a task until it is cancelled, which may be at any point: the record says how far a server had come."""

    def __init__(self, ensemble: Ensemble, sync_set: SyncSet, node: str) -> None:
        self._all = ensemble
        self._sync_set = sync_set
        self.node = node
        self._strikes = Strikes()
        self._new_connections = NewConnections()
        self._streamed_at_s = time.monotonic()
        self._asked_at_s = 0.0
        self._backoff_s = 0.0

    async def run(self) -> None:
        once = self._receiver if self.node == RECEIVER else self._server
        while True:
            try:
                await once()
                self._backoff_s = 0.0
            except (StackError, *sessions.NOT_ANSWERING) as error:
                self._all.report.log("not_kept", node=self.node, error=str(error) or type(error).__name__)
                self._backoff_s = min(max(2 * self._backoff_s, _FIRST_BACKOFF_S), _LONGEST_BACKOFF_S)
            await self._pause()

    async def _pause(self) -> None:
        """Shorter when the process ends, unless it does so again and again."""
        if self._backoff_s:
            await asyncio.sleep(self._backoff_s)
        else:
            await self._all.exits.pause(self.node, _PAUSE_S)

    async def _server(self) -> None:
        stage = self._all.record.stale.get(self.node)
        if stage in (Stage.DIVERGED, Stage.REWINDING, Stage.COPYING):
            if self._all.expendable(self.node):
                await self._rebuild(stage)
        elif not self._all.exits.runs(self.node):
            await self._start()
        elif not await self._strikes.judge(self._answers()):
            if self._strikes.out:
                self._all.report.log("frozen", node=self.node)
                self._strikes.forgive()
                await self._all.kill(self.node)
        else:
            await self._follow(stage)

    async def _answers(self) -> bool:
        """The kept connection also saves a promotion the time to open one."""
        if not await self._new_connections.taken(self._all.cluster.address(self.node)):
            return False
        if time.monotonic() - self._asked_at_s > _ASK_EVERY_S:
            self._asked_at_s = time.monotonic()
            await self._all.session(self.node).fetch("SELECT 1", limit_s=PROBE_LIMIT_S)
        return True

    async def _follow(self, stage: Stage | None) -> None:
        """Points it at the primary. One that cannot follow although its link is open holds the wrong data."""
        if self._all.cluster.write_identity(self.node, self._identity()):
            self._all.reload(self.node)
            self._streamed_at_s = time.monotonic()
        if await self._follows():
            self._streamed_at_s = time.monotonic()
            self._rejoined(stage)
        elif time.monotonic() - self._streamed_at_s > _STREAMS_WITHIN_S:
            self._streamed_at_s = time.monotonic()
            upstream = self._all.cluster.upstream(self.node, self._all.primary)
            if await sessions.answers(upstream, PROBE_LIMIT_S) and self._all.expendable(self.node):
                self._set(Stage.COPYING if stage is Stage.REJOINING else Stage.DIVERGED)

    async def _follows(self) -> bool:
        if self.node in self._all.view.followers and self.node not in self._all.on_timeline:
            received = await self._all.session(self.node).value(_RECEIVED_TIMELINE)
            if received == self._all.record.timeline:
                self._all.on_timeline.add(self.node)
        return self._all.follows(self.node)

    def _rejoined(self, stage: Stage | None) -> None:
        """It streams what the primary writes, so it has caught up."""
        if stage is not None and self.node in self._all.record.stale:
            self._all.report.tell("node_rejoined", node=self.node)
            rest = {node: stage for node, stage in self._all.record.stale.items() if node != self.node}
            self._all.change(stale=rest)

    async def _start(self) -> None:
        if not self._holds_data() and self._all.expendable(self.node):
            self._set(Stage.COPYING)
            return
        await self._all.ensure_slot(self.node)
        self._all.cluster.write_identity(self.node, self._identity())
        self._all.cluster.mark_standby(self.node)
        self._all.cluster.share_histories(self.node, self._all.record.timeline)
        self._all.on_timeline.discard(self.node)
        await self._all.start(self.node)
        self._streamed_at_s = time.monotonic()
        rebuilt = self.node in self._all.record.stale
        try:
            await self._all.accepted(self.node, _REBUILT_LIMIT_S if rebuilt else _START_LIMIT_S)
            await self._all.prepare_slots(self.node)
        except StartError:
            # A rewound one may lack log that the primary, if it was copied itself, no longer has.
            if (rebuilt or self._backoff_s) and self._all.expendable(self.node):
                self._set(Stage.COPYING if rebuilt else Stage.DIVERGED)
            raise

    def _holds_data(self) -> bool:
        """Of this cluster: a folder may be lost, or somebody else's."""
        try:
            found = ControlData.read(self._all.cluster.data(self.node))
        except StackError:
            return False
        return found.system_identifier == self._all.record.system_identifier

    async def _rebuild(self, stage: Stage) -> None:
        """The old primary's way back. A rewind that was broken off leaves nothing to rewind."""
        began_s = time.monotonic()
        await self._all.kill(self.node)
        await self._all.ensure_slot(self.node)
        how = "rewound" if stage is Stage.DIVERGED and self._led() and await self._rewind() else "copied"
        if how == "copied":
            await self._copy()
        self._all.cluster.write_identity(self.node, self._identity())
        self._all.cluster.mark_standby(self.node)
        self._set(Stage.REJOINING)
        self._all.report.tell("node_rebuilt", node=self.node, how=how, ms=round((time.monotonic() - began_s) * 1000))
        await self._start()

    def _led(self) -> bool:
        """Whether it was primary before this one: nothing else can be rewound.

        pg_rewind has a killed server recover first, which writes to its log. On one timeline with the primary it then
        sees nothing to rewind, and a follower goes on with a log that is not the primary's.
        """
        try:
            found = ControlData.read(self._all.cluster.data(self.node))
        except StackError:
            return False
        return found.was_primary and found.timeline < self._all.record.timeline

    async def _rewind(self) -> bool:
        self._set(Stage.REWINDING)
        (self._all.cluster.data(self.node) / "standby.signal").unlink(missing_ok=True)
        # pg_rewind goes by the control file, where a promotion shows only after the next checkpoint.
        async with self._all.visit(self._all.primary) as visit:
            await visit.fetch("CHECKPOINT", limit_s=_CHECKPOINT_LIMIT_S)
        try:
            await tools.run(self._all.cluster.rewind(self.node, self._all.primary), f"the rewind of {self.node}")
        except StartError as error:
            self._all.report.log("rewind_failed", node=self.node, error=str(error))
            return False
        # It has to read up to where the primary was, of which an idle one may not send the end.
        async with self._all.visit(self._all.primary) as visit:
            await self._all.nudge(visit)
        return True

    async def _copy(self) -> None:
        self._set(Stage.COPYING)
        await asyncio.to_thread(shutil.rmtree, self._all.cluster.forget(self.node), ignore_errors=True)
        await tools.run(self._all.cluster.basebackup(self.node, self._all.primary), f"the copy for {self.node}")

    async def _receiver(self) -> None:
        if not self._all.exits.runs(RECEIVER):
            if not self._all.cluster.received.is_dir():
                self._all.report.tell("archive_gap", received_before="lost")
                make_folder(self._all.cluster)
            await self._all.ensure_slot(RECEIVER)
            self._all.cluster.write_upstream(self._all.primary)
            await self._all.start(RECEIVER)
            self._streamed_at_s = time.monotonic()
            await self._stays()
        elif self._sync_set.stalled_s(RECEIVER) > _RECEIVER_STALLED_S:
            await self._all.kill(RECEIVER)
        elif RECEIVER in self._all.view.followers:
            self._streamed_at_s = time.monotonic()
        elif time.monotonic() - self._streamed_at_s > _STREAMS_WITHIN_S:
            await self._all.kill(RECEIVER)

    async def _stays(self) -> None:
        """Raises StartError when it ends at once; where the primary no longer has what comes next, it begins anew."""
        for _ in range(30):
            await asyncio.sleep(0.01)
            if not self._all.exits.runs(RECEIVER):
                tail = log_tail(self._all.cluster.launch(RECEIVER).log, 2)
                if self._backoff_s and _REMOVED in tail:
                    folder = set_aside(self._all.cluster, self._all.record.epoch)
                    self._all.report.tell("archive_gap", received_before=str(folder))
                raise StartError(f"{RECEIVER} ended instead of starting: {tail}")
            if RECEIVER in (self._all.view.followers):
                return

    def _identity(self) -> dict[str, str]:
        return self._all.cluster.follower(self.node, self._all.primary)

    def _set(self, stage: Stage) -> None:
        self._all.change(stale={**self._all.record.stale, self.node: stage})
