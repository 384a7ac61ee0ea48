"""What a run waits for in the platform: a leader, a two-sided market, a feed that has caught up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, Final, Self

import aiohttp

from scenarios.programs import Program, RunError
from stack.embedded import EmbeddedStack
from stack.errors import UnresolvedError
from stack.topology import Role

_PAUSE_S: Final = 0.1
_ANSWER_LIMIT: Final = aiohttp.ClientTimeout(total=2)


class PlatformState:
    """Asks the nodes directly. None of its waits has a limit of its own: callers set one."""

    def __init__(self, stack: EmbeddedStack) -> None:
        self._stack = stack
        self._session = aiohttp.ClientSession(timeout=_ANSWER_LIMIT)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def active_engine(self) -> str:
        """Waits until an engine leads; returns its name."""
        while True:
            try:
                return (await self._stack.resolve("engine:active"))[0].name
            except UnresolvedError:
                await asyncio.sleep(_PAUSE_S)

    async def two_sided(self, symbols: Sequence[str], programs: Iterable[Program]) -> None:
        """Waits until every book has bids and asks. Raises RunError when a program ends before."""
        programs = list(programs)
        while True:
            state = await self._get(self._stack.base_url(await self.active_engine()), "/state/full")
            books = state["books"] if state else {}
            if all(books.get(symbol, {}).get("bids") and books[symbol].get("asks") for symbol in symbols):
                return
            for program in programs:
                if not program.process.running:
                    raise RunError(program.failure())
            await asyncio.sleep(_PAUSE_S)

    async def feed_caught_up(self) -> int:
        """Waits until the engine gets nothing new and every feed has its last record; returns that one's number."""
        before = -1
        while True:
            state = await self._get(self._stack.base_url(await self.active_engine()), "/state")
            names = [node.name for node in self._stack.topology.nodes if node.role is Role.FEED]
            reached = [await self._get(self._stack.base_url(name), "/health/ready") for name in names]
            sequence: int | None = state["sequence"] if state else None
            if sequence == before and all(feed and feed["sequence"] == sequence for feed in reached):
                return before
            before = -1 if sequence is None else sequence
            await asyncio.sleep(_PAUSE_S)

    async def _get(self, url: str, path: str) -> dict[str, Any] | None:
        """None when it does not answer."""
        try:
            async with self._session.get(url + path) as answer:
                document: dict[str, Any] = await answer.json()
                return document
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
            return None
