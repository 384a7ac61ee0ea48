"""What a fault is: something done to a node or link, the way to undo it, and the evidence that it bit."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Protocol, Self

from stack.embedded import EmbeddedStack
from stack.topology import Topology


class FaultError(ValueError):
    """A fault that cannot be: a wrong target or value, or a stack that refuses it. The text is for the user."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """``bit`` is a measurement, never an assumption: a fault that nothing ran into did not bite."""

    bit: bool
    summary: str
    facts: dict[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        return asdict(self)


class Fault(Protocol):
    """One fault. The conductor calls ``aim``, ``inject``, ``evidence`` and ``undo`` in this order.

    ``aim`` names what will be hit, and is written down before ``inject`` touches anything, so ``undo`` needs
    only these names: it must also work after half an injection, and twice.
    """

    kind: ClassVar[str]
    lasting: ClassVar[bool]  # may stay when the run heals ("for good"): a killed node stays dead

    @property
    def target(self) -> str: ...

    @classmethod
    def parse(cls, target: str, value: str | None) -> Self:
        """Raises FaultError when the value has the wrong form."""
        ...

    def check(self, topology: Topology) -> None:
        """Raises FaultError when this topology has no such target, or cannot hurt it. Nothing runs yet."""
        ...

    async def aim(self, stack: EmbeddedStack) -> list[str]:
        """The nodes or links the target means at this moment."""
        ...

    async def inject(self, stack: EmbeddedStack, aim: list[str]) -> dict[str, Any]:
        """Applies it; returns what was measured around that moment, for ``evidence``."""
        ...

    async def evidence(self, stack: EmbeddedStack, aim: list[str], facts: dict[str, Any]) -> Evidence:
        """Called while the fault is still on."""
        ...

    async def undo(self, stack: EmbeddedStack, aim: list[str]) -> None: ...


def refuse_value(kind: str, value: str | None) -> None:
    if value is not None:
        raise FaultError(f"{kind} takes no value, got {value!r}")
