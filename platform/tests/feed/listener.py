"""A client of the streams as a test needs it: says anything, keeps everything it hears."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec
import websockets
from websockets.asyncio.client import ClientConnection, connect

from tests.client import Client
from trading.wire.feed import BookBuilder

MSGPACK = {"Content-Type": "application/msgpack"}


class Listener:
    """``messages`` of the market-data stream, or frames of the trading stream; ``book`` of one symbol."""

    def __init__(self, socket: ClientConnection, symbol: str = "FED") -> None:
        self.socket = socket
        self.messages: list[dict[str, Any]] = []
        self.frames: list[str | bytes] = []
        self.book = BookBuilder(symbol)

    async def say(self, *, binary: bool = False, **request: Any) -> None:
        text = json.dumps(request)
        await self.socket.send(text.encode() if binary else text)

    async def read(self) -> None:
        frame = await self.socket.recv()
        self.frames.append(frame)
        messages = json.loads(frame)
        for message in messages if isinstance(messages, list) else [messages]:
            self.messages.append(message)
            if message.get("T") == "o" and message["S"] == self.book.symbol:
                assert self.book.apply(message), "nothing may come twice"

    async def until(self, condition: Callable[[], Any], within_s: float = 10) -> None:
        async with asyncio.timeout(within_s):
            while not condition():
                await self.read()

    async def answer(self, **request: Any) -> dict[str, Any]:
        """The next message after a request, market data left out."""
        await self.say(**request)
        while True:
            known = len(self.messages)
            await self.read()
            for message in self.messages[known:]:
                if message.get("T") in (None, "success", "error", "subscription"):
                    return message

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message.get("T") == kind]

    def updates(self) -> list[dict[str, Any]]:
        return [message["data"] for message in self.messages if message.get("stream") == "trade_updates"]


@asynccontextmanager
async def connected(client: Client, path: str = "/v2/iex", feed: int = 0, **more: Any) -> AsyncIterator[Listener]:
    """Not authenticated yet."""
    more.setdefault("max_size", None)
    async with connect(client.status.endpoints["feed"][feed] + path, **more) as socket:
        yield Listener(socket)


@asynccontextmanager
async def market_data(
    client: Client, account: int = 0, feed: int = 0, symbol: str = "FED", **channels: Any
) -> AsyncIterator[Listener]:
    """Subscribed to ``channels``, by default to the symbol's book and trades."""
    async with connected(client, feed=feed) as listener:
        listener.book = BookBuilder(symbol)
        who = client.status.accounts[account]
        await listener.say(action="auth", key=who.key_id, secret=who.secret_key)
        await listener.say(action="subscribe", **(channels or {"orderbooks": [symbol], "trades": [symbol]}))
        await listener.until(lambda: listener.of("subscription"))
        if not channels:
            await listener.until(lambda: listener.book.sequence is not None)
        yield listener


@asynccontextmanager
async def trade_updates(client: Client, account: int = 0, feed: int = 0) -> AsyncIterator[Listener]:
    async with connected(client, "/stream", feed) as listener:
        who = client.status.accounts[account]
        await listener.say(action="authenticate", data={"key_id": who.key_id, "secret_key": who.secret_key})
        await listener.say(action="listen", data={"streams": ["trade_updates"]})
        await listener.until(lambda: len(listener.messages) == 2)
        yield listener


async def same_book(client: Client, listener: Listener) -> None:
    """The book built from the feed becomes the engine's."""
    state = await client.active_state()
    symbol = listener.book.symbol
    await listener.until(lambda: listener.book.sequence == state["symbols"][symbol])
    book = state["books"][symbol]
    assert listener.book.bids == dict(book["bids"])
    assert listener.book.asks == dict(book["asks"])


def packed(frame: str | bytes) -> Any:
    assert isinstance(frame, bytes)
    return msgspec.msgpack.decode(frame)


async def closed_with(listener: Listener, within_s: float = 5) -> int | None:
    """The code with which the feed closed the connection, after whatever it still had to say."""
    with suppress(websockets.ConnectionClosed):
        await listener.until(lambda: False, within_s)
    return listener.socket.close_code


def sequences(messages: Sequence[dict[str, Any]]) -> list[int]:
    return [message["q"] for message in messages if message["T"] == "o"]
