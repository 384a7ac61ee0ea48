"""A client that does not keep up: what it still gets, when it is dropped, and that nobody else is touched by it.

Over real sockets of a real server: the feed's own application above a hub whose journal the test plays.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from websockets.asyncio.client import ClientConnection, connect

from tests.feed.test_market_view import AAA, ACCOUNTS, SHARE, Floor
from trading.core.orders import BUY, SELL
from trading.feed.app import create_app
from trading.feed.frames import Connection
from trading.feed.hub import Hub
from trading.feed.session import QueueLimits
from trading.feed.source import JournalSource
from trading.feed.subscribers import Limits
from trading.infra import redis
from trading.infra.identity import Identity, Role
from trading.infra.keys import KeyRing
from trading.wire.feed import FeedState


class OneKey(KeyRing):
    """Knows ``trader`` and ``officer`` by any secret; a key in ``revoked`` is nobody's."""

    def __init__(self) -> None:
        self.revoked: set[str] = set()

    async def identify(self, key_id: str, secret: str) -> Identity | None:
        return await self.identity_of(key_id)

    async def identity_of(self, key_id: str) -> Identity | None:
        match key_id:
            case "trader" if key_id not in self.revoked:
                return Identity("key trader", Role.TRADER, ACCOUNTS[0])
            case "officer":
                return Identity("key officer", Role.RISK_OFFICER, None)
            case _:
                return None


class Played:
    """A feed whose records are those of ``floor``, told when the test says so."""

    def __init__(self, limits: Limits, queue: QueueLimits) -> None:
        self.floor = Floor()
        self.keys = OneKey()
        self.hub = Hub(JournalSource("", redis.connect("redis://127.0.0.1:1"), "feed:test"), self.keys, limits, queue)
        self.hub.view = self.floor.view
        self.url = ""

    def trade(self, times: int = 1) -> None:
        """As often: an order rests, another takes it; the top of the book moves with each."""
        for _ in range(times):
            for account, side in ((0, SELL), (1, BUY)):
                said = self.floor.place_and_hear(account, side, SHARE, 100)
                self.hub.subscribers.tell(said, self.floor.exchange.symbol_sequence(AAA))


@asynccontextmanager
async def played(limits: Limits | None = None, queue: QueueLimits | None = None) -> AsyncIterator[Played]:
    feed = Played(limits or Limits(), queue or QueueLimits())
    config = uvicorn.Config(
        create_app(feed.hub, feed.keys), port=0, ws=Connection, log_config=None, ws_per_message_deflate=False
    )
    server = uvicorn.Server(config)
    listening = socket.create_server(("127.0.0.1", 0))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    beating = asyncio.create_task(feed.hub.run_beside(feed.floor.view))
    feed.url = f"ws://127.0.0.1:{listening.getsockname()[1]}"
    try:
        while not server.started:
            await asyncio.sleep(0.01)
        yield feed
    finally:
        beating.cancel()
        server.should_exit = True
        await serving
        await asyncio.gather(beating, return_exceptions=True)


async def subscribed(feed: Played, key: str = "trader", **channels: Any) -> ClientConnection:
    """Nothing it is sent has been read, but for the answers; there is little room for what waits to be."""
    server = urlsplit(feed.url)
    wire = socket.socket()
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 * 1024)
    wire.connect((server.hostname, server.port))
    client = await connect(f"{feed.url}/v2/iex", sock=wire, max_queue=1, close_timeout=0.2, compression=None)
    await client.send(json.dumps({"action": "auth", "key": key, "secret": "s"}))
    await client.send(json.dumps({"action": "subscribe", **(channels or {"orderbooks": ["*"]})}))
    for _ in range(3):
        await client.recv()
    return client


async def heard(client: ClientConnection, until: Any, within_s: float = 20) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    async with asyncio.timeout(within_s):
        while not until(messages):
            messages += json.loads(await client.recv())
    return messages


async def test_who_lags_gets_the_newest_quote_and_the_whole_book_and_every_trade() -> None:
    async with played() as feed:
        every = {channel: [AAA] for channel in ("orderbooks", "quotes", "trades")}
        client = await subscribed(feed, **every)
        while not any(session.lagging for session in feed.hub.subscribers.sessions):
            feed.trade(20)
            await asyncio.sleep(0)
        feed.trade(500)
        last = feed.floor.exchange.symbol_sequence(AAA)
        messages = await heard(client, lambda known: known and known[-1].get("q") == last and known[-1].get("r"))
        await client.close()
    trades = [message["i"] for message in messages if message["T"] == "t"]
    assert trades == list(range(1, feed.floor.traded + 1))
    state = FeedState()
    assert all(state.take(message) for message in messages), "nothing twice"
    assert (state.books[AAA].bids, state.books[AAA].asks) == feed.floor.exchanges_book()
    assert messages[-1]["w"] == "lag"
    assert len([message for message in messages if message["T"] == "o"]) < last, "changes were left out"


async def test_who_cannot_keep_up_with_trades_is_told_407_and_dropped_and_others_feel_nothing() -> None:
    async with played(queue=QueueLimits(messages=500)) as feed:
        slow = await subscribed(feed, key="officer", trades=[AAA])
        quick = await subscribed(feed, trades=[AAA])
        reading = asyncio.create_task(heard(quick, lambda known: len(known) == feed.floor.traded and done.is_set()))
        done = asyncio.Event()
        (session,) = (session for session in feed.hub.subscribers.sessions if session.key_id == "officer")
        while not session.ended:
            feed.trade(20)
            await asyncio.sleep(0.001)
        told = await heard(slow, lambda known: known and known[-1]["T"] == "error")
        assert (told[-1]["code"], told[-1]["msg"]) == (407, "slow client")
        assert [trade["i"] for trade in told[:-1]] == list(range(1, len(told))), "nothing is left out before that"
        done.set()
        feed.trade(20)
        assert [trade["i"] for trade in await reading] == list(range(1, feed.floor.traded + 1))
        for client in (slow, quick):
            await client.close()


async def test_who_reads_nothing_at_all_is_cut_off_though_it_asked_only_for_what_is_conflated() -> None:
    async with played(queue=QueueLimits(stalled_s=0.3)) as feed:
        client = await subscribed(feed, orderbooks=[AAA], quotes=[AAA])
        while not any(session.lagging for session in feed.hub.subscribers.sessions):
            feed.trade(20)
            await asyncio.sleep(0)
        async with asyncio.timeout(10):
            while feed.hub.subscribers.sessions:
                await asyncio.sleep(0.05)
        await client.close()


async def test_connections_and_symbols_are_limited() -> None:
    async with played(limits=Limits(connections=3, connections_per_key=2, symbols=2)) as feed:
        clients = [await subscribed(feed, trades=["*"]) for _ in range(2)]
        async with connect(f"{feed.url}/v2/iex") as third:
            await third.recv()
            await third.send(json.dumps({"action": "auth", "key": "trader", "secret": "s"}))
            assert json.loads(await third.recv())[0]["code"] == 406
            async with connect(f"{feed.url}/v2/iex") as fourth:
                await fourth.recv()
                assert json.loads(await fourth.recv())[0]["code"] == 406
        await clients[0].send(json.dumps({"action": "subscribe", "quotes": ["*"], "bars": [AAA]}))
        assert json.loads(await clients[0].recv())[0]["code"] == 405
        await clients[0].send(json.dumps({"action": "subscribe", "quotes": ["*"]}))
        assert json.loads(await clients[0].recv())[0]["T"] == "subscription"
        for client in clients:
            await client.close()


async def test_a_key_that_is_revoked_loses_its_connections_and_others_keep_theirs() -> None:
    async with played() as feed:
        trader, officer = await subscribed(feed), await subscribed(feed, key="officer")
        feed.keys.revoked.add("trader")
        told = await heard(trader, lambda known: known and known[-1]["T"] == "error")
        assert told[-1]["code"] == 401
        feed.trade()
        await heard(officer, lambda known: known and known[-1].get("q") == feed.floor.book.sequence)
        for client in (trader, officer):
            await client.close()


async def test_order_updates_are_for_those_who_have_an_account() -> None:
    async with played() as feed, connect(f"{feed.url}/stream") as officer:
        await officer.send(json.dumps({"action": "authenticate", "data": {"key_id": "officer", "secret_key": "s"}}))
        assert json.loads(await officer.recv())["data"]["status"] == "authorized"
        await officer.send(json.dumps({"action": "listen", "data": {"streams": ["trade_updates"]}}))
        assert json.loads(await officer.recv()) == {
            "stream": "error",
            "data": {"code": 409, "msg": "insufficient subscription"},
        }
