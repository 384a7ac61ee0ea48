"""Switchover: a planned change of the database's primary, as before maintenance. Undone by changing back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self

from chaos.fault import Evidence, FaultError, refuse_value
from stack.embedded import EmbeddedStack
from stack.errors import ControlError
from stack.topology import POSTGRES_PRIMARY, Role, Topology

_POLL_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class Switchover:
    kind: ClassVar[str] = "switchover"
    lasting: ClassVar[bool] = True
    target: str

    @classmethod
    def parse(cls, target: str, value: str | None) -> Self:
        refuse_value(cls.kind, value)
        return cls(target)

    def check(self, topology: Topology) -> None:
        if self.target != POSTGRES_PRIMARY:
            raise FaultError(f"a switchover is of {POSTGRES_PRIMARY}, got {self.target!r}")
        if not any(node.role is Role.SUPERVISOR for node in topology.nodes):
            raise FaultError("a switchover needs a supervisor of the database")

    async def aim(self, stack: EmbeddedStack) -> list[str]:
        return [node.name for node in await stack.resolve(self.target)]

    async def inject(self, stack: EmbeddedStack, aim: list[str]) -> dict[str, Any]:
        before = await stack.ask_supervisor("status")
        after = await stack.ask_supervisor("switchover")
        return {"before": _summary(before), "after": _summary(after)}

    async def evidence(self, stack: EmbeddedStack, aim: list[str], facts: dict[str, Any]) -> Evidence:
        before, after = facts["before"], facts["after"]
        bit = aim == [before["primary"]] and after["primary"] not in aim and after["epoch"] > before["epoch"]
        words = (
            f"{after['primary']} is the primary of epoch {after['epoch']}, {before['primary']} was of {before['epoch']}"
        )
        return Evidence(bit, words, facts)

    async def undo(self, stack: EmbeddedStack, aim: list[str]) -> None:
        while [stack.node(POSTGRES_PRIMARY).name] != aim:
            try:
                await stack.ask_supervisor("switchover")
            except ControlError:  # until the old primary is back as a standby
                await asyncio.sleep(_POLL_S)


def _summary(status: dict[str, Any]) -> dict[str, Any]:
    return {name: status[name] for name in ("primary", "epoch", "timeline", "sync")}
