"""The reference client: through drops, swaps, stalls and cuts, at two feeds in turn, to the very book of the tables."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from contextlib import AsyncExitStack
from typing import Any

import pytest

from stack.embedded import EmbeddedStack
from stack.postgres.sessions import connection
from tests.client import Client, limit_order
from tests.feed.damage import DEEDS, damaging
from tests.feed.test_market_view import AAA, Floor, messages
from trading.core.orders import BUY, SELL
from trading.wire.feed import FeedChecksumError, FeedGapError, FeedState
from trading.wire.feed_client import FeedOptions, Keys, MarketDataClient

SYMBOL = "FED"
SEED = 11
ORDERS = 240

_BOOK = """
SELECT side, price_micros, sum(quantity - filled_quantity - reduced_quantity)::bigint FROM orders
WHERE symbol = $1 AND price_micros IS NOT NULL GROUP BY side, price_micros
"""


@pytest.mark.stack
@pytest.mark.asyncio(loop_scope="session")
async def test_it_ends_with_the_tables_book_whatever_became_of_the_frames(
    client: Client, platform: EmbeddedStack
) -> None:
    draw = random.Random(SEED)
    async with AsyncExitStack() as stack:
        feeds = client.status.endpoints["feed"]
        proxies = [await stack.enter_async_context(damaging(feed, draw, every=6)) for feed in feeds]
        who = client.status.accounts[4]
        follower = MarketDataClient(
            [proxy.url for proxy in proxies],
            Keys(who.key_id, who.secret_key),
            {"orderbooks": [SYMBOL], "trades": [SYMBOL]},
            FeedOptions(silence_limit_s=3.0, reconnect_pause_s=0.01),
        )
        seen = Seen(follower)
        following = asyncio.create_task(follower.run())
        await seen.until(lambda: SYMBOL in follower.state.books)
        began = follower.state.books[SYMBOL].sequence
        first_trade = await trade_ids(platform, after=0)
        await trade_at_random(client, draw)
        async with asyncio.timeout(60):
            # A deed may hit a connection that the client has just left: so until it has felt them, too.
            while not all(any(proxy.done[deed] for proxy in proxies) for deed in DEEDS) or not seen.has_broken():
                await trade_at_random(client, draw)
        for proxy in proxies:
            proxy.healthy = True
        state = await client.active_state()
        await seen.until(lambda: follower.state.books[SYMBOL].sequence == state["symbols"][SYMBOL])
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    book = follower.state.books[SYMBOL]
    async with connection(platform.postgres_dsn("postgres:primary")) as database:
        rows = await database.fetch(_BOOK, SYMBOL)
    assert book.bids == {price: size for side, price, size in rows if side == "buy"}
    assert book.asks == {price: size for side, price, size in rows if side == "sell"}
    assert seen.numbers == list(range(began + 1, state["symbols"][SYMBOL] + 1)), "no gap and no repetition"
    assert seen.trades == set(await trade_ids(platform, after=max(first_trade, default=0)))


class Seen:
    """What was news to the client, and what it had to heal."""

    def __init__(self, client: MarketDataClient) -> None:
        self.numbers: list[int] = []
        self.trades: set[int] = set()
        self.breaks: Counter[str] = Counter()
        self._state = client.state
        client.on_message, client.on_break = self.message, self.broke

    def message(self, message: dict[str, Any], _raw: str, is_new: bool) -> None:
        if is_new and message.get("T") == "o" and not message.get("r"):
            self.numbers.append(message["q"])
        if is_new and message.get("T") == "t":
            assert message["i"] not in self.trades
            self.trades.add(message["i"])

    def broke(self, kind: str, _feed: str, _error: Exception) -> None:
        self.breaks[kind] += 1

    def has_broken(self) -> bool:
        return bool(self.breaks["gap"] and self.breaks["disconnect"])

    async def until(self, condition: Any) -> None:
        async with asyncio.timeout(30):
            while not condition():
                await asyncio.sleep(0.02)


async def trade_at_random(client: Client, draw: random.Random) -> None:
    for _ in range(ORDERS):
        side, account = draw.choice((("buy", 0), ("sell", 1)))
        price = f"{80 + draw.randrange(-5, 6) / 100:.2f}"
        status, order = await client.place(
            limit_order(side, draw.randint(1, 9), price, symbol=SYMBOL), account=account, api=draw.randrange(2)
        )
        assert status == 200
        if draw.random() < 0.3:
            await client.request("DELETE", f"/v2/orders/{order['id']}", account=account)


async def trade_ids(platform: EmbeddedStack, *, after: int) -> list[int]:
    async with connection(platform.postgres_dsn("postgres:primary")) as database:
        rows = await database.fetch(
            "SELECT trade_id FROM fills WHERE symbol = $1 AND side = 'buy' AND trade_id > $2", SYMBOL, after
        )
    return [row["trade_id"] for row in rows]


# -- without a socket ------------------------------------------------------------------------------


def spoken(count: int) -> list[dict[str, Any]]:
    """What a feed says of ``count`` records after the market opened, the whole book first."""
    floor = Floor()
    said = [json.loads(floor.view.books[AAA].whole("new").json)]
    for number in range(count):
        broadcast = floor.place_and_hear(number % 2, (SELL, BUY)[number % 2], 10**6, 100)
        assert broadcast.book is not None
        said += [*messages(broadcast, "trades"), json.loads(broadcast.book.json)]
    return said


def take_all(said: list[dict[str, Any]]) -> None:
    state = FeedState()
    for message in said:
        state.take(message)


def test_a_skipped_sequence_number_is_a_gap() -> None:
    """The bug of a feed that loses one record, whatever that record was."""
    said = spoken(6)
    for lost in (message for message in said[1:-1] if message["T"] == "o"):
        with pytest.raises(FeedGapError):
            take_all([message for message in said if message is not lost])


def test_a_last_number_that_never_came_shows_at_the_next_heartbeat() -> None:
    said, state = spoken(4), FeedState()
    for message in said[:-1]:
        state.take(message)
    with pytest.raises(FeedGapError):
        state.take({"T": "h", "e": 1, "q": {AAA: said[-1]["q"]}})


def test_a_book_that_is_not_the_feeds_shows_at_once_and_is_forgotten() -> None:
    first, change, *_ = (message for message in spoken(2) if message["T"] == "o")
    state = FeedState()
    state.take(first)
    with pytest.raises(FeedChecksumError):
        state.take({**change, "a": [{"p": 100.0, "s": 2}]})
    assert state.resume_from() == {}


def test_what_comes_twice_or_from_an_older_epoch_is_no_news() -> None:
    said, state = spoken(4), FeedState()
    assert [state.take(message) for message in said] == [True] * len(said)
    assert not any(state.take(message) for message in said)
    last = said[-1]
    deposed = {**last, "q": last["q"] + 1, "e": last["e"] - 1}
    assert not state.take(deposed)
    assert state.resume_from() == {AAA: last["q"]}
