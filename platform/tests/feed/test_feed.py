"""The feed: snapshot, deltas without a gap, order updates for their owner, through every failure beneath it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import websockets

from stack.embedded import EmbeddedStack
from tests.client import Client, limit_order
from trading.wire.feed import BookBuilder

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]

SYMBOL = "FED"  # the other tests' orders stay out of these books


class Subscriber:
    """Reads frames into ``messages`` (market data), ``updates`` (order updates) and the book of SYMBOL."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self.socket = socket
        self.messages: list[dict[str, Any]] = []
        self.updates: list[dict[str, Any]] = []
        self.book = BookBuilder(SYMBOL)

    async def say(self, **request: Any) -> None:
        await self.socket.send(json.dumps(request))

    async def read(self) -> None:
        frame = json.loads(await self.socket.recv())
        if isinstance(frame, dict):
            self.updates.append(frame)
            return
        for message in frame:
            self.messages.append(message)
            if message["T"] == "o":
                self.book.apply(message)

    async def until(self, condition: Any, within_s: float = 10) -> None:
        async with asyncio.timeout(within_s):
            while not condition():
                await self.read()


@asynccontextmanager
async def subscriber(client: Client, account: int = 0) -> AsyncIterator[Subscriber]:
    async with websockets.connect(client.status.endpoints["feed"][0] + "/stream") as socket:
        feed = Subscriber(socket)
        who = client.status.accounts[account]
        await feed.say(action="auth", key=who.key_id, secret=who.secret_key)
        await feed.say(action="subscribe", orderbooks=[SYMBOL], trades=[SYMBOL])
        await feed.say(action="listen", data={"streams": ["trade_updates"]})
        await feed.until(lambda: feed.book.sequence is not None and feed.updates)
        yield feed


async def same_book(client: Client, feed: Subscriber) -> None:
    """The book built from the feed becomes the engine's."""
    state = await client.active_state()
    await feed.until(lambda: feed.book.sequence == state["symbols"][SYMBOL])
    book = state["books"][SYMBOL]
    assert feed.book.bids == dict(book["bids"])
    assert feed.book.asks == dict(book["asks"])


async def test_a_subscriber_builds_the_engines_book(client: Client) -> None:
    await client.place(limit_order("buy", 5, "20.00", symbol=SYMBOL))
    async with subscriber(client, account=4) as feed:
        assert next(m for m in feed.messages if m["T"] == "o")["r"] is True
        for price in ("20.00", "20.01", "19.99"):
            await client.place(limit_order("buy", 5, price, symbol=SYMBOL))
        await client.place(limit_order("sell", 7, "20.00", symbol=SYMBOL), account=1)
        _, order = await client.place(limit_order("buy", 5, "19.00", symbol=SYMBOL))
        await client.request("DELETE", f"/v2/orders/{order['id']}")
        await same_book(client, feed)
        trades = [(m["p"], m["s"]) for m in feed.messages if m["T"] == "t"]
        assert trades == [(20.01, 5), (20.0, 2)]


async def test_order_updates_reach_their_owner_and_nobody_else(client: Client) -> None:
    async with subscriber(client, account=2) as owner, subscriber(client, account=3) as stranger:
        _, order = await client.place(limit_order("buy", 5, "30.00", symbol=SYMBOL), account=2)
        await client.place(limit_order("sell", 2, "30.00", symbol=SYMBOL), account=1)
        await client.request("DELETE", f"/v2/orders/{order['id']}", account=2)
        await owner.until(lambda: len(owner.updates) == 4)
        heard = [(u["data"]["event"], u["data"]["order"]["filled_qty"]) for u in owner.updates[1:]]
        assert heard == [("new", "0"), ("partial_fill", "2"), ("canceled", "2")]
        assert owner.updates[2]["data"]["position_qty"] == "100002"
        await same_book(client, stranger)
        assert len(stranger.updates) == 1


@pytest.mark.parametrize(
    ("request_text", "code"),
    [
        ("{", 400),
        ("[]", 400),
        ('{"action": "dance"}', 400),
        ('{"action": "auth", "key": 1, "secret": 2}', 402),
        ('{"action": "auth", "key": "nobody", "secret": "x"}', 402),
        (r'{"action": "auth", "key": "\u0000", "secret": "x"}', 402),
        (r'{"action": "auth", "key": "é", "secret": "é"}', 402),
        (r'{"action": "auth", "key": "\ud800", "secret": "x"}', 400),
        ("[" * 50_000, 400),
        ('{"action": "subscribe", "orderbooks": ["AAA"]}', 401),
    ],
)
async def test_a_bad_request_is_answered_with_alpacas_code(client: Client, request_text: str, code: int) -> None:
    async with websockets.connect(client.status.endpoints["feed"][0] + "/stream") as socket:
        await socket.recv()
        await socket.send(request_text)
        assert json.loads(await socket.recv())[0] | {"msg": ""} == {"T": "error", "code": code, "msg": ""}


async def test_an_unknown_symbol_cannot_be_subscribed(client: Client) -> None:
    async with subscriber(client) as feed:
        for symbol, code in (("NOPE", 409), ("\ud800", 400), ("NOPE", 409)):
            await feed.say(action="subscribe", orderbooks=[symbol])
            await feed.until(lambda code=code: feed.messages[-1].get("code") == code)


async def test_the_sequence_has_no_gap_across_the_loss_of_redis_and_of_the_engine(own_platform: EmbeddedStack) -> None:
    async with Client(own_platform.status()) as client, subscriber(client) as feed:
        await client.place(limit_order("buy", 1, "10.00", symbol=SYMBOL))
        await own_platform.kill("redis:primary")
        for _ in range(5):
            assert (await client.place(limit_order("buy", 1, "10.00", symbol=SYMBOL)))[0] == 200
        await same_book(client, feed)
        await own_platform.restart("redis:primary")
        (active,) = await own_platform.resolve("engine:active")
        await own_platform.kill(active.name)
        for _ in range(5):
            assert (await client.place(limit_order("buy", 1, "10.01", symbol=SYMBOL)))[0] == 200
        await same_book(client, feed)  # BookBuilder raises FeedGapError at any gap
        numbers = [message["q"] for message in feed.messages if message["T"] == "o"]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


async def test_a_subscriber_that_does_not_read_is_told_so_and_dropped() -> None:
    """Its queue is bounded: the session ends with code 407 instead of growing."""
    from starlette.websockets import WebSocket

    from trading.feed.session import QUEUE_MESSAGES, Session

    sent: list[str] = []

    async def send(message: Any) -> None:
        sent.append(message.get("text") or message["type"])

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    socket = WebSocket({"type": "websocket"}, receive=receive, send=send)
    await socket.accept()
    session = Session(socket)
    for number in range(QUEUE_MESSAGES + 10):
        session.reply(T="t", i=number)
    await session.write()
    assert json.loads(sent[1])[0]["code"] == 407
    assert sent[2] == "websocket.close"
