"""Disk full: not a byte can be written any more where a server keeps its data. Undone by giving the space back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, Self

from chaos.fault import Evidence, FaultError, refuse_value
from chaos.nodes import aimed_nodes
from stack.embedded import EmbeddedStack
from stack.small_disk import SmallDisk
from stack.topology import POSTGRES_PRIMARY, POSTGRES_STANDBY, Topology

_REFUSED: Final = b"No space left on device"  # servers speak the C locale's English


@dataclass(frozen=True, slots=True)
class DiskFull:
    """A full disk that nobody writes to hurts nobody: it bit when the server itself was refused a write."""

    kind: ClassVar[str] = "disk_full"
    lasting: ClassVar[bool] = False
    target: str

    @classmethod
    def parse(cls, target: str, value: str | None) -> Self:
        refuse_value(cls.kind, value)
        return cls(target)

    def check(self, topology: Topology) -> None:
        """Who holds a moving role is known when it fires: then the disk must be that server's."""
        node = topology.small_disk
        if node is None:
            raise FaultError("no server has a disk that may be filled: topology.small_disk gives one its own")
        if self.target not in (node, POSTGRES_PRIMARY, POSTGRES_STANDBY):
            raise FaultError(f"the only disk that may be filled is that of {node}, got {self.target!r}")

    async def aim(self, stack: EmbeddedStack) -> list[str]:
        aim = await aimed_nodes(stack, self.target)
        if aim != [_disk(stack).node]:
            raise FaultError(f"{self.target} is {', '.join(aim)}, and the small disk is that of {_disk(stack).node}")
        return aim

    async def inject(self, stack: EmbeddedStack, aim: list[str]) -> dict[str, Any]:
        disk = _disk(stack)
        facts = {"free_before_bytes": disk.free_bytes, "log_from": _log(stack, disk).stat().st_size}
        await asyncio.to_thread(disk.fill)
        return facts | {"free_bytes": disk.free_bytes}

    async def evidence(self, stack: EmbeddedStack, aim: list[str], facts: dict[str, Any]) -> Evidence:
        with _log(stack, _disk(stack)).open("rb") as log:
            log.seek(facts["log_from"])
            refused = log.read().count(_REFUSED)
        bit = facts["free_before_bytes"] > 0 and facts["free_bytes"] == 0 and refused > 0
        words = (
            f"{facts['free_bytes']:,} of {facts['free_before_bytes']:,} bytes were left to {', '.join(aim)}; "
            f"writes it was refused: {refused}"
        )
        return Evidence(bit, words, facts | {"refused": refused, "free_at_end_bytes": _disk(stack).free_bytes})

    async def undo(self, stack: EmbeddedStack, aim: list[str]) -> None:
        _disk(stack).free()


def _disk(stack: EmbeddedStack) -> SmallDisk:
    if stack.small_disk is None:
        raise FaultError("the small disk is not mounted")
    return stack.small_disk


def _log(stack: EmbeddedStack, disk: SmallDisk) -> Path:
    return stack.postgres.launch(disk.node).log
