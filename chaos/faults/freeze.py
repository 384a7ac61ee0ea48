"""Freeze: SIGSTOP to every process of a node. It keeps its connections and answers nothing, until SIGCONT."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import psutil

from chaos.fault import Evidence, refuse_value
from chaos.nodes import aimed_nodes, check_node, processes_of, state_of
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
        found = {name: facts[name] | {"states_at_end": _states(stack, name)} for name in aim}
        ran = [name for name, states in found.items() if not all(map(_all_stopped, states.values()))]
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
    return {str(process.pid): state_of(process) for process in processes_of(stack, name)}


def _all_stopped(states: dict[str, str]) -> bool:
    return bool(states) and set(states.values()) == {psutil.STATUS_STOPPED}
