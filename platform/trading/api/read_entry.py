"""GET /v2/account and one order on the short way, as orders have theirs: the framework costs more than the reading.

Whatever has a query, no key, or another form takes the long way, and so is answered or refused as any other request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from fastapi import FastAPI
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from trading.api import accounts, errors, orders
from trading.api.access import may
from trading.api.context import KEY_ID_HEADER, SECRET_HEADER, Context
from trading.core.orders import AccountId

_ACCOUNT: Final = "/v2/account"
_ORDERS: Final = "/v2/orders/"
_ORDER: Final = "/v2/orders/{order_id}"
_KEY_ID, _SECRET = (name.lower().encode() for name in (KEY_ID_HEADER, SECRET_HEADER))


def _route(routes: list[BaseRoute], endpoint: Callable[..., Awaitable[Response]]) -> BaseRoute:
    return next(route for route in routes if getattr(route, "endpoint", None) is endpoint)


class _Reading(NamedTuple):
    template: str
    route: BaseRoute
    read: Callable[[str, AccountId, Context], Awaitable[Response]]


async def _read_account(_path: str, account_id: AccountId, shared: Context) -> Response:
    return await accounts.get_account(account_id, shared)


async def _read_order(path: str, account_id: AccountId, shared: Context) -> Response:
    return await orders.get_order(path[len(_ORDERS) :], account_id, shared)


_ACCOUNT_READING: Final = _Reading(_ACCOUNT, _route(accounts.router.routes, accounts.get_account), _read_account)
_ORDER_READING: Final = _Reading(_ORDER, _route(orders.router.routes, orders.get_order), _read_order)


class ReadDirectly:
    """ASGI middleware around everything that routes requests."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reading = _reading(scope)
        response = None if reading is None else await _answer(reading, scope)
        if reading is None or response is None:
            await self._app(scope, receive, send)
        else:
            scope["route"] = reading.route
            await response(scope, receive, send)


def _reading(scope: Scope) -> _Reading | None:
    if scope["type"] != "http" or scope["method"] != "GET" or scope["query_string"]:
        return None
    path = scope["path"]
    if path == _ACCOUNT:
        return _ACCOUNT_READING
    return _ORDER_READING if path.startswith(_ORDERS) and path.count("/") == _ORDER.count("/") else None


async def _answer(reading: _Reading, scope: Scope) -> Response | None:
    """None for whoever must be refused, or asked otherwise who they are."""
    headers = dict(scope["headers"])
    key_id = headers.get(_KEY_ID)
    if key_id is None or len(headers) < len(scope["headers"]):
        return None
    app: FastAPI = scope["app"]
    shared: Context = app.state.context
    try:
        identity = await shared.keys.identify(key_id.decode("latin-1"), headers.get(_SECRET, b"").decode("latin-1"))
        if identity is None or identity.account_id is None:
            return None
        if not may(shared.table, "GET", reading.template, identity.role):
            return None
        scope["identity"] = identity
        return await reading.read(scope["path"], identity.account_id, shared)
    except errors.ANSWERED as error:
        return errors.answer_to(error)
