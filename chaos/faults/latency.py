"""Latency: answers over a link come later, each by the same time or by a time with jitter."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from chaos.durations import parse_duration_s
from chaos.fault import Evidence, FaultError
from chaos.links import ProxiedLinks, port_of, role_of
from chaos.probe import quickest_round_trip_ms, round_trip_ms
from chaos.traffic import bytes_between, traffic_to
from stack.embedded import EmbeddedStack
from stack.topology import Topology

_TOXIC = "elson-latency"
_LIMIT_MS = 60_000
_SHOWN = 0.5  # the share of the promised delay that a probe must have felt, jitter aside


@dataclass(frozen=True, slots=True)
class Latency:
    """``value``: ``150 ms``, or ``150 ms +- 20 ms``, added to the server's answers: once to every round trip."""

    kind: ClassVar[str] = "latency"
    lasting: ClassVar[bool] = False
    target: str
    latency_ms: int
    jitter_ms: int = 0

    @classmethod
    def parse(cls, target: str, value: str | None) -> Self:
        delay, _, jitter = (value or "").partition("+-")
        try:
            latency_ms = round(parse_duration_s(delay) * 1000)
            jitter_ms = round(parse_duration_s(jitter) * 1000) if jitter else 0
        except ValueError as error:
            raise FaultError(f"latency needs a delay such as 150 ms or 150 ms +- 20 ms: {error}") from error
        if not 0 < latency_ms <= _LIMIT_MS or jitter_ms > latency_ms:
            raise FaultError(f"latency {value!r}: expected 1 ms to {_LIMIT_MS} ms, and no more jitter than latency")
        return cls(target, latency_ms, jitter_ms)

    def check(self, topology: Topology) -> None:
        ProxiedLinks.check(topology, self.target)

    async def aim(self, stack: EmbeddedStack) -> list[str]:
        return await ProxiedLinks.aimed(stack, self.target)

    async def inject(self, stack: EmbeddedStack, aim: list[str]) -> dict[str, Any]:
        links = ProxiedLinks.named(stack, aim)
        before = await asyncio.gather(*(quickest_round_trip_ms(link.listen, role_of(link)) for link in links))
        facts = {
            link.name: {"round_trip_before_ms": found, "traffic_before": traffic_to(port_of(link))}
            for link, found in zip(links, before, strict=True)
        }
        for link in links:
            await links.toxics.add(
                link.name,
                _TOXIC,
                kind="latency",
                stream="downstream",
                attributes={"latency": self.latency_ms, "jitter": self.jitter_ms},
            )
        return facts

    async def evidence(self, stack: EmbeddedStack, aim: list[str], facts: dict[str, Any]) -> Evidence:
        found = {}
        for link in ProxiedLinks.named(stack, aim):
            before = facts[link.name]
            moved = bytes_between(before["traffic_before"], traffic_to(port_of(link)))
            limit_s = 1 + 2 * (self.latency_ms + self.jitter_ms) / 1000
            found[link.name] = {
                "round_trip_before_ms": before["round_trip_before_ms"],
                "round_trip_during_ms": await round_trip_ms(link.listen, role_of(link), limit_s=limit_s),
                "bytes_during": moved,
            }
        used = [name for name, link in found.items() if link["bytes_during"] > 0]
        spared = [name for name in used if not self._shown(found[name])]
        return Evidence(bool(used) and not spared, _summary(used, spared), found)

    def _shown(self, link: dict[str, float | None]) -> bool:
        before, during = link["round_trip_before_ms"], link["round_trip_during_ms"]
        wanted_ms = (self.latency_ms - self.jitter_ms) * _SHOWN
        return during is not None and during - (before or 0.0) >= wanted_ms

    async def undo(self, stack: EmbeddedStack, aim: list[str]) -> None:
        links = ProxiedLinks.named(stack, aim)
        for link in links:
            await links.toxics.remove(link.name, _TOXIC)


def _summary(used: list[str], spared: list[str]) -> str:
    if spared:
        return f"{', '.join(spared)} carried bytes without the delay"
    return f"{', '.join(used)} carried delayed bytes" if used else "no bytes met the delay"
