"""A proxy between a feed and its client that does to frames what no network should: drops, swaps, holds and cuts."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

DEEDS = ("drop", "swap", "stall", "cut", "repeat")
_DATA = (1, 2)


class DamagingProxy:
    """Passes the client's bytes on as they are, and the feed's frame by frame, some of which it damages."""

    def __init__(self, feed: str, draw: random.Random, *, every: int) -> None:
        self._server = urlsplit(feed)
        self._draw = draw
        self._every = every
        self.done: Counter[str] = Counter()
        self.healthy = False
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream, to_feed = await asyncio.open_connection(self._server.hostname, self._server.port)
        passing = asyncio.create_task(_pass_on(reader, to_feed))
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                writer.write(await upstream.readuntil(b"\r\n\r\n"))
                await self._damage(upstream, writer)
        finally:
            passing.cancel()
            for end in (to_feed, writer):
                end.close()

    async def _damage(self, upstream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held = b""
        while True:
            frame, opcode = await _frame(upstream)
            deed = "" if self.healthy or opcode not in _DATA or self._draw.randrange(self._every) else self._choose()
            self.done[deed] += 1
            match deed:
                case "drop":
                    continue
                case "swap":
                    held = frame
                    continue
                case "stall":
                    await asyncio.sleep(0.6)
                case "cut":
                    writer.write(frame[: len(frame) // 2])
                    return
                case "repeat":
                    writer.write(frame)
                case _:
                    pass
            writer.write(frame + held)
            held = b""
            await writer.drain()

    def _choose(self) -> str:
        return min(DEEDS, key=lambda deed: (self.done[deed], self._draw.random()))


@asynccontextmanager
async def damaging(feed: str, draw: random.Random, *, every: int) -> AsyncIterator[DamagingProxy]:
    """About one in ``every`` frames is damaged."""
    proxy = DamagingProxy(feed, draw, every=every)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(65_536):
        writer.write(chunk)
    writer.close()


async def _frame(reader: asyncio.StreamReader) -> tuple[bytes, int]:
    """A server's frame, whole, with its opcode."""
    head = await reader.readexactly(2)
    length = head[1]
    if length >= 126:
        extended = await reader.readexactly(2 if length == 126 else 8)
        head, length = head + extended, int.from_bytes(extended, "big")
    return head + await reader.readexactly(length), head[0] & 0x0F
