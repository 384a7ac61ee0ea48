"""Who is the active engine: asked, never assumed. Each change is told once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import aiohttp

from stack.supervisor import EventSink

_POLL_S: Final = 0.075
_ANSWER_LIMIT: Final = aiohttp.ClientTimeout(total=0.5)  # a frozen engine answers nothing


@dataclass(frozen=True, slots=True)
class EngineState:
    """What an engine's ``GET /state`` said; ``role`` is ``active`` or ``standby``."""

    role: str
    epoch: int
    sequence: int


class RoleWatch:
    """Polls each engine (name to base URL) and emits ``role_changed`` (node, role, epoch, sequence)."""

    def __init__(self, session: aiohttp.ClientSession, engines: Mapping[str, str], emit: EventSink) -> None:
        self._session = session
        self._engines = engines
        self._emit = emit
        self._known: dict[str, EngineState] = {}

    def role(self, engine: str) -> str | None:
        """As last heard."""
        return self._known[engine].role if engine in self._known else None

    def forget(self, engine: str) -> None:
        """It ended: whatever it says next is news."""
        self._known.pop(engine, None)

    async def run(self) -> None:
        await asyncio.gather(*(self._poll(engine) for engine in self._engines))

    async def with_role(self, role: str) -> list[str]:
        """The engines that answer in this role now; of two that call themselves active, the one of the later epoch."""
        names = list(self._engines)
        answers = await asyncio.gather(*(self.ask(name) for name in names))
        found = [
            (state.epoch, name) for name, state in zip(names, answers, strict=True) if state and state.role == role
        ]
        return [max(found)[1]] if found and role == "active" else sorted(name for _, name in found)

    async def ask(self, engine: str) -> EngineState | None:
        """None when it does not answer in time."""
        try:
            async with self._session.get(f"{self._engines[engine]}/state", timeout=_ANSWER_LIMIT) as answer:
                state = await answer.json()
                return EngineState(state["role"], state["epoch"], state["sequence"])
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError, KeyError):
            return None

    async def _poll(self, engine: str) -> None:
        while True:
            state, known = await self.ask(engine), self._known.get(engine)
            if state:
                self._known[engine] = state
                if known is None or (known.role, known.epoch) != (state.role, state.epoch):
                    self._emit("role_changed", node=engine, role=state.role, epoch=state.epoch, sequence=state.sequence)
            await asyncio.sleep(_POLL_S)
