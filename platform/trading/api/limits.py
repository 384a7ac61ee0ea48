"""Refuses oversized bodies without keeping them in memory."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES: Final = 64 * 1024

# Read and thrown away before the refusal: closing on a client that still sends would reset its connection, and
# with it the answer.
_DISCARDED_BYTES: Final = 32 * 1024 * 1024
_DISCARD_S: Final = 5.0


class _TooLargeError(Exception):
    pass


class LimitBody:
    """ASGI middleware: 413 for a body over MAX_BODY_BYTES, whether its length is declared or not."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY_BYTES:
                raise _TooLargeError
            return message

        async def unless_too_large(message: Message) -> None:
            if received <= MAX_BODY_BYTES:  # else it is the application's trouble with a body that was cut
                await send(message)

        if _declared_length(scope) <= MAX_BODY_BYTES:
            with suppress(_TooLargeError):
                await self._app(scope, counted, unless_too_large)
            if received <= MAX_BODY_BYTES:
                return
        await _discard(receive)
        await _refuse(send)


def _declared_length(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0


async def _discard(receive: Receive) -> None:
    left = _DISCARDED_BYTES
    with suppress(TimeoutError):
        async with asyncio.timeout(_DISCARD_S):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                if not message.get("more_body", False):
                    return


async def _refuse(send: Send) -> None:
    body = json.dumps({"code": 41310000, "message": f"body over {MAX_BODY_BYTES} bytes"}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body})
