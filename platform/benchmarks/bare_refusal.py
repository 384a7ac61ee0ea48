"""The least a server can do with a request: read what arrived and refuse it. The peer of refusing under overload."""

from __future__ import annotations

import asyncio
import sys
from typing import cast

import uvloop

_REFUSAL = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"


class Refusal(asyncio.Protocol):
    """Takes every read for one whole request, which on this side of the loopback it is."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._transport.write(_REFUSAL)


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Refusal, "127.0.0.1", port, backlog=4_096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
