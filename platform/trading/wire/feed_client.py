"""The reference client of both streams: follows one feed at a time, heals every gap, and repeats nothing.

    client = MarketDataClient(feeds, Keys(key_id, secret), {"orderbooks": ["AAPL"], "trades": ["*"]})
    client.on_message = lambda message, raw, is_new: ...
    await client.run()  # never returns; client.state.books["AAPL"] is the book, level by level

How it stays right, which is what any client has to do:

1. Every ``o`` message must carry the number after the last one, and its checksum must be that of the book built; a
   heartbeat must not be ahead of the book. What carries an older number or epoch is left out.
2. When any of that fails, when the connection ends or nothing comes for ``silence_limit_s``, not even a heartbeat, it
   connects to the next feed and subscribes with ``resume_from``: what it missed comes first, or else a whole book.
3. After a wrong checksum it forgets the book, and so asks for a whole one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any, Final

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from trading.wire.feed import FeedChecksumError, FeedGapError, FeedState

Raw = str  # a message's own JSON as it was received
OnMessage = Callable[[dict[str, Any], Raw, bool], None]  # the message, its JSON, whether it is news
OnBreak = Callable[[str, str, Exception], None]  # gap, checksum or disconnect; the feed; why

_CLOSE_WITHIN_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Keys:
    key_id: str
    secret_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class FeedOptions:
    silence_limit_s: float = 5.0
    reconnect_pause_s: float = 0.2


class MarketDataClient:
    """Market data of ``channels`` (symbols by channel) from the first of ``feeds``, base URLs, that has it."""

    def __init__(
        self,
        feeds: Sequence[str],
        keys: Keys,
        channels: Mapping[str, Sequence[str]],
        options: FeedOptions | None = None,
    ) -> None:
        self.state = FeedState()
        self.on_message: OnMessage = _ignore
        self.on_break: OnBreak = _ignore
        self._feeds = feeds
        self._keys = keys
        self._channels = channels
        self._options = options or FeedOptions()

    async def run(self) -> None:
        """Follows for ever."""
        await _follow_for_ever(self._feeds, self._follow, lambda *why: self.on_break(*why), self._options)

    async def _follow(self, feed: str) -> None:
        limit_s = self._options.silence_limit_s
        async with _connect(f"{feed.rstrip('/')}/v2/iex", limit_s) as connection:
            await _say(connection, action="auth", key=self._keys.key_id, secret=self._keys.secret_key)
            await _say(connection, **self._subscription())
            while True:
                async with asyncio.timeout(limit_s):
                    frame = await connection.recv()
                for message, raw in messages_of(frame):
                    self._take(message, raw)

    def _subscription(self) -> dict[str, Any]:
        request: dict[str, Any] = {"action": "subscribe", **self._channels}
        resume_from = self.state.resume_from()
        return {**request, "resume_from": resume_from} if resume_from else request

    def _take(self, message: dict[str, Any], raw: Raw) -> None:
        try:
            is_new = self.state.take(message)
        except (FeedGapError, FeedChecksumError):
            self.on_message(message, raw, False)
            raise
        self.on_message(message, raw, is_new)
        if message.get("T") == "error":
            raise ConnectionError(f"{message.get('code')}: {message.get('msg')}")


class OrderUpdatesClient:
    """One account's order updates. They are not repeated: after a break the orders are to be asked for."""

    def __init__(self, feeds: Sequence[str], keys: Keys, options: FeedOptions | None = None) -> None:
        self.on_message: OnMessage = _ignore
        self.on_break: OnBreak = _ignore
        self._feeds = feeds
        self._keys = keys
        self._options = options or FeedOptions()

    async def run(self) -> None:
        """Follows for ever."""
        await _follow_for_ever(self._feeds, self._follow, lambda *why: self.on_break(*why), self._options)

    async def _follow(self, feed: str) -> None:
        # This stream may be silent for long; that the connection is alive is what pings are for.
        async with _connect(f"{feed.rstrip('/')}/stream", self._options.silence_limit_s) as connection:
            await _say(
                connection,
                action="authenticate",
                data={"key_id": self._keys.key_id, "secret_key": self._keys.secret_key},
            )
            await _say(connection, action="listen", data={"streams": ["trade_updates"]})
            while True:  # iterating would end without a word when the feed closes in good order
                for message, raw in messages_of(await connection.recv()):
                    self._take(message, raw)

    def _take(self, message: dict[str, Any], raw: Raw) -> None:
        self.on_message(message, raw, True)
        data = message.get("data", {})
        if message.get("stream") == "error" or data.get("status") == "unauthorized":
            raise ConnectionError(f"{data.get('code', 401)}: {data.get('msg', 'unauthorized')}")


def messages_of(frame: str | bytes) -> Iterator[tuple[dict[str, Any], Raw]]:
    """The messages of a frame, each with its own JSON. Raises msgspec.DecodeError."""
    text = frame.encode() if isinstance(frame, str) else frame
    raws = _decode_raws(text) if text.lstrip().startswith(b"[") else [msgspec.Raw(text)]
    for raw in raws:
        yield _decode_message(raw), bytes(raw).decode()


_decode_raws = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_message = msgspec.json.Decoder(dict[str, Any]).decode


async def _follow_for_ever(
    feeds: Sequence[str], follow: Callable[[str], Awaitable[None]], broken: OnBreak, options: FeedOptions
) -> None:
    for feed in cycle(feeds):
        try:
            await follow(feed)
        except FeedGapError as error:
            broken("gap", feed, error)
        except FeedChecksumError as error:
            broken("checksum", feed, error)
        except (OSError, WebSocketException, msgspec.DecodeError) as error:  # TimeoutError among them
            broken("disconnect", feed, error)
        await asyncio.sleep(options.reconnect_pause_s)


def _connect(url: str, open_within_s: float) -> connect:
    return connect(url, max_size=None, open_timeout=open_within_s, close_timeout=_CLOSE_WITHIN_S, compression=None)


async def _say(connection: ClientConnection, **request: Any) -> None:
    await connection.send(msgspec.json.encode(request).decode())


def _ignore(*_: object) -> None:
    return None
