"""Who starts and ends the cluster's processes on the supervisor's behalf: the stack's owner, or the caller itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from stack.control import Handler, call_async
from stack.errors import StackError
from stack.postgres.nodes import NODES
from stack.process import ChildProcess, Launch

EventSink = Callable[..., None]  # (name, **fields)
_STOP_LIMIT_S = 3.0


class ProcessHost(Protocol):
    """All methods name nodes (``postgres:1``, ``wal:1``) and raise StackError when they fail."""

    async def start(self, node: str) -> int:
        """The program's pid, once it is executing; one that already runs is left alone. Not yet ready to serve."""

    async def kill(self, node: str) -> None:
        """SIGKILL to the program and all it forked; returns when all are gone. Nothing to do when it does not run."""

    async def stop(self, node: str) -> None:
        """An orderly end, hard when it takes more than three seconds; returns when all are gone."""

    async def pid(self, node: str) -> int | None:
        """None when it does not run."""

    async def event(self, name: str, fields: Mapping[str, object]) -> None:
        """Puts what happened into the run's record."""


class OwnerHost:
    """The stack's owner, reached over its control socket: its operations are those of ``operations`` below."""

    def __init__(self, control: Path) -> None:
        self._control = control

    async def start(self, node: str) -> int:
        return int((await call_async(self._control, "node_start", node=node))["pid"])

    async def kill(self, node: str) -> None:
        await call_async(self._control, "node_kill", node=node)

    async def stop(self, node: str) -> None:
        await call_async(self._control, "node_stop", node=node)

    async def pid(self, node: str) -> int | None:
        pid = (await call_async(self._control, "node_pid", node=node))["pid"]
        return None if pid is None else int(pid)

    async def event(self, name: str, fields: Mapping[str, object]) -> None:
        await call_async(self._control, "node_event", name=name, fields=dict(fields))


class ChildHost:
    """Children of this process. Use it on the main thread, inside the event loop that watches them."""

    def __init__(self, launch: Callable[[str], Launch], on_event: EventSink = lambda name, **fields: None) -> None:
        self._launch = launch
        self._emit = on_event
        self._children: dict[str, ChildProcess] = {}
        self._refused: set[str] = set()

    def refuse(self, *nodes: str) -> None:
        """From now on these cannot be started, as if their machine were down."""
        self._refused |= set(nodes)

    def allow(self) -> None:
        self._refused.clear()

    async def start(self, node: str) -> int:
        _known(node)
        if node in self._refused:
            raise StackError(f"{node} cannot be started: its machine is down")
        child = self._children.get(node)
        if child is None or not child.running:
            child = self._children[node] = ChildProcess.start(self._launch(node))
        await child.executed()
        return child.pid

    async def kill(self, node: str) -> None:
        _known(node)
        if child := self._children.get(node):
            await child.kill()

    async def stop(self, node: str) -> None:
        _known(node)
        if child := self._children.get(node):
            await child.terminate(_STOP_LIMIT_S)

    async def pid(self, node: str) -> int | None:
        _known(node)
        child = self._children.get(node)
        return child.pid if child and child.running else None

    async def event(self, name: str, fields: Mapping[str, object]) -> None:
        self._emit(name, **fields)

    async def freeze(self, node: str) -> None:
        await self._children[node].freeze()

    async def end(self) -> None:
        """Kills all that still run."""
        await asyncio.gather(*(child.kill() for child in self._children.values()))


def operations(host: ProcessHost) -> dict[str, Handler]:
    """What an owner serves on its control socket for the supervisor's ``OwnerHost``."""

    async def node_start(node: str) -> dict[str, Any]:
        return {"pid": await host.start(node)}

    async def node_kill(node: str) -> dict[str, Any]:
        await host.kill(node)
        return {}

    async def node_stop(node: str) -> dict[str, Any]:
        await host.stop(node)
        return {}

    async def node_pid(node: str) -> dict[str, Any]:
        pid = await host.pid(node)
        return {"pid": pid, "state": "exited" if pid is None else "ready"}

    async def node_event(name: str, fields: dict[str, Any]) -> dict[str, Any]:
        await host.event(name, fields)
        return {}

    handlers = (node_start, node_kill, node_stop, node_pid, node_event)
    return {handler.__name__: handler for handler in handlers}


def _known(node: str) -> None:
    if node not in NODES:
        raise StackError(f"{node} is no process of the cluster: those are {', '.join(NODES)}")
