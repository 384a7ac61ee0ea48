"""HTTP as uvicorn speaks it, with the bounds it lacks: of a request's head, of the time it may take to come in."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final, Protocol

import msgspec
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

MAX_HEAD_BYTES: Final = 32 * 1024
_LINGER_S: Final = 1.0
_LAST_CHANCE_S: Final = 0.2
_HEAD_TOO_LARGE: Final = "the request's head is too large"


class TurnAway(Protocol):
    """Gives the whole answer to a request that is not to be let in, None for one that is."""

    def __call__(self, method: bytes, target: bytes, headers: list[tuple[bytes, bytes]]) -> bytes | None: ...

    def at_a_glance(self, data: bytes) -> bytes | None:
        """The same for what came in one piece; None also when these bytes are not one whole, ordinary request."""


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """``request_s``: from a request's first byte to its last. ``turn_away`` answers before there is a task for it."""

    request_s: float
    connections: int
    head_bytes: int = MAX_HEAD_BYTES
    turn_away: TurnAway | None = None


class BoundedHttp(HttpToolsProtocol):
    """Ends a connection that sends half a request and waits, or a head without end; the answers have our shape."""

    limits: HttpLimits  # set by a subclass: uvicorn makes the instances

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._unfinished: asyncio.TimerHandle | None = None
        self._incoming = False  # bytes have come that are not a whole request yet
        self._refused = False
        self._turned_away = False  # the request that is coming in has its answer
        self._in_head = True
        self._head_bytes = self._begun = 0
        self._turned_away_at_s = 0.0  # on the loop's clock, for a request that was not parsed

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]  # as uvicorn narrows it
        if len(self.connections) > self.limits.connections:
            self._refuse(503, 50310000, "not executed: too many connections")
        else:  # uvicorn does this only after an answer, and would wait for a first request for ever
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused or self.transport.is_closing() or self._turned_away_at_a_glance(data):
            return
        self._incoming = True
        begun = self._begun
        super().data_received(data)
        if self._in_head and self._begun == begun:
            self._head_bytes += len(data)
            if self._head_bytes > self.limits.head_bytes:
                self._refuse(431, 43110000, _HEAD_TOO_LARGE)
        if not self._incoming:
            self._stop_timer()
        elif self._unfinished is None:
            self._start_timer()

    def on_message_begin(self) -> None:
        self._incoming, self._in_head, self._head_bytes = True, True, 0
        self._begun += 1
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_bytes = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if self._head_bytes > self.limits.head_bytes:
            raise ValueError(_HEAD_TOO_LARGE)  # uvicorn takes it for a request it cannot read, and calls below
        answer = self._answer_at_the_door()
        if answer is None:
            super().on_headers_complete()
        else:
            self._turned_away = True
            self.transport.write(answer)

    def on_body(self, body: bytes) -> None:
        if not self._turned_away:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._incoming = False
        if not self._turned_away:
            super().on_message_complete()
            return
        self._turned_away = False
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def timeout_keep_alive_handler(self) -> None:
        """What is turned away at a glance does not set the timer anew each time: here it is seen that it was early."""
        left_s = self._turned_away_at_s + self.timeout_keep_alive - self.loop.time()
        if left_s > 0:
            self.timeout_keep_alive_task = self.loop.call_later(left_s, self.timeout_keep_alive_handler)
        else:
            super().timeout_keep_alive_handler()

    def shutdown(self) -> None:
        """A client that has just connected is about to ask: it is not turned away without having been heard."""
        if not self._begun and not self._refused:
            self.loop.call_later(_LAST_CHANCE_S, super().shutdown)
        else:
            super().shutdown()

    def handle_websocket_upgrade(self) -> None:
        self._incoming = False
        super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        if self._head_bytes > self.limits.head_bytes:
            self._refuse(431, 43110000, _HEAD_TOO_LARGE)
        else:
            self._refuse(400, 40010000, msg)

    def _turned_away_at_a_glance(self, data: bytes) -> bool:
        cycle, turn_away = self.cycle, self.limits.turn_away
        if turn_away is None or self._incoming or self.flow.write_paused:
            return False
        if cycle is not None and not cycle.response_complete:
            return False
        answer = turn_away.at_a_glance(data)
        if answer is None:
            return False
        self._begun += 1
        self._turned_away_at_s = self.loop.time()
        self.transport.write(answer)
        return True

    def _answer_at_the_door(self) -> bytes | None:
        """None when the application must see the request, or something about it is out of the ordinary."""
        parser, cycle = self.parser, self.cycle
        if self.limits.turn_away is None or not parser.should_keep_alive() or parser.get_http_version() != "1.1":
            return None
        if parser.should_upgrade() or self.expect_100_continue or self.flow.write_paused:
            return None
        if cycle is not None and not cycle.response_complete:
            return None  # answers keep the order of their requests
        return self.limits.turn_away(parser.get_method(), self.url, self.headers)

    def _start_timer(self) -> None:
        self._unfinished = self.loop.call_later(self.limits.request_s, self._too_slow)

    def _stop_timer(self) -> None:
        if self._unfinished is not None:
            self._unfinished.cancel()
            self._unfinished = None

    def _too_slow(self) -> None:
        self._refuse(408, 40810000, f"the request was not complete after {self.limits.request_s:g} s")

    def _refuse(self, status: int, code: int, message: str) -> None:
        """Answers without the application, unless its answer has begun, and closes.

        What the client still sends is read and thrown away for a while: closing on it would reset the connection, and
        with it the answer.
        """
        self._stop_timer()
        if self._refused or self.transport.is_closing():
            return
        self._refused = True
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            body = msgspec.json.encode({"code": code, "message": message})
            head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
            self.transport.write(STATUS_LINE[status] + head + body)
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self.loop.call_later(_LINGER_S, self.transport.close)
        else:
            self.transport.close()


def bounded_http(limits: HttpLimits) -> type[BoundedHttp]:
    return type("HttpProtocol", (BoundedHttp,), {"limits": limits})
