"""POST /v2/orders on the short way: a well-formed order of a known account goes straight to the engine.

FastAPI's walk over signature, headers and body costs more than everything else an order needs from this process.
Whatever is not plainly well-formed takes that way, and so is refused exactly like any other request.
"""

from __future__ import annotations

from typing import Final

from fastapi import FastAPI
from pydantic import ValidationError
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trading.api import errors
from trading.api.access import may
from trading.api.context import KEY_ID_HEADER, SECRET_HEADER, Context
from trading.api.order_requests import OrderRequest
from trading.api.orders import place_order, router

_PATH: Final = "/v2/orders"
_ROUTE: Final = next(route for route in router.routes if getattr(route, "endpoint", None) is place_order)
_KEY_ID, _SECRET = (name.lower().encode() for name in (KEY_ID_HEADER, SECRET_HEADER))
_read_order: Final = OrderRequest.__pydantic_validator__.validate_json


class PlaceDirectly:
    """ASGI middleware around everything that limits and routes requests."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != _PATH or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        first = await receive()
        response = await _place(scope, first)
        if response is None:
            await self._app(scope, _after(first, receive), send)
        else:
            scope["route"] = _ROUTE
            await response(scope, receive, send)


async def _place(scope: Scope, message: Message) -> Response | None:
    """None for what is not plainly an order; nothing has been done then."""
    headers = dict(scope["headers"])
    whole = message["type"] == "http.request" and not message.get("more_body", False)
    if not whole or len(headers) < len(scope["headers"]) or headers.get(b"content-type") != b"application/json":
        return None
    try:
        order = _read_order(message["body"])
    except ValidationError:
        return None
    app: FastAPI = scope["app"]
    shared: Context = app.state.context
    key_id, secret = headers.get(_KEY_ID, b"").decode("latin-1"), headers.get(_SECRET, b"").decode("latin-1")
    try:
        identity = await shared.keys.identify(key_id, secret) if key_id else None
        if identity is None or identity.account_id is None or not may(shared.table, "POST", _PATH, identity.role):
            return None
        scope["identity"] = identity
        return await place_order(order, identity.account_id, shared)
    except errors.ANSWERED as error:
        return errors.answer_to(error)


def _after(first: Message, receive: Receive) -> Receive:
    """Receives again what was received already, then the rest."""
    messages = [first]

    async def receive_again() -> Message:
        return messages.pop() if messages else await receive()

    return receive_again
