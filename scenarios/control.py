"""What a stack's owner answers about faults: the operations behind ``elson fault add | list | clear``."""

from __future__ import annotations

from typing import Any

from chaos.conductor import Conductor
from stack.embedded import EmbeddedStack


def offer_faults(stack: EmbeddedStack, conductor: Conductor) -> None:
    """Errors of the conductor are ValueErrors, which the control socket passes on as refusals."""

    async def add(kind: str, target: str, value: str | None = None, for_s: float | None = None) -> dict[str, Any]:
        return {"fault": await conductor.add(kind, target, value, for_s)}

    async def list_() -> dict[str, Any]:
        return {"faults": conductor.list_active()}

    async def clear() -> dict[str, Any]:
        return {"cleared": await conductor.clear()}

    stack.control.handlers |= {"fault.add": add, "fault.list": list_, "fault.clear": clear}
