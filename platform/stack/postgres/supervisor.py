"""The database supervisor: looks, decides, and writes down what it decided before it does it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, TypeAlias

import asyncpg

from stack.errors import StackError
from stack.postgres import sessions
from stack.postgres.adoption import Adoption
from stack.postgres.control_data import ControlData
from stack.postgres.detector import PAUSE_S, PROBE_LIMIT_S, NewConnections, Strikes
from stack.postgres.ensemble import Ensemble, View
from stack.postgres.failover import UNDER_WAY, Failover, NoCandidateError
from stack.postgres.host import ProcessHost
from stack.postgres.keeper import Keeper
from stack.postgres.nodes import NODES, RECEIVER, SERVERS, other
from stack.postgres.record import Record, RecordError, RecordFile, Stage, Step
from stack.postgres.report import Report
from stack.postgres.servers import Cluster
from stack.postgres.sync_set import SyncSet
from stack.tasks import end

_BACKOFF_S: Final = 0.5
_STEADY_WITHIN_S: Final = 30.0
_POLL_S: Final = 0.01
_CHECKPOINT_LIMIT_S: Final = 60.0
_Operation: TypeAlias = Callable[[], Awaitable[None]]
_Request: TypeAlias = tuple[_Operation, asyncio.Future[None]]


class Supervisor:
    """``run`` until cancelled. Operations may be called at any time; they take their turn."""

    def __init__(self, cluster: Cluster, host: ProcessHost, file: RecordFile, report: Report) -> None:
        check_identifiers(cluster, file)
        self.ensemble = Ensemble(cluster, host, file, report)
        self.failover = Failover(self.ensemble)
        self._adoption = Adoption(self.ensemble)
        self._report = report
        self._sync_set = SyncSet(self.ensemble)
        self._strikes = Strikes()
        self._new_connections = NewConnections()
        self._keepers: list[asyncio.Task[None]] = []
        self._opening: asyncio.Task[None] | None = None
        self._recovering = False
        self._requests: list[_Request] = []
        self._adoptions: list[_Request] = []
        self._problem = ""
        self._began_s = time.monotonic()

    @property
    def record(self) -> Record:
        return self.ensemble.record

    async def run(self) -> None:
        await self.ensemble.attach()
        self._report.tell("supervisor_started", primary=self.record.primary, step=self.record.step)
        self._keep()
        try:
            while True:
                self.ensemble.wake.clear()
                self._check_keepers()
                await self._turn()
                await self._sleep(PAUSE_S)
        finally:
            await end(*self._keepers, *([self._opening] if self._opening else []))
            self.ensemble.close()

    async def switch_over(self) -> None:
        """A planned change of the primary. Raises StackError when the standby could not take over at once."""
        await self._do(self._switch_over)
        await self._until_steady()

    async def fail_over(self) -> None:
        """As if the primary had died, whatever its state. Raises StackError when nobody may take over."""
        await self._do(self._fail_over)
        await self._until_steady()

    async def adopt(self, folder: Path) -> None:
        """A restored folder becomes the primary's data. Raises StackError, with nothing changed, for a wrong one."""

        async def begin() -> None:
            self._adoption.begin(folder)

        await self._do(begin, self._adoptions)
        await self._until_steady()

    async def rejoin(self, node: str) -> None:
        """Rewinds a follower, or copies it anew, whatever its state. Raises StackError for the primary."""
        await self._do(lambda: self._expel(node))
        await self._until(lambda: node not in self.record.stale, f"{node} has not rejoined")

    def status(self) -> dict[str, Any]:
        record, view = self.record, self.ensemble.view
        running = {node: self.ensemble.exits.runs(node) for node in NODES}
        behind = {node: max(0, view.flushed - follower.flushed) for node, follower in view.followers.items()}
        nodes = [
            {
                "node": node,
                "role": self._role(node),
                "running": running[node],
                "streaming": self.ensemble.follows(node),
                "behind_bytes": behind.get(node),
                "stage": record.stale.get(node),
            }
            for node in NODES
        ]
        fields = {"epoch": record.epoch, "primary": record.primary, "sync": list(record.sync), "step": record.step}
        return {**fields, "timeline": record.timeline, "problem": self._problem, "nodes": nodes}

    def _role(self, node: str) -> str:
        if node == self.record.primary:
            return "primary"
        if node == RECEIVER:
            return "receiver"
        return "standby" if node == other(self.record.primary) else "replica"

    async def _turn(self) -> None:
        """One look and what follows from it. A change that was begun comes before everything but an adoption.

        With both servers' data gone a failover cannot come to an end: only restored data help then.
        """
        try:
            if self._adoptions:
                await self._answer(*self._adoptions.pop(0))
            elif self.record.step in UNDER_WAY:
                await self._replace("resumed")
            elif self.record.step is Step.ADOPTING:
                await self._adopt()
            elif self._requests:
                await self._answer(*self._requests.pop(0))
            elif not self.ensemble.exits.runs(self.record.primary):
                await self._replace("ended")
            elif await self._strikes.judge(self._look()):
                self._problem = ""
                await self._sync_set.adjust(self.ensemble.view)
                self._finish()
            elif self._strikes.out:
                await self._replace("does not answer")
        except (StackError, *sessions.NOT_ANSWERING) as error:
            await self._note(str(error) or type(error).__name__)

    async def _look(self) -> bool:
        """On the kept connection and on a new one: a server may serve old clients and take no new ones."""
        try:
            async with asyncio.timeout(PROBE_LIMIT_S):
                address = self.ensemble.cluster.address(self.record.primary)
                _, new = await asyncio.gather(self.ensemble.look(), self._new_connections.taken(address))
                self._recovering = False
                return new
        except sessions.NOT_ANSWERING as error:
            self._recovering = isinstance(error, asyncpg.CannotConnectNowError)
            return False

    async def _replace(self, reason: str, *, planned: bool = False) -> None:
        """Another primary; the same one again where there is no other."""
        began_s, old = time.monotonic(), self.record.primary
        self._report.tell("failover_started", primary=old, reason=reason, planned=planned)
        await self._pause_keepers()
        try:
            await self.failover.run(planned=planned)
        except NoCandidateError as error:
            self._report.tell("no_candidate", reason=str(error))
            # One that is recovering says so, and would have to begin again.
            if self.ensemble.exits.runs(old) and self._strikes.out and not self._recovering:
                await self.ensemble.kill(old)
            if not self.ensemble.exits.runs(old):
                await self.failover.restart()
                self._report.tell("primary_restarted", primary=old)
        finally:
            self._begin_anew()
        self._began_s = began_s
        self._finish()

    async def _adopt(self) -> None:
        self._began_s = time.monotonic()
        self._report.tell("adoption_started", folder=self.record.folder)
        await self._pause_keepers()
        try:
            await self._adoption.run()
        finally:
            self._begin_anew()
        self._finish()

    def _begin_anew(self) -> None:
        """Nothing that was seen of the old primary holds for the new one."""
        self.ensemble.view = View()
        self.ensemble.on_timeline.clear()
        if self._opening:
            self._opening.cancel()
            self._opening = None
        self._strikes.forgive()
        self._sync_set.restart()
        self._keep()

    def _finish(self) -> None:
        """Writing the epoch waits for a second copy; nothing else waits for that, so it has a task of its own."""
        if self.record.step not in (Step.PROMOTED, Step.ADOPTED):
            return
        if self._opening is None:
            self._opening = asyncio.get_running_loop().create_task(self.failover.write_epoch())
            self._opening.add_done_callback(lambda _: self.ensemble.wake.set())
        elif self._opening.done():
            task, self._opening = self._opening, None
            if (error := task.exception()) is None:
                self.failover.open()
                ms = round((time.monotonic() - self._began_s) * 1000)
                fields = {"primary": self.record.primary, "epoch": self.record.epoch, "ms": ms}
                self._report.tell("failover_finished", **fields)
            else:
                self._report.log("epoch_not_written", error=str(error) or type(error).__name__)

    async def _fail_over(self) -> None:
        old = self.failover.candidate()
        await self._replace("asked for")
        if self.record.primary != old:
            raise StackError(f"{old} could not take over: {self.record.primary} is the primary again")

    async def _switch_over(self) -> None:
        record, standby = self.record, other(self.record.primary)
        await self.ensemble.look()
        if record.step is not Step.STEADY or {standby, RECEIVER} != set(record.sync):
            raise StackError(f"no switchover: {standby} and {RECEIVER} must both be synchronous")
        # What is left for the shutdown's own checkpoint is short then.
        await self.ensemble.session(record.primary).fetch("CHECKPOINT", limit_s=_CHECKPOINT_LIMIT_S)
        await self._replace("switchover", planned=True)
        if self.record.primary != standby:
            raise StackError(f"{standby} could not take over: {self.record.primary} is the primary again")

    async def _expel(self, node: str) -> None:
        if node not in SERVERS or node == self.record.primary:
            raise StackError(f"{node} cannot rejoin: only a server that is not the primary can")
        rest = tuple(member for member in self.record.sync if member != node)
        if not rest or (node in self.record.sync and RECEIVER not in self.ensemble.view.followers):
            raise StackError(f"{node} holds what no other copy has: it cannot be thrown away now")
        if node in self.record.sync:
            await self._sync_set.expel(node)
        self.ensemble.change(stale={**self.record.stale, node: Stage.DIVERGED})

    async def _do(self, operation: _Operation, queue: list[_Request] | None = None) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        (self._requests if queue is None else queue).append((operation, done))
        self.ensemble.wake.set()
        await done

    async def _answer(self, operation: _Operation, done: asyncio.Future[None]) -> None:
        try:
            await operation()
        except (StackError, *sessions.NOT_ANSWERING) as error:
            if not done.done():
                done.set_exception(StackError(str(error) or type(error).__name__))
            return
        if not done.done():
            done.set_result(None)

    async def _until_steady(self) -> None:
        await self._until(lambda: self.record.step is Step.STEADY, "the change is not finished")

    async def _until(self, done: Callable[[], bool], otherwise: str) -> None:
        deadline_s = time.monotonic() + _STEADY_WITHIN_S
        while not done():
            if time.monotonic() > deadline_s:
                raise StackError(f"{otherwise} within {_STEADY_WITHIN_S:g} s; it goes on: ask for the status")
            await asyncio.sleep(_POLL_S)

    async def _note(self, problem: str) -> None:
        """Says it once; tried again soon."""
        if problem != self._problem:
            self._problem = problem
            self._report.tell("supervisor_problem", problem=problem)
        await self._sleep(_BACKOFF_S)

    async def _sleep(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.ensemble.wake.wait(), seconds)

    def _keep(self) -> None:
        """Not while a change is under way, also when a part of it failed and is tried again."""
        if self.record.step in (*UNDER_WAY, Step.ADOPTING):
            return
        self._keepers = [
            asyncio.get_running_loop().create_task(Keeper(self.ensemble, self._sync_set, node).run())
            for node in NODES
            if node != self.record.primary
        ]

    def _check_keepers(self) -> None:
        """Ends the supervisor with one that broke: its node would stay as it is, and the next supervisor mends it."""
        for keeper in self._keepers:
            if keeper.done():
                keeper.result()

    async def _pause_keepers(self) -> None:
        await end(*self._keepers)
        self._keepers = []


def check_identifiers(cluster: Cluster, file: RecordFile) -> None:
    """Raises RecordError when a server's data are not of the cluster the record tells of."""
    for node in SERVERS:
        try:
            found = ControlData.read(cluster.data(node)).system_identifier
        except StackError:
            continue  # lost, or being copied: not another's
        if found != file.record.system_identifier:
            raise RecordError(
                f"{file.path}: the record is of cluster {file.record.system_identifier}, "
                f"but {cluster.data(node)} belongs to cluster {found}"
            )
