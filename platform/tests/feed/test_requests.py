"""What the streams answer: Alpaca's words, codes and formats, in kind."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
import websockets

from tests.client import Client, limit_order
from tests.feed.listener import MSGPACK, closed_with, connected, market_data, packed, trade_updates

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]

SYMBOL = "FED"
CHANNELS = ("trades", "quotes", "bars", "updatedBars", "dailyBars", "statuses", "orderbooks")


def login(client: Client, account: int = 0) -> dict[str, str]:
    who = client.status.accounts[account]
    return {"action": "auth", "key": who.key_id, "secret": who.secret_key}


@pytest.mark.parametrize(
    ("request_text", "code"),
    [
        ("{", 400),
        ("", 400),
        ("[]", 400),
        ('{"action": "dance"}', 400),
        ('{"action": ["auth"]}', 400),
        ('{"action": "auth", "key": 1, "secret": 2}', 402),
        ('{"action": "auth", "key": "nobody", "secret": "x"}', 402),
        (r'{"action": "auth", "key": "\u0000", "secret": "x"}', 402),
        (r'{"action": "auth", "key": "é", "secret": "é"}', 402),
        (r'{"action": "auth", "key": "\ud800", "secret": "x"}', 400),
        ('{"action": "authenticate", "data": 7}', 402),
        ("[" * 50_000, 400),
        ('{"action": "subscribe", "orderbooks": ["AAA"]}', 401),
        ('{"action": "unsubscribe"}', 401),
    ],
)
async def test_who_is_not_authenticated_is_told_what_was_wrong(client: Client, request_text: str, code: int) -> None:
    async with connected(client) as listener:
        await listener.read()
        await listener.socket.send(request_text)
        await listener.read()
        assert [message.get("code") for message in listener.messages] == [None, code]


@pytest.mark.parametrize(
    ("request_body", "code"),
    [
        ({"action": "subscribe", "trades": ["NOPE"]}, 400),
        ({"action": "subscribe", "trades": "FED"}, 400),
        ({"action": "subscribe", "trades": [7]}, 400),
        ({"action": "subscribe", "trades": [None]}, 400),
        ({"action": "subscribe", "gossip": ["FED"]}, 400),
        ({"action": "subscribe", "lulds": ["FED"]}, 409),
        ({"action": "subscribe", "orderbooks": ["FED"], "resume_from": 5}, 400),
        ({"action": "subscribe", "orderbooks": ["FED"], "resume_from": {"FED": -1}}, 400),
        ({"action": "subscribe", "orderbooks": ["FED"], "resume_from": {"FED": True}}, 400),
        ({"action": "subscribe", "orderbooks": ["FED"], "resume_from": {"AAA": 1}}, 400),
        ({"action": "listen", "data": {"streams": ["trade_updates"]}}, 400),
        ({"action": "auth", "key": "x", "secret": "y"}, 403),
    ],
)
async def test_a_refused_request_changes_nothing(client: Client, request_body: dict[str, Any], code: int) -> None:
    async with market_data(client, statuses=[SYMBOL]) as listener:
        assert (await listener.answer(**request_body))["code"] == code
        known = await listener.answer(action="subscribe")
        assert [known[channel] for channel in CHANNELS if known[channel]] == [[SYMBOL]]
        assert known["statuses"] == [SYMBOL]


async def test_subscriptions_add_up_and_are_taken_back_one_by_one(client: Client) -> None:
    async with market_data(client, trades=[SYMBOL, "AAA"]) as listener:
        known = await listener.answer(action="subscribe", trades=["BBB"], bars=["*"])
        assert (known["trades"], known["bars"]) == (["AAA", "BBB", SYMBOL], ["*"])
        known = await listener.answer(action="unsubscribe", trades=["AAA", SYMBOL])
        assert (known["trades"], known["bars"]) == (["BBB"], ["*"])


async def test_a_star_stands_for_every_symbol_and_tells_nothing_twice(client: Client) -> None:
    async with market_data(client, orderbooks=["*", SYMBOL], trades=["*", SYMBOL]) as listener:
        await listener.until(lambda: listener.book.sequence is not None)
        await client.place(limit_order("sell", 1, "70.00", symbol=SYMBOL), account=1)
        await client.place(limit_order("buy", 1, "70.00", symbol=SYMBOL))
        at = listener.book.sequence
        await listener.until(lambda: listener.book.sequence == at + 2)
        assert len(listener.of("t")) == 1
        assert {message["S"] for message in listener.of("o") if message.get("r")} >= {"AAA", "BBB", SYMBOL}


async def test_messagepack_carries_what_json_does_with_times_as_timestamps(client: Client) -> None:
    every = {channel: [SYMBOL] for channel in ("trades", "quotes", "orderbooks")}
    async with market_data(client, **every) as plain, connected(client, additional_headers=MSGPACK) as other:
        for request in (login(client), {"action": "subscribe", **every}):
            await other.socket.send(msgspec.msgpack.encode(request))
        said: list[Any] = []
        while not any(message["T"] == "o" for message in said):
            said += packed(await other.socket.recv())
        await plain.until(lambda: plain.of("o"))
        assert said[:2] == [{"T": "success", "msg": "connected"}, {"T": "success", "msg": "authenticated"}]
        await client.place(limit_order("buy", 1, "71.00", symbol=SYMBOL))
        at = plain.book.sequence
        await plain.until(lambda: plain.book.sequence == at + 1)
        while said[-1].get("q") != at + 1 or said[-1]["T"] != "o":
            said += packed(await other.socket.recv())
    for kind in {message["T"] for message in plain.messages} & {"o", "q", "t"}:
        ours, theirs = plain.of(kind)[-1], [message for message in said if message["T"] == kind][-1]
        assert {**theirs, "t": None} == {**ours, "t": None}
        assert abs(theirs["t"] - datetime.fromisoformat(ours["t"][:26] + "+00:00")) <= timedelta(microseconds=1)


async def test_the_trading_stream_answers_in_kind_and_greets_nobody(client: Client) -> None:
    async with connected(client, "/stream") as listener:
        await listener.say(binary=True, **login(client))
        await listener.say(binary=True, action="listen", data={"streams": ["trade_updates", "weather"]})
        await listener.until(lambda: len(listener.messages) == 2)
        assert all(isinstance(frame, bytes) for frame in listener.frames)
        assert listener.messages == [
            {"stream": "authorization", "data": {"status": "authorized", "action": "authenticate"}},
            {"stream": "listening", "data": {"streams": ["trade_updates"]}},
        ]
        await client.place(limit_order("buy", 1, "0.50", symbol=SYMBOL))
        await listener.until(listener.updates)
        assert isinstance(listener.frames[-1], bytes)
        await listener.say(action="listen", data={"streams": []})
        await listener.until(lambda: listener.messages[-1].get("data") == {"streams": []})
        assert isinstance(listener.frames[-1], str)


async def test_the_trading_stream_says_unauthorized_in_its_own_words(client: Client) -> None:
    async with connected(client, "/stream") as listener:
        await listener.say(action="listen", data={"streams": ["trade_updates"]})
        await listener.say(action="authenticate", data={"key_id": "nobody", "secret_key": "x"})
        await listener.until(lambda: len(listener.messages) == 2)
        assert [message["data"] for message in listener.messages] == [
            {"status": "unauthorized", "action": "listen"},
            {"status": "unauthorized", "action": "authenticate"},
        ]


async def test_who_guesses_three_times_has_to_come_again(client: Client) -> None:
    async with connected(client) as listener:
        for _ in range(3):
            await listener.say(action="auth", key=client.account.key_id, secret="guess")
        assert await closed_with(listener) == 1000
        assert [message["code"] for message in listener.of("error")] == [402] * 3


async def test_keys_may_come_as_headers(client: Client) -> None:
    async with connected(client, additional_headers=client.headers()) as listener:
        await listener.until(lambda: len(listener.messages) == 2)
        assert [message["msg"] for message in listener.messages] == ["connected", "authenticated"]


async def test_there_is_one_market_behind_every_feed_and_no_other_feed(client: Client) -> None:
    for feed in ("iex", "sip", "delayed_sip", "test"):
        async with connected(client, f"/v2/{feed}") as listener:
            await listener.read()
    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect(client.status.endpoints["feed"][0] + "/v2/otc")
    assert refused.value.response.status_code == 404


async def test_a_heartbeat_names_the_last_sequence_of_each_book(client: Client) -> None:
    async with market_data(client) as listener, trade_updates(client):
        await listener.until(lambda: listener.of("h"))
        assert listener.of("h")[-1]["q"] == {SYMBOL: listener.book.sequence}
