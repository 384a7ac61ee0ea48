"""Kept-alive HTTP/1.1 connections: a request costs the market one write, and its answer one callback.

A general client spends several times as long on each, and the platform needs the same cores. One request at a time is
on a connection; nothing is ever sent twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Final, cast
from urllib.parse import urlsplit

import httptools

_IDLE_S: Final = 2.0  # dropped before the api drops it: a request sent into a closing one has no known outcome
_CLOSED: Final = "the connection was closed before an answer came"


@dataclass(frozen=True, slots=True)
class Reply:
    """``status`` None: there was no answer, and ``text`` says why; ``sent`` tells whether the request had gone out."""

    status: int | None
    text: str
    sent: bool = True


OnReply = Callable[[Reply], None]


class _Connection(asyncio.Protocol):
    def __init__(self, gone_idle: Callable[[_Connection], None]) -> None:
        self._gone_idle = gone_idle
        self._transport: asyncio.Transport | None = None
        self._on_reply: OnReply | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self.idle_since = 0.0

    def ask(self, request: bytes, deadline_s: float, on_reply: OnReply) -> None:
        assert self._transport is not None
        self._on_reply, self._body = on_reply, b""
        self._parser = httptools.HttpResponseParser(self)
        self._deadline = asyncio.get_running_loop().call_later(
            deadline_s, self.give_up, f"no answer within {deadline_s:g} s"
        )
        self._transport.write(request)

    def give_up(self, why: str) -> None:
        """Closes it; whoever waits for an answer gets none."""
        if self._transport is not None:
            self._transport.abort()
        self._reply(Reply(None, why))

    @property
    def usable(self) -> bool:
        assert self._transport is not None
        return not self._transport.is_closing() and monotonic() - self.idle_since < _IDLE_S

    def _reply(self, reply: Reply) -> None:
        on_reply, self._on_reply = self._on_reply, None
        if self._deadline is not None:
            self._deadline.cancel()
        if on_reply is not None:
            on_reply(reply)

    # -- what asyncio calls ------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class does not inherit from it

    def data_received(self, data: bytes) -> None:
        if self._on_reply is None:  # nobody asked
            self.give_up(_CLOSED)
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self.give_up(f"no answer in HTTP: {error}")

    def connection_lost(self, error: Exception | None) -> None:
        self._reply(Reply(None, str(error or "") or _CLOSED))

    # -- what the parser calls ---------------------------------------------------------------------

    def on_body(self, part: bytes) -> None:
        self._body += part

    def on_message_complete(self) -> None:
        assert self._transport is not None
        status = self._parser.get_status_code()
        if status < 200:  # only on the way to the answer
            return
        if self._parser.should_keep_alive():
            self.idle_since = monotonic()
            self._gone_idle(self)
        else:
            self._transport.close()
        self._reply(Reply(status, self._body.decode(errors="replace")))


class Connections:
    """As many as there are requests under way; the one that was used last is used next, so the others can go."""

    def __init__(self) -> None:
        self._idle: dict[str, list[_Connection]] = {}
        self._busy: set[_Connection] = set()
        self._connecting: set[asyncio.Task[None]] = set()
        self._closed = ""

    def ask(self, endpoint: str, request: bytes, deadline_s: float, on_reply: OnReply) -> None:
        """``endpoint``: ``http://host:port``; ``request``: every byte of it. ``on_reply`` is called exactly once, and
        never from within."""
        idle = self._idle.setdefault(endpoint, [])
        while idle:
            connection = idle.pop()
            if connection.usable:
                self._start(connection, request, deadline_s, on_reply)
                return
            connection.give_up(_CLOSED)
        task = asyncio.create_task(self._connect(endpoint, request, deadline_s, on_reply))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def close(self, why: str) -> None:
        """Whoever waits is told ``why`` there will be no answer."""
        self._closed = why
        for task in list(self._connecting):
            task.cancel()
        await asyncio.gather(*self._connecting, return_exceptions=True)
        for connection in list(self._busy):
            connection.give_up(why)
        for idle in self._idle.values():
            for connection in idle:
                connection.give_up(why)
        await asyncio.sleep(0)  # the transports close in the loop's next turn

    async def _connect(self, endpoint: str, request: bytes, deadline_s: float, on_reply: OnReply) -> None:
        server, loop, began = urlsplit(endpoint), asyncio.get_running_loop(), monotonic()
        idle = self._idle[endpoint]
        try:
            async with asyncio.timeout(deadline_s):
                _, connection = await loop.create_connection(
                    lambda: _Connection(idle.append), server.hostname or "", server.port or 80
                )
        except (OSError, TimeoutError) as error:
            on_reply(Reply(None, str(error) or f"no connection within {deadline_s:g} s", sent=False))
        except asyncio.CancelledError:
            on_reply(Reply(None, self._closed, sent=False))
        else:
            self._start(connection, request, max(0.0, deadline_s - (monotonic() - began)), on_reply)

    def _start(self, connection: _Connection, request: bytes, deadline_s: float, on_reply: OnReply) -> None:
        self._busy.add(connection)

        def done(reply: Reply) -> None:
            self._busy.discard(connection)
            on_reply(reply)

        connection.ask(request, deadline_s, done)
