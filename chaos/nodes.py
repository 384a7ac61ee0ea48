"""The processes of a node: which they are, whether they still live, whether they stand still."""

from __future__ import annotations

from typing import Any

import psutil

from chaos.fault import FaultError
from stack.embedded import EmbeddedStack
from stack.errors import StackError
from stack.topology import MOVING_ROLES, Topology, UnknownSelectorError

GONE = "gone"


def check_node(topology: Topology, selector: str) -> None:
    """Raises FaultError unless the selector is a node's name or a role some node can hold."""
    known = {node.name for node in topology.nodes} | set(MOVING_ROLES)
    if selector not in known | {node.role for node in topology.nodes}:
        raise FaultError(f"no node {selector!r}; there are {', '.join(sorted(known))}")


async def aimed_nodes(stack: EmbeddedStack, selector: str) -> list[str]:
    try:
        return [node.name for node in await stack.resolve(selector)]
    except (UnknownSelectorError, StackError) as error:
        raise FaultError(str(error)) from error


def processes_of(stack: EmbeddedStack, name: str) -> list[psutil.Process]:
    """The node's process and its descendants, as far as they live."""
    pid = stack.node(name).pid
    if pid is None:
        return []
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def state_of(process: psutil.Process) -> str:
    """psutil's word for the state in /proc, GONE when the process (or its remains) is no more."""
    try:
        return str(process.status()) if process.is_running() else GONE
    except psutil.NoSuchProcess:
        return GONE


def is_dead(process: psutil.Process) -> bool:
    return state_of(process) in (GONE, psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)


def identity(process: psutil.Process) -> dict[str, Any]:
    """Enough to tell this process from a later one with the same number."""
    return {"pid": process.pid, "started_s": round(process.create_time(), 2)}
