"""Kill: SIGKILL to a node's processes, as a crash. Undone by starting the node again, unless it is for good."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from chaos.fault import Evidence, refuse_value
from chaos.nodes import aimed_nodes, check_node, identity, is_dead, processes_of
from stack.embedded import EmbeddedStack
from stack.topology import Topology

_LIMIT_S = 2.0
_STEP_S = 0.01


@dataclass(frozen=True, slots=True)
class Kill:
    kind: ClassVar[str] = "kill"
    lasting: ClassVar[bool] = True
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
        processes = {name: processes_of(stack, name) for name in aim}
        facts: dict[str, Any] = {
            name: {"processes": [identity(process) for process in found]} for name, found in processes.items()
        }
        for name in aim:
            await stack.kill(name)
        for name, found in processes.items():
            facts[name]["all_gone"] = await _all_dead(found)
        return facts

    async def evidence(self, stack: EmbeddedStack, aim: list[str], facts: dict[str, Any]) -> Evidence:
        bit = all(facts[name]["processes"] and facts[name]["all_gone"] for name in aim)
        summary = f"{', '.join(aim)} ran and is gone" if bit else f"{', '.join(aim)} did not run or did not end"
        return Evidence(bit and bool(aim), summary, facts)

    async def undo(self, stack: EmbeddedStack, aim: list[str]) -> None:
        for name in aim:
            if not any(not is_dead(process) for process in processes_of(stack, name)):
                await stack.restart(name)


async def _all_dead(processes: list[Any]) -> bool:
    waited_s = 0.0
    while waited_s < _LIMIT_S and not all(is_dead(process) for process in processes):
        await asyncio.sleep(_STEP_S)
        waited_s += _STEP_S
    return all(is_dead(process) for process in processes)
