"""The WebSocket endpoints: authenticate, subscribe, listen. Conventions of Alpaca's two streams."""

from __future__ import annotations

import asyncio
from typing import Any, Final, cast

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from trading.feed.frames import CONNECTION, Connection, Format, Opcode
from trading.feed.hub import Hub
from trading.feed.market_view import ORDERBOOKS
from trading.feed.requests import (
    ALREADY_AUTHENTICATED,
    AUTH_FAILED,
    AUTH_TIMEOUT,
    EVERY,
    INSUFFICIENT_SUBSCRIPTION,
    INTERNAL_ERROR,
    INVALID_SYNTAX,
    NOT_AUTHENTICATED,
    TRADE_UPDATES,
    Credentials,
    RequestError,
    credentials,
    parse,
    streams,
    subscription,
)
from trading.feed.session import Session, TradingSession
from trading.infra.database import DatabaseError
from trading.infra.keys import KeyRing
from trading.infra.telemetry import metrics_response

AUTHENTICATE_WITHIN_S: Final = 10.0
FEEDS: Final = ("iex", "sip", "delayed_sip", "test")  # one market stands behind all of them
_ATTEMPTS: Final = 3  # at guessing a secret, per connection
_MAX_KEY_LENGTH: Final = 128
_MSGPACK: Final = "application/msgpack"


def create_app(hub: Hub, keys: KeyRing) -> Starlette:
    async def trading_stream(socket: WebSocket) -> None:
        await _TradingClient(socket, hub, keys).serve()

    async def market_data_stream(socket: WebSocket) -> None:
        if socket.path_params["feed"] in FEEDS:
            await _MarketDataClient(socket, hub, keys).serve()
        else:
            await socket.send_denial_response(Response(status_code=404))

    async def live(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(_request: Request) -> Response:
        sequence = hub.view.sequence if hub.view else None
        status = "ok" if hub.follows else "cut off from the journal"
        return JSONResponse({"status": status, "sequence": sequence}, 200 if hub.follows else 503)

    async def metrics(_request: Request) -> Response:
        return metrics_response(hub.registry)

    return Starlette(
        routes=[
            WebSocketRoute("/stream", trading_stream),
            WebSocketRoute("/v2/{feed}", market_data_stream),
            Route("/health/live", live),
            Route("/health/ready", ready),
            Route("/metrics", metrics),
        ]
    )


class _Client:
    """One connection from its first message to its last; the two streams answer differently."""

    kind: type[Session] = Session

    def __init__(self, socket: WebSocket, hub: Hub, keys: KeyRing) -> None:
        self.hub = hub
        self._socket = socket
        self._keys = keys
        self._failures = 0
        form = Format.MSGPACK if socket.headers.get("content-type") == _MSGPACK else Format.JSON
        self.session = hub.session(self.kind, cast(Connection, socket.scope["extensions"][CONNECTION]), form)

    async def serve(self) -> None:
        await self._socket.accept()
        self.greet()
        try:
            self.hub.subscribers.admit(self.session)
            await self._authenticated()
            while not self.session.ended:
                await self._answer_next()
        except RequestError as error:  # one after which there is nothing more to say
            self.session.fail(error.code, str(error))
        except WebSocketDisconnect:
            pass
        finally:
            self.hub.subscribers.discard(self.session)
            self.session.end()

    def greet(self) -> None:
        """The first word, if this stream has one."""

    def authenticated(self, request: dict[str, Any]) -> None:
        raise NotImplementedError

    def refused(self, request: dict[str, Any], error: RequestError) -> None:
        self.session.fail(error.code, str(error))

    def answer(self, action: object, request: dict[str, Any]) -> None:
        """Raises RequestError."""
        raise NotImplementedError

    async def _authenticated(self) -> None:
        """Raises RequestError when it takes too long, or too many attempts."""
        headers = self._socket.headers
        key_id, secret = headers.get("apca-api-key-id"), headers.get("apca-api-secret-key")
        if key_id is not None and secret is not None:
            await self._handle({"action": "auth", "key": key_id, "secret": secret})
        try:
            async with asyncio.timeout(AUTHENTICATE_WITHIN_S):
                while self.session.identity is None:
                    await self._answer_next()
        except TimeoutError:
            raise RequestError(*AUTH_TIMEOUT) from None

    async def _answer_next(self) -> None:
        received = await self._socket.receive()
        if received["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(received.get("code", 1005))
        payload: str | bytes | None = received.get("text")
        if payload is None:
            payload = received["bytes"]
        if self.session.form is Format.JSON:
            self.session.opcode = Opcode.TEXT if isinstance(payload, str) else Opcode.BINARY  # in kind
        try:
            request = parse(payload, self.session.form)
        except RequestError as error:
            self.session.fail(error.code, str(error))
        else:
            await self._handle(request)

    async def _handle(self, request: dict[str, Any]) -> None:
        action = request.get("action")
        try:
            if action in ("auth", "authenticate"):
                await self._authenticate(credentials(request))
                self.authenticated(request)
            elif self.session.identity is None and action in ("subscribe", "unsubscribe", "listen"):
                raise RequestError(*NOT_AUTHENTICATED)
            else:
                self.answer(action, request)
        except RequestError as error:
            self.refused(request, error)
            if self._failures >= _ATTEMPTS:
                self.session.end()
                raise WebSocketDisconnect from None
        except DatabaseError:
            self.refused(request, RequestError(*INTERNAL_ERROR))

    async def _authenticate(self, pair: Credentials | None) -> None:
        if self.session.identity is not None:
            raise RequestError(*ALREADY_AUTHENTICATED)
        if pair is None or max(map(len, pair)) > _MAX_KEY_LENGTH:
            identity = None
        else:
            identity = await self._keys.identify(*pair)
        if identity is None or pair is None:
            self._failures += 1
            raise RequestError(*AUTH_FAILED)
        self.hub.subscribers.admit_key(pair.key_id)
        self.session.identity, self.session.key_id = identity, pair.key_id


class _MarketDataClient(_Client):
    """``/v2/{feed}``: https://docs.alpaca.markets/docs/streaming-market-data"""

    def greet(self) -> None:
        self.session.answer({"T": "success", "msg": "connected"})

    def authenticated(self, request: dict[str, Any]) -> None:
        self.session.answer({"T": "success", "msg": "authenticated"})

    def answer(self, action: object, request: dict[str, Any]) -> None:
        match action:
            case "subscribe":
                self._subscribe(request)
            case "unsubscribe":
                wanted = subscription(request, self.hub.ready_view().books)
                for channel, symbols in wanted.symbols.items():
                    self.hub.subscribers.unsubscribe(self.session, channel, symbols)
                self._forget_books(wanted.symbols.get(ORDERBOOKS, []))
                self._acknowledge()
            case _:
                raise RequestError(*INVALID_SYNTAX)

    def _subscribe(self, request: dict[str, Any]) -> None:
        """Adds the channels; a book begins whole, or with what followed ``resume_from``, and goes on without a gap."""
        books = self.hub.ready_view().books
        wanted = subscription(request, books)
        had = self._book_symbols()
        self.hub.subscribers.subscribe(self.session, wanted.symbols)
        self._acknowledge()
        for symbol in sorted(self._book_symbols() if wanted.symbols.get(ORDERBOOKS) else ()):
            if symbol in wanted.resume_from:
                self.session.resume_book(books[symbol], wanted.resume_from[symbol])
            elif symbol not in had:
                self.session.send_whole_book(books[symbol], "new")

    def _book_symbols(self) -> set[str]:
        symbols = self.session.channels[ORDERBOOKS]
        return set(self.hub.ready_view().books) if EVERY in symbols else set(symbols)

    def _forget_books(self, symbols: list[str]) -> None:
        left = self._book_symbols()
        for symbol in self.hub.ready_view().books if EVERY in symbols else symbols:
            if symbol not in left:
                self.session.forget_book(symbol)

    def _acknowledge(self) -> None:
        channels = {channel: sorted(symbols) for channel, symbols in self.session.channels.items()}
        self.session.answer({"T": "subscription", **channels})


class _TradingClient(_Client):
    """``/stream``: https://docs.alpaca.markets/docs/websocket-streaming"""

    kind = TradingSession

    def authenticated(self, request: dict[str, Any]) -> None:
        self._authorization("authorized", "authenticate")

    def refused(self, request: dict[str, Any], error: RequestError) -> None:
        action = request.get("action")
        if error.code == AUTH_FAILED[0]:
            self._authorization("unauthorized", "authenticate")
        elif error.code == NOT_AUTHENTICATED[0] and action == "listen":
            self._authorization("unauthorized", "listen")
        else:
            self.session.fail(error.code, str(error))

    def answer(self, action: object, request: dict[str, Any]) -> None:
        if action != "listen":
            raise RequestError(*INVALID_SYNTAX)
        heard = [name for name in streams(request) if name == TRADE_UPDATES][:1]
        account_id = self.session.identity.account_id if self.session.identity else None
        if heard and account_id is None:
            raise RequestError(*INSUFFICIENT_SUBSCRIPTION)
        self.hub.subscribers.listen(self.session, account_id if heard else None)
        self.session.answer_alone({"stream": "listening", "data": {"streams": heard}})

    def _authorization(self, status: str, action: str) -> None:
        self.session.answer_alone({"stream": "authorization", "data": {"status": status, "action": action}})
