"""The five processes in the supervisor's hands, with the record that says what each of them is."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from typing import Any, Final

from stack.errors import StartError
from stack.postgres import receiver_log, schema, sessions
from stack.postgres.detector import ExitWatch
from stack.postgres.host import ProcessHost
from stack.postgres.nodes import NODES, RECEIVER, SERVERS, application_name, synchronous_standby_names
from stack.postgres.record import Record, RecordFile, Step
from stack.postgres.report import Report
from stack.postgres.servers import Cluster

_POLL_S: Final = 0.01
_CLOSED: Final = (Step.PROMOTED, Step.ADOPTED)
_LOOK: Final = """
SELECT (pg_current_wal_flush_lsn() - '0/0')::bigint AS flushed,
       current_setting('synchronous_standby_names') AS names,
       follower.application_name, follower.sync_state, (follower.flush_lsn - '0/0')::bigint AS follower_flushed
FROM (SELECT 1) AS once LEFT JOIN pg_stat_replication AS follower ON follower.state = 'streaming'
"""

_NUDGE: Final = "SELECT set_config('synchronous_commit', 'local', true), pg_logical_emit_message(true, 'elson', '')"


@dataclass(frozen=True, slots=True)
class Follower:
    """As the primary sees it; ``flushed`` is the byte of the log up to which it has everything on its disk."""

    sync_state: str
    flushed: int


@dataclass(frozen=True, slots=True)
class View:
    """One look at the primary. ``followers`` holds the nodes that are streaming from it."""

    names: str = ""
    flushed: int = 0
    followers: dict[str, Follower] = field(default_factory=dict)


class Ensemble:
    """``wake`` is set when a process ends. Use it inside one event loop."""

    def __init__(self, cluster: Cluster, host: ProcessHost, file: RecordFile, report: Report) -> None:
        self.cluster = cluster
        self.host = host
        self.report = report
        self.wake = asyncio.Event()
        self.view = View()
        self.on_timeline: set[str] = set()  # servers seen to receive the primary's own timeline
        self.exits = ExitWatch(self._ended)
        self._file = file
        self._sessions: dict[str, sessions.Session] = {}

    @property
    def record(self) -> Record:
        return self._file.record

    @property
    def primary(self) -> str:
        return self._file.record.primary

    def change(self, **fields: Any) -> None:
        """Durable when it returns."""
        before = self.record
        self._file.write(replace(before, **fields))
        if self.record != before:
            self.report.log("recorded", **fields)

    def expendable(self, node: str) -> bool:
        """Whether its data may be destroyed: nothing rests on this copy alone, nor may while the set is changing."""
        return node not in self.record.sync and self.record.step not in (Step.SHRINKING, Step.GROWING)

    def visit(self, node: str) -> AbstractAsyncContextManager[sessions.Session]:
        """A connection of one's own, for those who share the server with others."""
        return sessions.session(self.cluster.dsn(self.cluster.address(node)))

    def session(self, node: str) -> sessions.Session:
        """The kept connection: the supervisor's to the primary, and to any other server its keeper's.

        Nobody else's: two statements at once on one connection end it for both.
        """
        if node not in self._sessions:
            self._sessions[node] = sessions.Session(self.cluster.dsn(self.cluster.address(node)))
        return self._sessions[node]

    async def attach(self) -> None:
        """Watches whatever runs already."""
        for node in NODES:
            self.exits.watch(node, await self.host.pid(node))

    async def start(self, node: str) -> None:
        # Its backends may outlive a server for a moment, and would keep the next one from starting.
        await self.host.kill(node)
        self.forget_session(node)
        if node == RECEIVER:
            receiver_log.complete_files(self.cluster)
        self.exits.watch(node, await self.host.start(node))

    async def kill(self, node: str) -> None:
        self.exits.forget(node)
        self.forget_session(node)
        await self.host.kill(node)

    async def stop(self, node: str) -> None:
        self.exits.forget(node)
        await self.host.stop(node)
        self.forget_session(node)

    async def accepted(self, node: str, within_s: float) -> None:
        """Returns once the server answers queries. Raises StartError when it ends, or does not in time."""
        deadline_s = time.monotonic() + within_s
        while time.monotonic() < deadline_s:
            try:
                await self.session(node).fetch("SELECT 1")
                return
            except sessions.NOT_ANSWERING:
                if not self.exits.runs(node):
                    raise StartError(f"{node} ended instead of starting") from None
            await asyncio.sleep(_POLL_S)
        raise StartError(f"{node} did not accept connections within {within_s:g} s")

    def reload(self, node: str) -> None:
        if pid := self.exits.pid(node):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGHUP)

    def lead(self, synchronous: tuple[str, ...]) -> None:
        """Has the primary wait for these; until its epoch is written it stays closed."""
        closed = self.record.step in _CLOSED
        if self.cluster.write_identity(self.primary, self.cluster.leader(synchronous, closed=closed)):
            self.reload(self.primary)

    async def ensure_slot(self, node: str) -> None:
        """On the primary, from which ``node`` is about to stream or to be copied."""
        name = application_name(node)
        async with self.visit(self.primary) as visit:
            await visit.fetch(schema.DROP_LOST_SLOT, name)
            await visit.fetch(schema.CREATE_SLOTS, [name], True)

    async def prepare_slots(self, node: str) -> None:
        """On a server that may be promoted: its followers' slots, which keep nothing until they are used."""
        followers = [application_name(other) for other in NODES if other != node]
        await self.session(node).fetch(schema.CREATE_SLOTS, followers, False)

    async def look(self) -> View:
        """Raises one of NOT_ANSWERING."""
        rows = await self.session(self.primary).fetch(_LOOK)
        known = {application_name(node): node for node in NODES}
        followers = {
            known[row["application_name"]]: Follower(row["sync_state"], row["follower_flushed"] or 0)
            for row in rows
            if row["application_name"] in known
        }
        self.view = View(rows[0]["names"], rows[0]["flushed"], followers)
        return self.view

    def follows(self, node: str) -> bool:
        """Whether it streams, and what the primary writes: one that diverged connects again and again all the same."""
        return node in self.view.followers and (node == RECEIVER or node in self.on_timeline)

    async def nudge(self, session: sessions.Session | None = None) -> None:
        """A little transaction, which waits for nobody: all that was written before is on its way to the followers.

        ``session``: to the primary, for those who are not the supervisor.
        """
        await (session or self.session(self.primary)).fetch(_NUDGE)

    async def names_in_effect(self, synchronous: tuple[str, ...], within_s: float = 1.0) -> None:
        """Returns once sessions of the primary go by the set. Raises one of NOT_ANSWERING."""
        async with asyncio.timeout(within_s):
            while (await self.look()).names != synchronous_standby_names(synchronous):
                await asyncio.sleep(_POLL_S)

    def forget_session(self, node: str) -> None:
        if node in self._sessions:
            self._sessions.pop(node).close()

    def close(self) -> None:
        self.exits.close()
        for node in SERVERS:
            self.forget_session(node)

    def _ended(self, node: str) -> None:
        self.forget_session(node)
        self.report.log("process_ended", node=node)
        self.wake.set()
