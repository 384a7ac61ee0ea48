"""Stacks that test modules share, and none that is not needed: an idle one costs a sixth of a core."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import Final

from stack.embedded import EmbeddedStack
from stack.options import StackOptions
from stack.topology import Role, Topology
from tests.client import Client

# The fixtures that are shared stacks, in the order in which their modules are run.
SHARED: Final = ("healed_platform", "shared_postgres", "administered", "gate", "platform")

_HEALED_S: Final = 30
_SERVERS: Final = frozenset({Role.POSTGRES, Role.WAL})

Prepare = Callable[[EmbeddedStack], Awaitable[object]]


class SharedStacks:
    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._running: dict[str, EmbeddedStack] = {}

    async def get(
        self, name: str, topology: Callable[[], Topology], roles: frozenset[Role], prepare: Prepare | None = None
    ) -> EmbeddedStack:
        """The one that runs under this name, else a new one."""
        if name not in self._running:
            stack = EmbeddedStack(topology(), StackOptions(self._logs / name, roles=roles))
            await stack.start()
            self._running[name] = stack
            if prepare:
                await prepare(stack)
        return self._running[name]

    async def keep(self, names: Collection[str]) -> None:
        """Stops all others."""
        for name in self._running.keys() - set(names):
            await self._running.pop(name).stop()


async def heal(stack: EmbeddedStack) -> None:
    """Every node runs again, each server of the database follows its primary, and the platform takes orders."""
    nodes = [node for node in stack.topology.nodes if stack.node(node.name).state in ("frozen", "exited", "stopped")]
    servers = [node for node in nodes if node.role in _SERVERS]
    for node in servers:  # one by one: they follow each other
        await stack.restart(node.name)
    await asyncio.gather(*(stack.restart(node.name) for node in nodes if node not in servers))
    async with asyncio.timeout(_HEALED_S):
        if Role.SUPERVISOR in stack.options.roles:
            while len((await stack.ask_supervisor("status"))["sync"]) < 2:
                await asyncio.sleep(0.05)
        if Role.API in stack.options.roles:
            async with Client(stack.status()) as client:
                for api in range(len(client.status.endpoints["api"])):
                    while (await client.request("GET", "/health", api=api))[1]["status"] != "ok":
                        await asyncio.sleep(0.05)
