"""Frames nobody would send, to both of a feed's streams, as somebody who has a key and as somebody who has none.

Three things must hold whatever comes: every message is answered once, with a refusal or what was asked, never with an
internal error; a connection that ends says good-bye with a code that blames the client; and others feel nothing.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import random
import struct
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

MESSAGES_PER_CONNECTION: Final = 25
_AT_ONCE: Final = 8
_DEADLINE_S: Final = 10.0
_MOST_SHOWN: Final = 20
_TEXT, _BINARY, _CLOSE, _PING, _PONG = 1, 2, 8, 9, 10
# Good-byes of RFC 6455 that say the client did wrong, or that all is well. Not among them: 1011, internal error.
_FAIR_CODES: Final = frozenset({1000, 1002, 1003, 1007, 1008, 1009})
_MARKET_DATA: Final = frozenset("otqsbudh")
_ACTIONS: Final = ("auth", "authenticate", "subscribe", "unsubscribe", "listen", "", "dance", None, 7)
_CHANNELS: Final = ("trades", "quotes", "bars", "updatedBars", "dailyBars", "statuses", "orderbooks", "lulds", "news")


@dataclass
class FrameFindings:
    messages: int = 0
    violations: int = 0  # frames that are no WebSocket's
    answers: Counter[str] = field(default_factory=Counter)
    closed: Counter[int] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def complain(self, problem: str) -> None:
        if len(self.problems) < _MOST_SHOWN:
            self.problems.append(problem)


@dataclass(frozen=True)
class Target:
    """``feed`` is a base URL; ``key`` and ``secret`` are valid there, ``symbol`` is listed."""

    feed: str
    key: str
    secret: str = field(repr=False)
    symbol: str = "AAA"


async def fuzz_frames(target: Target, *, count: int, seed: int) -> FrameFindings:
    """Sends ``count`` messages over as many connections as it takes, each ended by a frame that may be none at all."""
    findings = FrameFindings()
    numbers = iter(range(-(-count // MESSAGES_PER_CONNECTION)))

    async def one_by_one() -> None:
        for number in numbers:
            await _Fuzzed(target, random.Random(f"{seed}/{number}"), findings).run()

    await asyncio.gather(*(one_by_one() for _ in range(_AT_ONCE)))
    return findings


class _Fuzzed:
    """One connection."""

    def __init__(self, target: Target, draw: random.Random, findings: FrameFindings) -> None:
        self._target = target
        self._draw = draw
        self._findings = findings
        self._path = draw.choice(("/stream", "/v2/iex", "/v2/sip"))
        self._packed = draw.random() < 0.4
        self._known = draw.random() < 0.7  # whether it begins by proving who it is
        self._sent: list[bytes] = []

    async def run(self) -> None:
        try:
            async with asyncio.timeout(_DEADLINE_S):
                await self._talk()
        except (OSError, asyncio.IncompleteReadError) as error:  # TimeoutError among them
            what = f"{type(error).__name__} after {self._sent[-3:]!r:.400}"
            self._findings.complain(f"{self._path}, packed {self._packed}, known {self._known}: {what}")

    async def _talk(self) -> None:
        reader, writer = await _handshake(self._target.feed, self._path, packed=self._packed)
        try:
            awaited = 0 if self._path == "/stream" else 1  # its greeting
            if self._known:
                self._send(writer, self._login())
                awaited += 1
            for _ in range(MESSAGES_PER_CONNECTION):
                self._send(writer, self._message())
            self._findings.messages += MESSAGES_PER_CONNECTION
            if await self._hear(reader, awaited + MESSAGES_PER_CONNECTION):
                self._findings.violations += 1
                writer.write(_last_frame(self._draw))
                if not await self._closed(reader):
                    writer.write(_frame(_CLOSE, struct.pack("!H", 1000)))
                    await self._closed(reader, surely=True)
        finally:
            writer.close()

    def _send(self, writer: asyncio.StreamWriter, payload: bytes) -> None:
        """As text where that is possible, else binary."""
        self._sent.append(payload)
        text = not self._packed and _is_text(payload) and self._draw.random() < 0.8
        writer.write(_message_frames(self._draw, _TEXT if text else _BINARY, payload))

    # -- what is said ------------------------------------------------------------------------------

    def _login(self) -> bytes:
        return self._encode({"action": "auth", "key": self._target.key, "secret": self._target.secret})

    def _message(self) -> bytes:
        draw = self._draw
        kind = draw.random()
        if kind < 0.15:
            return draw.randbytes(draw.randrange(200))
        if kind < 0.2:
            return draw.choice((b"[", b'{"a":', b"\x81", b"\xdc")) * draw.randrange(1, 5_000)
        if kind < 0.4:
            return self._encode(self._sensible())
        payload = self._encode(self._request())
        if kind < 0.6 and payload:
            cut = draw.randrange(len(payload))
            return payload[:cut] + draw.randbytes(draw.randrange(4)) + payload[cut + draw.randrange(3) :]
        return payload

    def _sensible(self) -> dict[str, Any]:
        """What the stream takes, so that nonsense comes in every state of a connection."""
        if self._path == "/stream":
            return {"action": "listen", "data": {"streams": self._draw.choice((["trade_updates"], []))}}
        symbols = self._draw.choice(([self._target.symbol], ["*"]))
        return {"action": self._draw.choice(("subscribe", "unsubscribe")), self._draw.choice(_CHANNELS[:7]): symbols}

    def _request(self) -> Any:
        draw = self._draw
        request: dict[Any, Any] = {"action": draw.choice(_ACTIONS)}
        for _ in range(draw.randrange(4)):
            request[draw.choice((*_CHANNELS, "x" * 40))] = self._symbols()
        if draw.random() < 0.3:
            request["data"] = draw.choice(({"streams": self._symbols()}, {"key_id": self._any()}, self._any()))
        if draw.random() < 0.3:
            number = draw.choice((0, 1, -1, 2**62, 2**70 if not self._packed else 2**63, 1.5, True, None, "1"))
            request["resume_from"] = draw.choice(({self._target.symbol: number}, {"": number}, [number], number))
        return draw.choice((request, request, request, [request], self._any()))

    def _symbols(self) -> Any:
        symbol = self._target.symbol
        return self._draw.choice(
            ([symbol], ["*"], [symbol] * 50, [], ["trade_updates"], [None], ["\0"], [[symbol]], symbol, 5, self._any())
        )

    def _any(self) -> Any:
        draw = self._draw
        deep: Any = draw.choice((0, None, "é\U0001f600", -1, 1e308, {}, []))
        for _ in range(draw.randrange(40)):
            deep = [deep] if draw.random() < 0.5 else {"a": deep}
        return deep

    def _encode(self, request: Any) -> bytes:
        return msgspec.msgpack.encode(request) if self._packed else json.dumps(request).encode()

    # -- what is heard -----------------------------------------------------------------------------

    async def _hear(self, reader: asyncio.StreamReader, answers: int) -> bool:
        """Whether all were answered; False when the feed said good-bye before, as after wrong keys."""
        while answers > 0:
            opcode, payload = await _read_frame(reader)
            if opcode == _CLOSE:
                self._note_close(payload)
                return False
            if opcode not in (_PING, _PONG):
                answers -= sum(self._note(message) for message in self._messages(payload))
        return True

    async def _closed(self, reader: asyncio.StreamReader, *, surely: bool = False) -> bool:
        """Whether the feed ends the connection; it need not after frames that are odd but right."""
        try:
            async with asyncio.timeout(_DEADLINE_S if surely else 0.05):
                while True:
                    opcode, payload = await _read_frame(reader)
                    if opcode == _CLOSE:
                        self._note_close(payload)
                        return True
        except TimeoutError:
            if surely:
                raise
            return False

    def _messages(self, payload: bytes) -> list[dict[str, Any]]:
        decode: Callable[[bytes], Any] = msgspec.msgpack.decode if self._packed else msgspec.json.decode
        said = decode(payload)
        return said if isinstance(said, list) else [said]

    def _note(self, message: Mapping[str, Any]) -> bool:
        """Whether it is an answer."""
        kind = message.get("T") or message.get("stream")
        if kind in _MARKET_DATA or kind == "trade_updates":
            return False
        said = message if kind == "error" and "code" in message else message.get("data", {})
        code = said.get("code") if isinstance(said, dict) else None
        self._findings.answers[f"{kind} {code or ''}".strip()] += 1
        if code is not None and not 400 <= code < 500:
            self._findings.complain(f"{message} to one of {self._sent!r:.600}")
        return True

    def _note_close(self, payload: bytes) -> None:
        code = struct.unpack("!H", payload[:2])[0] if len(payload) >= 2 else 1000
        self._findings.closed[code] += 1
        if code not in _FAIR_CODES:
            self._findings.complain(f"closed with {code} {payload[2:]!r} after {self._sent[-3:]!r:.400}")


# -- frames ----------------------------------------------------------------------------------------


async def _handshake(feed: str, path: str, *, packed: bool) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    server = urlsplit(feed)
    reader, writer = await asyncio.open_connection(server.hostname, server.port)
    key = base64.b64encode(os.urandom(16)).decode()
    content = "Content-Type: application/msgpack\r\n" if packed else ""
    writer.write(
        f"GET {path} HTTP/1.1\r\nHost: {server.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{content}"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    head = await reader.readuntil(b"\r\n\r\n")
    if b" 101 " not in head.split(b"\r\n")[0]:
        raise ConnectionError(head.decode(errors="replace"))
    return reader, writer


async def _read_frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    first, length = await reader.readexactly(2)
    if length == 126:
        length = int.from_bytes(await reader.readexactly(2), "big")
    elif length == 127:
        length = int.from_bytes(await reader.readexactly(8), "big")
    return first & 0x0F, await reader.readexactly(length)


def _frame(opcode: int, payload: bytes, *, final: bool = True, flags: int = 0) -> bytes:
    length = len(payload)
    first = (0x80 if final else 0) | flags | opcode
    if length < 126:
        head = bytes((first, 0x80 | length))
    elif length < 65_536:
        head = bytes((first, 0xFE)) + length.to_bytes(2, "big")
    else:
        head = bytes((first, 0xFF)) + length.to_bytes(8, "big")
    mask = os.urandom(4)
    return head + mask + bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))


def _message_frames(draw: random.Random, opcode: int, payload: bytes) -> bytes:
    """Whole, or in two pieces with a ping between them."""
    if draw.random() < 0.8:
        return _frame(opcode, payload)
    cut = draw.randrange(len(payload) + 1)
    return _frame(opcode, payload[:cut], final=False) + _frame(_PING, b"?") + _frame(0, payload[cut:])


def _last_frame(draw: random.Random) -> bytes:
    """One after which little can be said."""
    return draw.choice(
        (
            b"\x81\x05hello",  # not masked
            _frame(_TEXT, b"\xff\xfe"),  # no UTF-8
            _frame(_TEXT, b"x", flags=0x40),  # an extension nobody agreed on
            _frame(3, b""),  # an opcode there is not
            _frame(_PING, b"x" * 126),  # control frames are short
            _frame(_PING, b"", final=False),  # and whole
            _frame(0, b"continued"),  # what?
            _frame(_CLOSE, b"\x03"),  # half a code
            _frame(_CLOSE, struct.pack("!H", 1005)),  # a code never sent
            _frame(_BINARY, b"x" * 70_000),  # longer than allowed
            b"\x82\xff" + b"\xff" * 12,  # far longer
            _frame(_PONG, b"unasked"),
            _frame(_CLOSE, struct.pack("!H", 1000) + b"bye"),
        )
    )


def _is_text(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True
