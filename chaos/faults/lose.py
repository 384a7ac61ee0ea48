"""Lose: every server of the database is gone for good, its data with it. Undone by a restore from backup and log."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from chaos.fault import Evidence, FaultError, refuse_value
from chaos.nodes import processes_of
from stack.embedded import EmbeddedStack
from stack.postgres.nodes import SERVERS
from stack.topology import POSTGRES_PRIMARY, POSTGRES_REPLICA, POSTGRES_STANDBY, Role, Topology


@dataclass(frozen=True, slots=True)
class Lose:
    kind: ClassVar[str] = "lose"
    lasting: ClassVar[bool] = False
    target: str

    @classmethod
    def parse(cls, target: str, value: str | None) -> Self:
        refuse_value(cls.kind, value)
        return cls(target)

    def check(self, topology: Topology) -> None:
        if self.target != Role.POSTGRES:
            raise FaultError(f"only {Role.POSTGRES} as a whole can be lost and restored, got {self.target!r}")
        if not {Role.BACKUP, Role.SUPERVISOR} <= {node.role for node in topology.nodes}:
            raise FaultError("nobody could restore the database: that takes a backup process and a supervisor")
        if topology.small_disk:
            raise FaultError(f"{topology.small_disk} has a disk of its own: nothing restored can be moved to its place")

    async def aim(self, stack: EmbeddedStack) -> list[str]:
        """The standby first, so that nobody takes over meanwhile."""
        return [stack.node(role).name for role in (POSTGRES_STANDBY, POSTGRES_PRIMARY, POSTGRES_REPLICA)]

    async def inject(self, stack: EmbeddedStack, aim: list[str]) -> dict[str, Any]:
        ran = [name for name in aim if processes_of(stack, name)]
        for name in ran:
            await stack.kill(name)
        for name in aim:
            # Moved away first: the supervisor may be giving a stopped standby what the receiver has.
            await asyncio.to_thread(shutil.rmtree, stack.postgres.forget(name))
        return {"ran": ran}

    async def evidence(self, stack: EmbeddedStack, aim: list[str], facts: dict[str, Any]) -> Evidence:
        left = [name for name in aim if stack.postgres.data(name).exists() or processes_of(stack, name)]
        bit = set(facts["ran"]) == set(SERVERS) and not left
        summary = f"no server runs, none has data: {', '.join(aim)}" if bit else f"not lost: {', '.join(left) or aim}"
        return Evidence(bit, summary, facts | {"left": left})

    async def undo(self, stack: EmbeddedStack, aim: list[str]) -> None:
        if any(stack.postgres.data(name).exists() for name in aim):
            return
        restored = await stack.ask_backup("restore", to="latest")
        for name in aim:
            stack.allow(name)
        await stack.ask_supervisor("adopt", folder=restored["restored"]["folder"])
