"""Freeze: SIGSTOP to every process of a node. It keeps its connections and answers nothing, until SIGCONT.

A primary whose place was taken meanwhile is not woken up beside its successor: the stack ends it instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import psutil

from chaos.fault import Evidence, refuse_value
from chaos.nodes import GONE, aimed_nodes, check_node, is_dead, processes_of, state_of
from stack.embedded import EmbeddedStack
from stack.supervisor import NodeState
from stack.topology import Topology

_LIMIT_S = 1.0
_STEP_S = 0.01


@dataclass(frozen=True, slots=True)
class Freeze:
    kind: ClassVar[str] = "freeze"
    lasting: ClassVar[bool] = False
    target: str

    @classmethod
    def parse(cls, target: str, value: str | None) -> Self:
        refuse_value(cls.kind, value)
        return cls(target)

    def check(self, topology: Topology) -> None:
        check_node(topology, self.target)

    async def aim(self, stack: EmbeddedStack) -> list[str]:
        return await aimed_nodes(stack, self.target)

    async def inject(self, stack: EmbeddedStack, aim: list[str]) -> dict[str, Any]:
        for name in aim:
            await stack.freeze(name)
        return {name: {"states_at_start": await _states_once_stopped(stack, name)} for name in aim}

    async def evidence(self, stack: EmbeddedStack, aim: list[str], facts: dict[str, Any]) -> Evidence:
        found = {name: facts[name] | {"states_at_end": _states_of(facts[name]["states_at_start"])} for name in aim}
        ran = [name for name, states in found.items() if not _stood_still(**states)]
        bit = bool(aim) and not ran
        summary = f"every process of {', '.join(aim)} stood still" if bit else f"{', '.join(ran)} did not stand still"
        return Evidence(bit, summary, found)

    async def undo(self, stack: EmbeddedStack, aim: list[str]) -> None:
        for name in aim:
            if stack.node(name).state == NodeState.FROZEN:
                await stack.resume(name)


async def _states_once_stopped(stack: EmbeddedStack, name: str) -> dict[str, str]:
    waited_s = 0.0
    while True:
        states = _states(stack, name)
        if _all_stopped(states) or waited_s >= _LIMIT_S:
            return states
        await asyncio.sleep(_STEP_S)
        waited_s += _STEP_S


def _states(stack: EmbeddedStack, name: str) -> dict[str, str]:
    # Without the remains of children that ended just before: what is dead cannot be stopped.
    return {str(process.pid): state_of(process) for process in processes_of(stack, name) if not is_dead(process)}


def _states_of(pids: Iterable[str]) -> dict[str, str]:
    return {pid: _state_of(int(pid)) for pid in pids}


def _state_of(pid: int) -> str:
    try:
        return state_of(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return GONE


def _stood_still(states_at_start: dict[str, str], states_at_end: dict[str, str]) -> bool:
    """A process that was killed where it stood, because another took its place, did nothing either."""
    return _all_stopped(states_at_start) and set(states_at_end.values()) <= {psutil.STATUS_STOPPED, GONE}


def _all_stopped(states: dict[str, str]) -> bool:
    return bool(states) and set(states.values()) == {psutil.STATUS_STOPPED}
