"""The PostgreSQL cluster's processes as nodes of the stack; their supervisor starts and ends them through this."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Final

from stack.errors import StackError, StartError
from stack.postgres import nodes, sessions
from stack.postgres.record import Record, RecordError
from stack.postgres.servers import Cluster
from stack.supervisor import EventSink, HealthCheck, NodeState, Supervisor
from stack.tasks import end
from stack.topology import POSTGRES_PRIMARY, POSTGRES_REPLICA, POSTGRES_STANDBY, Node, Role

_STOP_LIMIT_S: Final = 3.0
_POLL_S: Final = 0.02


class PostgresWatch:
    """A ``ProcessHost`` on the stack's own supervisor; ``emit`` gets ``role_changed`` with each new epoch.

    A node that a fault killed stays down until ``restart``, as on a machine without power.
    """

    def __init__(self, processes: Supervisor, cluster: Cluster, emit: EventSink) -> None:
        self.cluster = cluster
        self._processes = processes
        self._emit = emit
        self._held_down: set[str] = set()
        self._starting: set[asyncio.Task[None]] = set()
        self._told_epoch = self._epoch

    @property
    def primary(self) -> str:
        """By the supervisor's record; the first of the pair before there is one."""
        try:
            return Record.load(self.cluster.record).primary
        except RecordError:
            return nodes.PAIR[0]

    @property
    def _epoch(self) -> int:
        try:
            return Record.load(self.cluster.record).epoch
        except RecordError:
            return 1

    def holder(self, selector: str) -> str | None:
        """The node that a moving role means now; None for what is none of the cluster's."""
        match selector:
            case str(name) if name == POSTGRES_PRIMARY:
                return self.primary
            case str(name) if name == POSTGRES_STANDBY:
                return nodes.other(self.primary)
            case str(name) if name == POSTGRES_REPLICA:
                return nodes.REPLICA
            case _:
                return None

    def role(self, node: str) -> str:
        if node in (nodes.RECEIVER, nodes.REPLICA):
            return "receiver" if node == nodes.RECEIVER else "replica"
        return "primary" if node == self.primary else "standby"

    async def hold_down(self, node: str) -> None:
        """SIGKILL, and nobody starts it before ``restart``. Raises StackError when it does not run."""
        self._held_down.add(node)
        try:
            await self._processes.kill(node)
        except StackError:
            self._held_down.discard(node)
            raise

    def allow(self, node: str) -> None:
        """Ends ``hold_down``; when it is started is the supervisor's to say."""
        self._held_down.discard(node)

    async def restart(self, node: str, within_s: float) -> None:
        """Lets the supervisor start it again, in whatever role is left for it. Raises StartError."""
        await self.kill(node)
        self.allow(node)
        try:
            async with asyncio.timeout(within_s):
                while self._processes.state(node) is not NodeState.READY:
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise StartError(f"the supervisor did not bring {node} back within {within_s:g} s") from None

    async def close(self) -> None:
        await end(*self._starting)

    # -- what the supervisor asks for: a ProcessHost ------------------------------------------------

    async def start(self, node: str) -> int:
        self._known(node)
        if node in self._held_down:
            raise StackError(f"{node} cannot be started: a fault holds it down")
        process = self._processes.process(node)
        if process is None or not process.running:
            role, _, instance = node.partition(":")
            launch = self.cluster.launch(node)
            self._processes.spawn(Node(Role(role), instance), launch, self._check(node))
            self._told_when_ready(node)
            process = self._processes.process(node)
        assert process is not None
        await process.executed()
        return process.pid

    async def kill(self, node: str) -> None:
        self._known(node)
        if await self.pid(node) is not None:
            await self._processes.kill(node)

    async def stop(self, node: str) -> None:
        self._known(node)
        if await self.pid(node) is not None:
            await self._processes.terminate(node, _STOP_LIMIT_S)

    async def pid(self, node: str) -> int | None:
        self._known(node)
        process = self._processes.process(node)
        return process.pid if process and process.running else None

    async def event(self, name: str, fields: Mapping[str, object]) -> None:
        self._emit(name, **fields)
        if (epoch := self._epoch) != self._told_epoch:
            self._told_epoch = epoch
            for node in nodes.PAIR:
                self._emit("role_changed", node=node, role=self.role(node), epoch=epoch)

    def _check(self, node: str) -> HealthCheck | None:
        if node == nodes.RECEIVER:
            return None
        dsn = self.cluster.dsn(self.cluster.address(node), database="postgres")

        async def accepts() -> bool:
            async with sessions.session(dsn) as probe:
                return bool(await probe.fetch("SELECT 1", limit_s=1.0))

        return accepts

    def _told_when_ready(self, node: str) -> None:
        task = asyncio.get_running_loop().create_task(self._ready(node))
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)

    async def _ready(self, node: str) -> None:
        with contextlib.suppress(StartError):  # it ended instead, which was told
            await self._processes.wait_ready(node)

    def _known(self, node: str) -> None:
        if node not in nodes.NODES:
            raise StackError(f"{node} is no process of the cluster: those are {', '.join(nodes.NODES)}")
