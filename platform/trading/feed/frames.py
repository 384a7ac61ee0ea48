"""WebSocket frames made by hand: many messages in one write, the same bytes for everybody, and no wait without end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from enum import IntEnum, StrEnum
from typing import Any, Final, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.http11 import Request
from websockets.protocol import State

CONNECTION: Final = "elson.connection"  # where a WebSocket's scope holds its connection, among the extensions

# A client that reads slower than we write has so much under way before it counts as lagging: what is conflated later
# than that would be old when it arrives.
_SEND_BUFFER_BYTES: Final = 128 * 1024  # the kernel's
_HIGH_WATER_BYTES: Final = 64 * 1024  # ours

_FIN: Final = 0x80


class Opcode(IntEnum):
    TEXT = 1
    BINARY = 2


class Format(StrEnum):
    JSON = "json"
    MSGPACK = "msgpack"


def frame(opcode: Opcode, payload: bytes) -> bytes:
    """A whole message in one frame; a server does not mask (RFC 6455 section 5.2)."""
    length = len(payload)
    if length < 126:
        return bytes((_FIN | opcode, length)) + payload
    if length < 65_536:
        return bytes((_FIN | opcode, 126)) + length.to_bytes(2, "big") + payload
    return bytes((_FIN | opcode, 127)) + length.to_bytes(8, "big") + payload


def array(form: Format, messages: Sequence[bytes]) -> bytes:
    """Encoded messages as one array."""
    if form is Format.JSON:
        return b"[%b]" % b",".join(messages)
    count = len(messages)
    head = bytes((0x90 | count,)) if count < 16 else b"\xdc" + count.to_bytes(2, "big")
    return head + b"".join(messages)


class Connection(WebSocketsSansIOProtocol):
    """uvicorn's connection, which also takes finished frames and says when its client has read enough for more."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.on_writable: Callable[[], None] = _nothing
        self.paused_at_s: float | None = None  # by the loop's clock: since when the client does not keep up

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.set_write_buffer_limits(high=_HIGH_WATER_BYTES)
        connected = transport.get_extra_info("socket")
        if connected is not None:
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if not self.close_sent:  # the application starts with the loop's next turn, and finds this
            cast(dict[str, Any], self.scope["extensions"])[CONNECTION] = self

    def pause_writing(self) -> None:
        super().pause_writing()
        self.paused_at_s = self.loop.time()

    def resume_writing(self) -> None:
        super().resume_writing()
        self.paused_at_s = None
        self.on_writable()

    def write(self, frames: bytes) -> None:
        """Sends whole frames; nothing once the connection is closing."""
        if not (self.close_sent or self.disconnected or self.transport.is_closing()):
            self.transport.write(frames)

    def end(self, code: int, reason: str, *, within_s: float = 1.0) -> None:
        """Says good-bye after what is under way, and cuts the connection if the client does not answer in time."""
        if self.close_sent or self.disconnected or self.conn.state is not State.OPEN:
            self.transport.abort()
            return
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.stop_keepalive()
        if self.read_paused:  # the client's good-bye is still to be read
            self.read_paused = False
            self.transport.resume_reading()
        self.close_timer = self.loop.call_later(within_s, self.transport.abort)
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})

    def handle_close(self, event: Frame) -> None:
        super().handle_close(event)
        if not self.disconnected and self.close_timer is None:
            # The transport would wait for ever for a client that said good-bye but reads nothing.
            self.close_timer = self.loop.call_later(1.0, self.transport.abort)


def _nothing() -> None:
    return None
