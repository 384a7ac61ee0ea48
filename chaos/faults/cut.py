"""Cut: a link carries nothing. Its connections die at once (refuse), or stay open and hear nothing (stall)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Self

from chaos.fault import Evidence, FaultError
from chaos.links import ProxiedLinks, port_of, role_of
from chaos.probe import round_trip_ms
from chaos.traffic import bytes_between, traffic_to
from stack.embedded import EmbeddedStack
from stack.topology import Topology

_TOXIC = "elson-cut"
_STREAMS = ("upstream", "downstream")


class CutMode(StrEnum):
    REFUSE = "refuse"  # the proxy ends its connections and stops listening: as when the server's port is gone
    STALL = "stall"  # bytes vanish in both directions: as when a cable is pulled; the connections end at the undo


@dataclass(frozen=True, slots=True)
class Cut:
    """``value``: ``refuse`` (the default) or ``stall``."""

    kind: ClassVar[str] = "cut"
    lasting: ClassVar[bool] = False
    target: str
    mode: CutMode = CutMode.REFUSE

    @classmethod
    def parse(cls, target: str, value: str | None) -> Self:
        try:
            return cls(target, CutMode(value or CutMode.REFUSE))
        except ValueError as error:
            raise FaultError(f"cut {value!r}: expected {' or '.join(CutMode)}") from error

    def check(self, topology: Topology) -> None:
        ProxiedLinks.check(topology, self.target)

    async def aim(self, stack: EmbeddedStack) -> list[str]:
        return await ProxiedLinks.aimed(stack, self.target)

    async def inject(self, stack: EmbeddedStack, aim: list[str]) -> dict[str, Any]:
        links = ProxiedLinks.named(stack, aim)
        facts = {link.name: {"traffic_before": traffic_to(port_of(link))} for link in links}
        for link in links:
            if self.mode is CutMode.REFUSE:
                await links.toxics.enable(link.name, enabled=False)
            else:
                for stream in _STREAMS:
                    name = f"{_TOXIC}-{stream}"
                    await links.toxics.add(link.name, name, kind="timeout", stream=stream, attributes={"timeout": 0})
        return facts

    async def evidence(self, stack: EmbeddedStack, aim: list[str], facts: dict[str, Any]) -> Evidence:
        found = {}
        for link in ProxiedLinks.named(stack, aim):
            before = facts[link.name]["traffic_before"]
            now = traffic_to(port_of(link))
            found[link.name] = {
                "bytes_before": bytes_between({}, before),
                "connections_before": len(before),
                "connections_ended": len(before.keys() - now.keys()),
                "answered_during": await round_trip_ms(link.listen, role_of(link)) is not None,
            }
        used = [name for name, link in found.items() if link["bytes_before"]]
        spared = [name for name in used if found[name]["answered_during"]]
        return Evidence(bool(used) and not spared, _summary(used, spared), found)

    async def undo(self, stack: EmbeddedStack, aim: list[str]) -> None:
        links = ProxiedLinks.named(stack, aim)
        for link in links:
            for stream in _STREAMS:
                await links.toxics.remove(link.name, f"{_TOXIC}-{stream}")
            await links.toxics.enable(link.name, enabled=True)


def _summary(used: list[str], spared: list[str]) -> str:
    if spared:
        return f"{', '.join(spared)} answered all the same"
    return f"{', '.join(used)} carried bytes, then no more" if used else "no link in use was cut"
