"""Refuses bodies that no request of ours has: too large, nested too deep, not JSON. Nothing of them is kept."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from typing import Final

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES: Final = 64 * 1024
MAX_DEPTH: Final = 16

# Read and thrown away before the refusal: closing on a client that still sends would reset its connection, and
# with it the answer.
_DISCARDED_BYTES: Final = 32 * 1024 * 1024
_DISCARD_S: Final = 5.0

_TYPE: Final = re.compile(rb"application/(?:[\w.+-]+\+)?json\s*(?:;.*)?", re.IGNORECASE).fullmatch
_STRINGS: Final = re.compile(rb'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_BRACKETS: Final = re.compile(rb"[][{}]")
_OPENING: Final = (b"[", b"{")


class LimitBody:
    """ASGI middleware: 413, 415 or 422 for a body that is refused unread by the routes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _has_body(scope):
            await self._app(scope, receive, send)
            return
        message = await _whole(scope, receive)
        if message is None:
            await _discard(receive)
            await _refuse(send, 413, 41310000, f"body over {MAX_BODY_BYTES} bytes", close=True)
        elif message["type"] != "http.request":
            return  # the client left
        elif message["body"] and not _is_json(scope):
            await _refuse(send, 415, 41510000, "expected content-type application/json")
        elif too_deep(message["body"]):
            await _refuse(send, 422, 42210000, f"body: nested deeper than {MAX_DEPTH}")
        else:
            await self._app(scope, _after(message, receive), send)


def too_deep(body: bytes) -> bool:
    """Whether brackets outside of strings are nested deeper than MAX_DEPTH."""
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return False
    depth = 0
    for bracket in _BRACKETS.findall(_STRINGS.sub(b"", body)):
        depth += 1 if bracket in _OPENING else -1
        if depth > MAX_DEPTH:
            return True
    return False


def _has_body(scope: Scope) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
        for name, value in scope["headers"]
    )


def _is_json(scope: Scope) -> bool:
    types = [value for name, value in scope["headers"] if name == b"content-type"]
    return len(types) == 1 and _TYPE(types[0]) is not None


async def _whole(scope: Scope, receive: Receive) -> Message | None:
    """The body as one message, what came instead of it, or None when it is too large, whatever length is declared."""
    if _declared_length(scope) > MAX_BODY_BYTES:
        return None
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return message
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > MAX_BODY_BYTES:
            return None
    return {"type": "http.request", "body": body, "more_body": False}


def _declared_length(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0


def _after(first: Message, receive: Receive) -> Receive:
    messages = [first]

    async def receive_again() -> Message:
        return messages.pop() if messages else await receive()

    return receive_again


async def _discard(receive: Receive) -> None:
    left = _DISCARDED_BYTES
    with suppress(TimeoutError):
        async with asyncio.timeout(_DISCARD_S):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                if not message.get("more_body", False):
                    return


async def _refuse(send: Send, status: int, code: int, text: str, *, close: bool = False) -> None:
    body = msgspec.json.encode({"code": code, "message": text})
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if close:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
