"""The WebSocket endpoint: authenticate, subscribe, listen. Conventions of Alpaca's streams."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Any, Final

import msgspec
from fastapi import FastAPI, Response, WebSocket, WebSocketDisconnect

from trading.feed.hub import Hub
from trading.feed.market_view import MarketView, encode
from trading.feed.session import Session
from trading.infra.database import DatabaseError
from trading.infra.keys import KeyRing
from trading.infra.telemetry import metrics_response

_AUTHENTICATE_WITHIN_S: Final = 10.0
_SUBSCRIBABLE: Final = ("orderbooks", "trades", "statuses")


class _RequestError(Exception):
    """A message the client should not have sent: answered with Alpaca's error code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def create_app(hub: Hub, keys: KeyRing) -> FastAPI:
    app = FastAPI(title="Elson feed", openapi_url=None)

    @app.websocket("/stream")
    async def stream(socket: WebSocket) -> None:
        await socket.accept()
        session = Session(socket)
        writer = asyncio.create_task(session.write())
        session.reply(T="success", msg="connected")
        hub.sessions.add(session)
        reader = asyncio.create_task(_serve(socket, session, hub, keys))
        try:
            await asyncio.wait({reader, writer}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            hub.sessions.discard(session)
            session.end()
            await asyncio.wait({writer}, timeout=1)
            reader.cancel()
            writer.cancel()
            for outcome in await asyncio.gather(reader, writer, return_exceptions=True):
                if isinstance(outcome, Exception):
                    raise outcome

    @app.get("/health/live")
    async def live() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/health/ready")
    async def ready(response: Response) -> dict[str, Any]:
        response.status_code = 200 if hub.follows else 503
        sequence = hub.view.sequence if hub.view else None
        return {"status": "ok" if hub.follows else "cut off from the journal", "sequence": sequence}

    @app.get("/metrics")
    async def metrics() -> Response:
        return metrics_response(hub.registry)

    return app


async def _serve(socket: WebSocket, session: Session, hub: Hub, keys: KeyRing) -> None:
    """Answers requests until the client leaves."""
    with suppress(WebSocketDisconnect):
        await _serve_all(socket, session, hub, keys)


async def _serve_all(socket: WebSocket, session: Session, hub: Hub, keys: KeyRing) -> None:
    try:
        async with asyncio.timeout(_AUTHENTICATE_WITHIN_S):
            while session.account_id is None:
                await _answer(await socket.receive(), session, hub, keys)
    except TimeoutError:
        session.reply(T="error", code=404, msg="auth timeout")
        return
    while True:
        await _answer(await socket.receive(), session, hub, keys)


async def _answer(received: Any, session: Session, hub: Hub, keys: KeyRing) -> None:
    if received["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(received.get("code", 1005))
    try:
        request = _parse(received)
        match request.get("action"):
            case "auth":
                await _authenticate(session, keys, request.get("key"), request.get("secret"))
                session.reply(T="success", msg="authenticated")
            case "authenticate":
                data = request.get("data")
                data = data if isinstance(data, dict) else {}
                await _authenticate(session, keys, data.get("key_id"), data.get("secret_key"))
                session.send_alone(
                    encode({"stream": "authorization", "data": {"status": "authorized", "action": "authenticate"}})
                )
            case "subscribe" | "unsubscribe" | "listen" if session.account_id is None:
                raise _RequestError(401, "not authenticated")
            case "subscribe":
                _subscribe(session, _ready_view(hub), request)
            case "unsubscribe":
                session.orderbooks -= set(_symbols(request, "orderbooks"))
                session.trades -= set(_symbols(request, "trades"))
                session.statuses -= set(_symbols(request, "statuses"))
                _acknowledge(session)
            case "listen":
                _listen(session, request)
            case _:
                raise _RequestError(400, "invalid syntax")
    except _RequestError as error:
        session.reply(T="error", code=error.code, msg=str(error))
    except DatabaseError:
        session.reply(T="error", code=500, msg="internal error")


def _parse(received: Any) -> dict[str, Any]:
    text = received.get("text") or received.get("bytes") or b""
    try:
        request = msgspec.json.decode(text)  # unlike json it refuses text that could not be sent back
    except (ValueError, RecursionError):
        request = None
    if not isinstance(request, dict):
        raise _RequestError(400, "invalid syntax")
    return request


async def _authenticate(session: Session, keys: KeyRing, key_id: object, secret: object) -> None:
    if session.account_id is not None:
        raise _RequestError(403, "already authenticated")
    if not isinstance(key_id, str) or not isinstance(secret, str):
        raise _RequestError(402, "auth failed")
    session.account_id = await keys.account_of(key_id[:64], secret[:128])
    if session.account_id is None:
        raise _RequestError(402, "auth failed")


def _ready_view(hub: Hub) -> MarketView:
    if hub.view is None:
        raise _RequestError(500, "internal error")
    return hub.view


def _subscribe(session: Session, view: MarketView, request: dict[str, Any]) -> None:
    """Adds the channels; a book begins with its snapshot, which the next delta follows without a gap."""
    wanted = {channel: _symbols(request, channel) for channel in _SUBSCRIBABLE}
    for symbol in (symbol for symbols in wanted.values() for symbol in symbols):
        if symbol not in view.books:
            raise _RequestError(409, f"unknown symbol {symbol[:16]}")
    fresh = [symbol for symbol in wanted["orderbooks"] if symbol not in session.orderbooks]
    session.orderbooks |= set(wanted["orderbooks"])
    session.trades |= set(wanted["trades"])
    session.statuses |= set(wanted["statuses"])
    _acknowledge(session)
    for symbol in fresh:
        session.send(view.snapshot(symbol, time.time_ns()))


def _symbols(request: dict[str, Any], channel: str) -> list[str]:
    symbols = request.get(channel, [])
    if not isinstance(symbols, list) or not all(isinstance(symbol, str) for symbol in symbols):
        raise _RequestError(400, f"invalid syntax: {channel} takes a list of symbols")
    return list(dict.fromkeys(symbols))


def _acknowledge(session: Session) -> None:
    channels = {channel: sorted(getattr(session, channel)) for channel in _SUBSCRIBABLE}
    session.reply(T="subscription", **channels)


def _listen(session: Session, request: dict[str, Any]) -> None:
    data = request.get("data")
    streams = data.get("streams") if isinstance(data, dict) else None
    if not isinstance(streams, list):
        raise _RequestError(400, "invalid syntax: listen takes data.streams")
    session.listening = "trade_updates" in streams
    heard = ["trade_updates"] if session.listening else []
    session.send_alone(encode({"stream": "listening", "data": {"streams": heard}}))
