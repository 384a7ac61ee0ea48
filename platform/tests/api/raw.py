"""One connection of which every byte is the test's."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit


class Raw:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @staticmethod
    async def to(url: str) -> Raw:
        server = urlsplit(url)
        return Raw(*await asyncio.open_connection(server.hostname, server.port))

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> tuple[int, Any]:
        head = await self.reader.readuntil(b"\r\n\r\n")
        fields = dict(line.split(b": ", 1) for line in head.lower().splitlines()[1:] if line)
        assert fields[b"content-type"] == b"application/json"
        return int(head.split()[1]), json.loads(await self.reader.readexactly(int(fields[b"content-length"])))

    async def end(self) -> bytes:
        """What else comes before the server closes."""
        try:
            return await self.reader.read()
        finally:
            await self.close()

    async def close(self) -> None:
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()
