"""A real HTTP server that takes orders, for tests and benchmarks of the load: it can stall, refuse and cut."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple, Self


class Request(NamedTuple):
    method: str
    path: str
    body: bytes

    @property
    def client_order_id(self) -> str:
        return str(json.loads(self.body)["client_order_id"])

    @property
    def shares(self) -> str:
        return str(json.loads(self.body)["qty"])


Reply = tuple[int, bytes] | None
Behaviour = Callable[[Request], Awaitable[Reply]]


async def accept(request: Request) -> Reply:
    """Every order is accepted under an id that is made of its client_order_id."""
    match request.method:
        case "POST" | "PATCH":
            return 200, json.dumps({"id": f"id-of-{request.client_order_id}", "status": "new"}).encode()
        case "DELETE":
            return 204, b""
        case _:
            client_order_id = request.path.partition("client_order_id=")[2]
            return 200, json.dumps({"id": f"id-of-{client_order_id}"}).encode()


class OrderServer:
    """Serves on a thread of its own; ``requests`` is everything it was sent, answered or not."""

    def __init__(self, behaviour: Behaviour = accept) -> None:
        self.requests: list[Request] = []
        self._behaviour = behaviour
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024)

    async def _end(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with _closing(writer):
                while True:
                    request = await _read(reader)
                    self.requests.append(request)
                    reply = await self._behaviour(request)
                    if reply is None:
                        return
                    status, body = reply
                    writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body)
        except (asyncio.IncompleteReadError, ConnectionError):
            return  # the client is gone


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    method, path, _ = head.split(" ", 2)
    length = head.lower().partition("content-length:")[2].partition("\r\n")[0]
    return Request(method, path, await reader.readexactly(int(length or 0)))


@asynccontextmanager
async def _closing(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    try:
        yield
    finally:
        writer.close()
