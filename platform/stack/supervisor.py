"""Watches the nodes: starts them until healthy, tells every change, and brings back those that ended by themselves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import aiohttp
import asyncpg

from stack.errors import StackError, StartError
from stack.process import ChildProcess, Launch, log_tail
from stack.topology import Node, Role

EventSink = Callable[..., None]  # (name, **fields)
HealthCheck = Callable[[], Awaitable[bool]]

_NOT_HEALTHY: Final = (
    *(OSError, TimeoutError, aiohttp.ClientError),
    *(asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError),
)
_BROUGHT_BACK: Final = (Role.ENGINE, Role.API, Role.FEED, Role.SENTINEL, Role.SUPERVISOR, Role.BACKUP)
_BACKOFF_S: Final = 0.5
_LONGEST_BACKOFF_S: Final = 8.0
_POLL_S: Final = 0.02


class NodeState(StrEnum):
    PLANNED = "planned"
    STARTING = "starting"
    READY = "ready"
    FROZEN = "frozen"
    EXITED = "exited"
    STOPPED = "stopped"


@dataclass(slots=True)
class RunningNode:
    """A node as it runs. ``ending`` says who ends it, when that is us: ``killed`` or ``stopped``."""

    node: Node
    launch: Launch
    check: HealthCheck | None
    process: ChildProcess
    state: NodeState = NodeState.STARTING
    ending: str | None = None
    brought_back_at: list[float] = field(default_factory=list)


class Supervisor:
    """Owns the processes of the nodes. All methods run on one event loop, on the main thread."""

    def __init__(self, on_event: EventSink, on_change: Callable[[], None]) -> None:
        self._emit = on_event
        self._changed = on_change
        self._running: dict[str, RunningNode] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False

    def state(self, name: str) -> NodeState:
        return self._running[name].state if name in self._running else NodeState.PLANNED

    def process(self, name: str) -> ChildProcess | None:
        return self._running[name].process if name in self._running else None

    def processes(self) -> dict[str, ChildProcess]:
        return {name: run.process for name, run in self._running.items() if run.process.running}

    def ended_by_itself(self, name: str) -> bool:
        """Whether it is down, and nobody here wanted that."""
        run = self._running.get(name)
        return run is not None and run.state is NodeState.EXITED and run.ending is None

    def starting(self) -> list[str]:
        return [name for name, run in self._running.items() if run.state is NodeState.STARTING]

    def spawn(self, node: Node, launch: Launch, check: HealthCheck | None = None) -> None:
        """Starts the process; ``wait_ready`` follows. Raises StartError when it cannot be executed."""
        before = self._running.get(node.name)
        run = RunningNode(node, launch, check, ChildProcess.start(launch))
        if before:
            run.brought_back_at = before.brought_back_at
        self._running[node.name] = run
        run.process.on_exit(lambda _: self._on_exit(run))
        self._changed()
        self._emit("node_started", node=node.name, pid=run.process.identity.pid)

    async def wait_ready(self, name: str) -> None:
        """Returns when the health check passes. Raises StartError when the node ends before; sets no limit itself."""
        run = self._running[name]
        started = time.monotonic()
        await run.process.executed()
        while not await _healthy(run.check):
            if not run.process.running:
                raise StartError(f"{name} ended with exit code {run.process.exit_code} instead of starting{_tail(run)}")
            await asyncio.sleep(_POLL_S)
        if run.state is NodeState.STARTING:
            run.state = NodeState.READY
            self._changed()
            took_ms = round((time.monotonic() - started) * 1000)
            self._emit("node_ready", node=name, pid=run.process.pid, took_ms=took_ms)

    async def start(self, node: Node, launch: Launch, check: HealthCheck | None = None) -> None:
        self.spawn(node, launch, check)
        await self.wait_ready(node.name)

    def describe_late(self, within_s: float) -> str:
        """Names the nodes that are still starting, with the tail of their logs."""
        late = self.starting()
        if not late:
            return f"the stack was not ready within {within_s:g} s"
        return "\n".join(f"{name} was not ready within {within_s:g} s{_tail(self._running[name])}" for name in late)

    async def freeze(self, name: str) -> None:
        run = self._expect(name, NodeState.READY, "frozen")
        run.state = NodeState.FROZEN
        await run.process.freeze()
        if run.process.running:
            self._set(run, NodeState.FROZEN, "node_frozen")

    def resume(self, name: str) -> None:
        run = self._expect(name, NodeState.FROZEN, "resumed")
        run.process.resume()
        self._set(run, NodeState.READY, "node_resumed")

    async def kill(self, name: str) -> int:
        """SIGKILL; the node stays down until it is restarted. Returns the exit code."""
        run = self._expect_running(name)
        run.ending = "killed"
        return await run.process.kill()

    async def terminate(self, name: str, within_s: float) -> int:
        """An orderly end, a hard one when it takes longer or the node is frozen. Returns the exit code."""
        run = self._expect_running(name)
        run.ending = run.ending or "stopped"
        if run.state is NodeState.FROZEN:
            return await run.process.kill()
        return await run.process.terminate(within_s)

    async def restart(self, name: str, within_s: float) -> None:
        """Ends the node if it runs and starts it again, ready when this returns. Raises StartError."""
        run = self._running.get(name)
        if run is None:
            raise StackError(f"{name} was never started")
        if run.process.running:
            await self.terminate(name, within_s=3)
        self.spawn(run.node, run.launch, run.check)
        self._emit("node_restarted", node=name, pid=self._running[name].process.identity.pid)
        await self._ready_within(name, within_s)

    async def stop(self, groups: Iterable[Iterable[Role]], within_s: float) -> None:
        """Ends all nodes, one group of roles after the other."""
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        for roles in groups:
            names = [name for name in self.processes() if self._running[name].node.role in roles]
            await asyncio.gather(*(self.terminate(name, within_s) for name in names))

    def kill_now(self) -> None:
        """SIGKILL to every node, without waiting."""
        self._stopping = True
        for run in self._running.values():
            run.ending = run.ending or "stopped"
            run.process.kill_now()

    async def _ready_within(self, name: str, within_s: float) -> None:
        try:
            await asyncio.wait_for(self.wait_ready(name), within_s)
        except TimeoutError:
            raise StartError(f"{name} was not ready within {within_s:g} s{_tail(self._running[name])}") from None

    def _expect_running(self, name: str) -> RunningNode:
        run = self._running.get(name)
        if run is None or not run.process.running:
            raise StackError(f"{name} is not running")
        return run

    def _expect(self, name: str, state: NodeState, action: str) -> RunningNode:
        run = self._expect_running(name)
        if run.state is not state:
            raise StackError(f"{name} is {run.state} and cannot be {action}")
        return run

    def _set(self, run: RunningNode, state: NodeState, event: str) -> None:
        run.state = state
        self._changed()
        self._emit(event, node=run.node.name, pid=run.process.pid)

    def _on_exit(self, run: RunningNode) -> None:
        run.state = NodeState.STOPPED if run.ending == "stopped" else NodeState.EXITED
        if run.ending is None and not self._stopping and run.node.role in _BROUGHT_BACK:
            # Before anything is written down: a full disk must not keep a node from coming back.
            task = asyncio.get_running_loop().create_task(self._bring_back(run))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        cause = run.ending or "not by the stack"
        self._emit("node_exited", node=run.node.name, exit_code=run.process.exit_code, cause=cause)
        self._changed()

    async def _bring_back(self, run: RunningNode) -> None:
        """Starts the node again, after a pause that grows with every time it ended within a minute."""
        name, now = run.node.name, time.monotonic()
        run.brought_back_at = [*(at for at in run.brought_back_at if now - at < 60), now]
        await asyncio.sleep(min(_BACKOFF_S * 2 ** (len(run.brought_back_at) - 1), _LONGEST_BACKOFF_S))
        if self._running[name] is not run or run.ending:  # somebody restarted it meanwhile
            return
        try:
            self.spawn(run.node, run.launch, run.check)
            self._emit("node_restarted", node=name, pid=self._running[name].process.identity.pid)
            await self.wait_ready(name)
        except (StartError, OSError) as error:
            self._emit("node_not_ready", node=name, error=str(error))


async def _healthy(check: HealthCheck | None) -> bool:
    try:
        return check is None or await check()
    except _NOT_HEALTHY:
        return False


def _tail(run: RunningNode) -> str:
    tail = log_tail(run.launch.log)
    return f"; its log ({run.launch.log}) ends:\n{tail}" if tail else f"; its log ({run.launch.log}) is empty"
