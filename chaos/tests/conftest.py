"""A real Redis behind a real Toxiproxy: the smallest stack in which links can be hurt."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from stack.embedded import EmbeddedStack
from stack.options import StackOptions
from stack.topology import Role, platform_topology

# Both are proxied; the tests use the first and leave the second idle.
USED, IDLE = "feed:1->redis:1", "api:1->redis:1"


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[EmbeddedStack]:
    topology = platform_topology(instruments=(), accounts=(), proxied=["feed->redis", "api->redis"])
    options = StackOptions(log_folder=tmp_path, roles=frozenset({Role.REDIS, Role.TOXIPROXY}))
    async with EmbeddedStack(topology, options) as running:
        yield running


class Pinger:
    """One Redis client on a connection that stays open; ``replies`` counts what came back."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.replies = 0

    async def ping(self) -> bool:
        """Whether an answer came: False when the connection ended or nothing was heard for a second."""
        try:
            self._writer.write(b"PING\r\n")
            async with asyncio.timeout(1):
                line = await self._reader.readline()
        except (ConnectionError, TimeoutError):
            return False
        self.replies += line == b"+PONG\r\n"
        return bool(line)

    async def wait_for_replies(self, count: int) -> None:
        """Returns when so many more answers came to the pinging in the background."""
        wanted = self.replies + count
        while self.replies < wanted:
            await asyncio.sleep(0.01)

    async def ping_for_ever(self) -> None:
        while await self.ping():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def pinging(stack: EmbeddedStack, link: str) -> AsyncIterator[Pinger]:
    """A client that uses ``link`` all the time."""
    listen = next(status.listen for status in stack.status().links if status.name == link)
    host, _, port = listen.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    client = Pinger(reader, writer)
    assert await client.ping()
    task = asyncio.create_task(client.ping_for_ever())
    try:
        yield client
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        writer.close()
