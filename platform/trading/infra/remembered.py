"""Answers of the database that are asked for again and again, remembered for a second, and what then if it is away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from trading.infra.database import DatabaseError

T = TypeVar("T")

FRESH_S: Final = 1.0
STALE_S: Final = 5.0
_KEPT: Final = 10_000  # of what there is, and as many of what there is not
_STRANGERS_WAITING: Final = 100


@dataclass(frozen=True, slots=True)
class _Answer(Generic[T]):
    asked_at_s: float
    found: T | None


class Remembered(Generic[T]):
    """What ``read`` finds by name, None for what there is not.

    - An answer counts for ``fresh_s`` from when it was asked for; after half of that the next is fetched meanwhile, so
      that nobody waits.
    - If the next cannot be had, an answer counts until ``stale_s``, and then DatabaseError is raised: fail closed. So a
      process that is cut off from the database goes on with its callers for that long, and with no longer.
    - Names that were never found have a memory of their own and one look at a time: asking for many of them neither
      displaces nor delays those there are. Too many at once are refused with DatabaseError.
    """

    def __init__(
        self, read: Callable[[str], Awaitable[T | None]], *, fresh_s: float = FRESH_S, stale_s: float = STALE_S
    ) -> None:
        self._read, self._fresh_s, self._stale_s = read, fresh_s, stale_s
        self._there: dict[str, _Answer[T]] = {}
        self._not_there: dict[str, _Answer[T]] = {}
        self._reading: dict[str, asyncio.Task[_Answer[T]]] = {}
        self._one_stranger = asyncio.Lock()
        self._strangers = 0

    async def get(self, name: str) -> T | None:
        """Raises DatabaseError when it cannot be told."""
        answer = self._there.get(name) or self._not_there.get(name)
        if answer is None:
            return (await self._shared_reading(name)).found
        age_s = time.monotonic() - answer.asked_at_s
        if age_s <= self._fresh_s:
            if age_s > self._fresh_s / 2 and name in self._there:
                self._start_reading(name)
            return answer.found
        try:
            return (await self._shared_reading(name)).found
        except DatabaseError:
            if age_s <= self._stale_s:
                return answer.found
            raise

    async def get_again(self, name: str) -> T | None:
        """What is there now, whatever is remembered: for whoever has reason to believe it changed."""
        return (await self._look(name)).found

    async def _shared_reading(self, name: str) -> _Answer[T]:
        return await asyncio.shield(self._start_reading(name))

    def _start_reading(self, name: str) -> asyncio.Task[_Answer[T]]:
        """Who asks for a name meanwhile shares one look: a slow database must not be asked the more for it."""
        reading = self._reading.get(name)
        if reading is None:
            look = self._look(name) if name in self._there else self._look_for_a_stranger(name)
            reading = self._reading[name] = asyncio.create_task(look)
            reading.add_done_callback(lambda task: self._reading_done(name, task))
        return reading

    def _reading_done(self, name: str, task: asyncio.Task[_Answer[T]]) -> None:
        del self._reading[name]
        if not task.cancelled():
            task.exception()  # retrieved: those who wait get it, and there may be none left

    async def _look_for_a_stranger(self, name: str) -> _Answer[T]:
        if self._strangers >= _STRANGERS_WAITING:
            raise DatabaseError("too many unknown names are being looked up")
        self._strangers += 1
        try:
            async with self._one_stranger:
                return await self._look(name)
        finally:
            self._strangers -= 1

    async def _look(self, name: str) -> _Answer[T]:
        asked_at_s = time.monotonic()
        answer = _Answer(asked_at_s, await self._read(name))
        self._there.pop(name, None)
        self._not_there.pop(name, None)
        memory = self._not_there if answer.found is None else self._there
        if len(memory) >= _KEPT:
            del memory[next(iter(memory))]  # the one that was asked for longest ago
        memory[name] = answer
        return answer
