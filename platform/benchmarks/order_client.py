"""The cheapest honest client: kept-alive connections, one request at a time on each, all answers read."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Sequence
from types import TracebackType
from typing import cast
from urllib.parse import urlsplit
from uuid import uuid4

import httptools

from stack.status import AccountStatus


class Connection(asyncio.Protocol):
    """One HTTP/1.1 connection that stays open."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answered: asyncio.Future[tuple[int, bytes]] | None = None

    async def post(self, request: bytes) -> tuple[int, bytes]:
        """Status and body of the answer to a request that is encoded already."""
        assert self._transport is not None
        self._answered = asyncio.get_running_loop().create_future()
        self._parser, self._body = httptools.HttpResponseParser(self), b""
        self._transport.write(request)
        return await self._answered

    def close(self) -> None:
        assert self._transport is not None
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class does not inherit from it

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, error: Exception | None) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(error or ConnectionResetError("closed before the answer"))

    # -- what the parser calls -----------------------------------------------------------------------

    def on_body(self, part: bytes) -> None:
        self._body += part

    def on_message_complete(self) -> None:
        assert self._answered is not None
        self._answered.set_result((self._parser.get_status_code(), self._body))


class OrderClient:
    """Places random orders that mostly trade, spread over servers and accounts. Use as an async context manager.

    Requests wait for a free connection when all are busy.
    """

    def __init__(
        self, urls: Sequence[str], accounts: Sequence[AccountStatus], symbols: Sequence[str], *, connections: int
    ) -> None:
        self._servers = [urlsplit(url) for url in urls]
        self._heads = [_head(account) for account in accounts]
        self._symbols = symbols
        self._count = connections
        self._random = random.Random(7)
        self._idle: asyncio.Queue[Connection] = asyncio.LifoQueue()
        self._all: list[Connection] = []
        self._connected = 0
        self.acknowledged: list[str] = []  # client order ids

    async def __aenter__(self) -> OrderClient:
        for _ in range(self._count):
            connection = await self.connect()
            self._all.append(connection)
            self._idle.put_nowait(connection)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        for connection in self._all:
            connection.close()

    async def connect(self) -> Connection:
        """One more connection, of which the caller disposes; they take turns with the servers."""
        self._connected += 1
        server = self._servers[self._connected % len(self._servers)]
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(Connection, server.hostname, server.port)
        return connection

    async def place(self) -> None:
        """Returns when the order is acknowledged; ends the benchmark when it is not."""
        client_order_id = uuid4().hex
        request = self.request(client_order_id)
        connection = await self._idle.get()
        status, body = await connection.post(request)
        self._idle.put_nowait(connection)
        if status != 200 or client_order_id.encode() not in body:
            raise SystemExit(f"refused: {status} {body.decode()}")
        self.acknowledged.append(client_order_id)

    def request(self, client_order_id: str) -> bytes:
        """A random order, encoded."""
        draw = self._random
        side = draw.choice(("buy", "sell"))
        cents = 10_000 + draw.randint(-20, 20) + (-3 if side == "buy" else 3)
        order = {
            "symbol": draw.choice(self._symbols),
            "qty": "1",
            "side": side,
            "type": "limit",
            "time_in_force": "day",
            "limit_price": f"{cents / 100:.2f}",
            "client_order_id": client_order_id,
        }
        body = json.dumps(order).encode()
        return b"%b%d\r\n\r\n%b" % (draw.choice(self._heads), len(body), body)


def _head(account: AccountStatus) -> bytes:
    return (
        "POST /v2/orders HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\nContent-Type: application/json\r\n"
        f"APCA-API-KEY-ID: {account.key_id}\r\nAPCA-API-SECRET-KEY: {account.secret_key}\r\nContent-Length: "
    ).encode()
