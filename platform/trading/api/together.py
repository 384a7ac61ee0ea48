"""Reads that wait at the same time share one query: what it costs to ask the database is paid once for all of them.

Nobody gets anything older than the request: whoever comes while a query is under way waits for the next one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, TypeVar

from trading.infra.database import DatabaseError

Key = TypeVar("Key")
Found = TypeVar("Found")


class Together(Generic[Key, Found]):
    """``read`` finds many at once; what it does not find is None."""

    def __init__(self, read: Callable[[Sequence[Key]], Awaitable[Mapping[Key, Found]]]) -> None:
        self._read = read
        self._waiting: dict[Key, asyncio.Future[Found | None]] = {}
        self._reading: asyncio.Task[None] | None = None

    async def get(self, key: Key) -> Found | None:
        """Raises DatabaseError."""
        future = self._waiting.get(key)
        if future is None:
            future = self._waiting[key] = asyncio.get_running_loop().create_future()
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read_all())
        return await asyncio.shield(future)

    async def _read_all(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, {}
            try:
                found = await self._read(list(batch))
            except DatabaseError as error:
                for future in batch.values():
                    future.set_exception(error)
                    future.exception()  # retrieved: whoever waited may have gone
            else:
                for key, future in batch.items():
                    future.set_result(found.get(key))
