"""The feed: a book and what changes of it, order updates for their owner, through every failure beneath it."""

from __future__ import annotations

import asyncio
import re
from uuid import UUID

import pytest

from stack.embedded import EmbeddedStack
from stack.postgres.sessions import connection
from tests.client import Client, limit_order
from tests.feed.listener import closed_with, market_data, same_book, sequences, trade_updates
from tests.redis_pair import cut_replication, hit, whole_again
from trading.wire.feed import BookBuilder

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]

SYMBOL = "FED"  # the other tests' orders stay out of these books


async def test_a_subscriber_builds_the_engines_book(client: Client) -> None:
    for account in range(len(client.status.accounts)):
        await client.request("DELETE", "/v2/orders", account=account)  # what earlier tests left in this book
    await client.place(limit_order("buy", 5, "20.00", symbol=SYMBOL))
    async with market_data(client, account=4) as feed:
        first = next(m for m in feed.messages if m["T"] == "o")
        assert (first["r"], first["w"]) == (True, "new")
        for price in ("20.00", "20.01", "19.99"):
            await client.place(limit_order("buy", 5, price, symbol=SYMBOL))
        await client.place(limit_order("sell", 7, "20.00", symbol=SYMBOL), account=1)
        _, order = await client.place(limit_order("buy", 5, "19.00", symbol=SYMBOL))
        await client.request("DELETE", f"/v2/orders/{order['id']}")
        await same_book(client, feed)
        assert [(m["p"], m["s"]) for m in feed.of("t")] == [(20.01, 5), (20.0, 2)]


async def test_order_updates_reach_their_owner_and_nobody_else(client: Client) -> None:
    async with trade_updates(client, account=2) as owner, trade_updates(client, account=3, feed=1) as stranger:
        _, order = await client.place(limit_order("buy", 5, "30.00", symbol=SYMBOL), account=2)
        await client.place(limit_order("sell", 2, "30.00", symbol=SYMBOL), account=1)
        await client.request("DELETE", f"/v2/orders/{order['id']}", account=2)
        await owner.until(lambda: len(owner.updates()) == 3)
        heard = [(update["event"], update["order"]["filled_qty"]) for update in owner.updates()]
        assert heard == [("new", "0"), ("partial_fill", "2"), ("canceled", "2")]
        fill = owner.updates()[1]
        assert (fill["position_qty"], fill["price"], fill["qty"]) == ("100002", "30.00", "2")
        assert len({UUID(update["execution_id"]) for update in owner.updates()}) == 3
        _, own = await client.place(limit_order("buy", 1, "29.00", symbol=SYMBOL), account=3)
        await stranger.until(lambda: len(stranger.updates()) == 1)
        assert stranger.updates()[0]["order"]["id"] == own["id"]


async def test_the_quote_follows_the_top_of_the_book(client: Client) -> None:
    async with market_data(client, quotes=[SYMBOL], orderbooks=[SYMBOL]) as feed:
        await feed.until(lambda: feed.book.sequence is not None)
        _, order = await client.place(limit_order("buy", 3, "45.50", symbol=SYMBOL))
        await feed.until(lambda: feed.of("q"))
        quote = feed.of("q")[-1]
        assert (quote["bp"], quote["bs"], quote["q"], quote["S"]) == (45.5, 3, feed.book.sequence, SYMBOL)
        await client.place(limit_order("buy", 3, "1.00", symbol=SYMBOL))
        await client.request("DELETE", f"/v2/orders/{order['id']}")
        await same_book(client, feed)
        assert len(feed.of("q")) == 2, "an order deep in the book moves no quote"


async def test_both_feeds_say_the_same_in_the_same_bytes(client: Client) -> None:
    async with market_data(client) as first, market_data(client, feed=1) as second:
        for price in ("50.00", "50.01", "49.99"):
            await client.place(limit_order("buy", 5, price, symbol=SYMBOL))
        await client.place(limit_order("sell", 15, "49.00", symbol=SYMBOL), account=1)
        for feed in (first, second):
            await same_book(client, feed)
    heard = [[m for m in feed.messages if m["T"] in "ot"] for feed in (first, second)]
    assert heard[0] == heard[1]
    said = [_trades_and_books(feed.frames) for feed in (first, second)]
    assert len(said[0]) == len(heard[0]) > 4
    assert said[0] == said[1]


async def test_a_client_cut_from_one_feed_goes_on_at_another_without_a_gap_or_a_repetition(client: Client) -> None:
    async with market_data(client) as before:
        await client.place(limit_order("buy", 5, "60.00", symbol=SYMBOL))
        await same_book(client, before)
    for account, side in ((0, "buy"), (1, "sell"), (0, "buy")):
        await client.place(limit_order(side, 4, "60.00", symbol=SYMBOL), account=account)
    at = before.book.sequence
    request = {"orderbooks": [SYMBOL], "trades": [SYMBOL], "resume_from": {SYMBOL: at}}
    async with market_data(client, feed=1, **request) as after:
        after.book = before.book
        await same_book(client, after)
        assert sequences(after.messages) == list(range(at + 1, at + 4))
        assert [trade["s"] for trade in after.of("t")] == [4]
        assert not any(message.get("r") for message in after.messages)


async def test_a_revoked_keys_connections_are_closed(client: Client, platform: EmbeddedStack) -> None:
    who = client.status.accounts[5]
    async with (
        market_data(client, account=5) as feed,
        trade_updates(client, account=5) as orders,
        connection(platform.postgres_dsn("postgres:primary")) as database,
    ):
        await database.execute("UPDATE api_keys SET revoked_at = now() WHERE key_id = $1", who.key_id)
        try:
            codes = await asyncio.gather(closed_with(feed), closed_with(orders))
        finally:
            await database.execute("UPDATE api_keys SET revoked_at = NULL WHERE key_id = $1", who.key_id)
    assert codes == [1008, 1008]
    assert feed.of("error")[0]["code"] == 401


async def test_the_sequence_has_no_gap_across_the_loss_of_redis_and_of_the_engine(
    healed_platform: EmbeddedStack,
) -> None:
    async with Client(healed_platform.status()) as client, market_data(client) as feed:
        await client.place(limit_order("buy", 1, "10.00", symbol=SYMBOL))
        await cut_replication(healed_platform)
        assert (await client.place(limit_order("buy", 1, "10.00", symbol=SYMBOL)))[0] == 200
        lost = hit(healed_platform, "redis:primary")  # and with it what its replica had not heard
        for _ in range(5):
            assert (await client.place(limit_order("buy", 1, "10.00", symbol=SYMBOL)))[0] == 200
        await same_book(client, feed)
        await whole_again(healed_platform, lost)
        (active,) = await healed_platform.resolve("engine:active")
        await healed_platform.kill(active.name)
        for _ in range(5):
            assert (await client.place(limit_order("buy", 1, "10.01", symbol=SYMBOL)))[0] == 200
        await same_book(client, feed)  # BookBuilder raises FeedGapError at any gap
        numbers = sequences(feed.messages)
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        epochs = [message["e"] for message in feed.of("o")]
        assert epochs == sorted(epochs)
        assert epochs[-1] > epochs[0]
        await _restarted_feed_says_the_same(healed_platform, client, feed.book)


async def _restarted_feed_says_the_same(stack: EmbeddedStack, client: Client, book: BookBuilder) -> None:
    """Its books come from the tables; who comes from the record it began with goes on, others get the whole book."""
    await stack.kill("feed:2")
    await stack.restart("feed:2")
    async with market_data(client, feed=1, orderbooks=[SYMBOL], resume_from={SYMBOL: book.sequence}) as feed:
        feed.book = book
        await client.place(limit_order("buy", 1, "10.02", symbol=SYMBOL))
        await same_book(client, feed)
        assert len(feed.of("o")) == 1
    async with market_data(client, feed=1, orderbooks=[SYMBOL], resume_from={SYMBOL: 1}) as feed:
        await same_book(client, feed)
        assert [(message["r"], message["w"]) for message in feed.of("o")] == [(True, "late")]


def _trades_and_books(frames: list[str | bytes]) -> list[bytes]:
    """Their messages as they came: how many a frame holds and when a heartbeat comes differ from feed to feed."""
    texts = (frame.encode() if isinstance(frame, str) else frame for frame in frames)
    messages = (message for text in texts for message in re.split(rb',(?={"T":)', text[1:-1]))
    return [message for message in messages if message.startswith((b'{"T":"o"', b'{"T":"t"'))]
