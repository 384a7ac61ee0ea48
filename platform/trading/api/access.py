"""Who may do what: one table of every route and every role, enforced for all of them in ``context.admit``."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts

from trading.infra.identity import Role


class Right(StrEnum):
    NONE = "none"  # 403
    OWN = "own"  # what belongs to the caller's account; anything else is not found (404)
    ANY = "any"  # everybody's, or what belongs to nobody


# None: nobody is asked who they are.
Rights = Mapping[Role, Right] | None
Table = Mapping[tuple[str, str], Rights]


class AccessError(Exception):
    """The table and the routes do not fit together."""


def _rights(
    trader: Right = Right.NONE,
    market_maker: Right = Right.NONE,
    analyst: Right = Right.NONE,
    risk_officer: Right = Right.NONE,
    operator: Right = Right.NONE,
) -> Rights:
    return dict(zip(Role, (trader, market_maker, analyst, risk_officer, operator), strict=True))


_OPEN: Final = None
_EVERYBODY: Final = _rights(*[Right.ANY] * 5)
_ACCOUNT_READ: Final = _rights(trader=Right.OWN, market_maker=Right.OWN, analyst=Right.OWN)
_ACCOUNT_WRITE: Final = _rights(trader=Right.OWN, market_maker=Right.OWN)
_RISK: Final = _rights(risk_officer=Right.ANY)
_OPERATION: Final = _rights(operator=Right.ANY)
_OFFICERS: Final = _rights(risk_officer=Right.ANY, operator=Right.ANY)

_ROWS: Final[Mapping[str, Rights]] = {
    "GET /openapi.json": _OPEN,
    "GET /docs": _OPEN,
    "GET /docs/oauth2-redirect": _OPEN,
    "GET /redoc": _OPEN,
    "GET /metrics": _OPEN,
    "GET /health": _OPEN,
    "GET /health/live": _OPEN,
    "GET /health/ready": _OPEN,
    # People
    "POST /auth/v1/login": _OPEN,
    "GET /auth/v1/session": _EVERYBODY,
    "POST /auth/v1/logout": _EVERYBODY,
    "POST /auth/v1/logout_everywhere": _EVERYBODY,
    "POST /auth/v1/password": _EVERYBODY,
    # Orders
    "POST /v2/orders": _ACCOUNT_WRITE,
    "GET /v2/orders": _ACCOUNT_READ,
    "DELETE /v2/orders": _ACCOUNT_WRITE,
    "GET /v2/orders:by_client_order_id": _ACCOUNT_READ,
    "GET /v2/orders/{order_id}": _ACCOUNT_READ,
    "PATCH /v2/orders/{order_id}": _ACCOUNT_WRITE,
    "DELETE /v2/orders/{order_id}": _ACCOUNT_WRITE,
    # The account
    "GET /v2/account": _ACCOUNT_READ,
    "GET /v2/account/configurations": _ACCOUNT_READ,
    "PATCH /v2/account/configurations": _ACCOUNT_WRITE,
    "GET /v2/account/activities": _ACCOUNT_READ,
    "GET /v2/account/activities/{activity_type}": _ACCOUNT_READ,
    "GET /v2/account/portfolio/history": _ACCOUNT_READ,
    "GET /v2/positions": _ACCOUNT_READ,
    "DELETE /v2/positions": _ACCOUNT_WRITE,
    "GET /v2/positions/{symbol}": _ACCOUNT_READ,
    "DELETE /v2/positions/{symbol}": _ACCOUNT_WRITE,
    "GET /v2/watchlists": _ACCOUNT_READ,
    "POST /v2/watchlists": _ACCOUNT_WRITE,
    "GET /v2/watchlists/{watchlist_id}": _ACCOUNT_READ,
    "PUT /v2/watchlists/{watchlist_id}": _ACCOUNT_WRITE,
    "POST /v2/watchlists/{watchlist_id}": _ACCOUNT_WRITE,
    "DELETE /v2/watchlists/{watchlist_id}": _ACCOUNT_WRITE,
    "DELETE /v2/watchlists/{watchlist_id}/{symbol}": _ACCOUNT_WRITE,
    "GET /v2/watchlists:by_name": _ACCOUNT_READ,
    "PUT /v2/watchlists:by_name": _ACCOUNT_WRITE,
    "POST /v2/watchlists:by_name": _ACCOUNT_WRITE,
    "DELETE /v2/watchlists:by_name": _ACCOUNT_WRITE,
    # The market
    "GET /v2/assets": _EVERYBODY,
    "GET /v2/assets/{symbol_or_asset_id}": _EVERYBODY,
    "GET /v2/clock": _EVERYBODY,
    "GET /v2/calendar": _EVERYBODY,
    "GET /v2/stocks/bars": _EVERYBODY,
    "GET /v2/stocks/trades": _EVERYBODY,
    "GET /v2/stocks/quotes": _EVERYBODY,
    "GET /v2/stocks/snapshots": _EVERYBODY,
    "GET /v2/stocks/bars/latest": _EVERYBODY,
    "GET /v2/stocks/trades/latest": _EVERYBODY,
    "GET /v2/stocks/quotes/latest": _EVERYBODY,
    "GET /v2/stocks/{symbol}/bars": _EVERYBODY,
    "GET /v2/stocks/{symbol}/trades": _EVERYBODY,
    "GET /v2/stocks/{symbol}/quotes": _EVERYBODY,
    "GET /v2/stocks/{symbol}/snapshot": _EVERYBODY,
    "GET /v2/stocks/{symbol}/bars/latest": _EVERYBODY,
    "GET /v2/stocks/{symbol}/trades/latest": _EVERYBODY,
    "GET /v2/stocks/{symbol}/quotes/latest": _EVERYBODY,
    # Administration
    "GET /admin/v1/accounts": _OFFICERS,
    "POST /admin/v1/accounts": _OPERATION,
    "GET /admin/v1/accounts/{account_id}": _OFFICERS,
    "POST /admin/v1/accounts/{account_id}/deposits": _OPERATION,
    "POST /admin/v1/accounts/{account_id}/withdrawals": _OPERATION,
    "POST /admin/v1/journals": _OPERATION,
    "PATCH /admin/v1/accounts/{account_id}/limits": _RISK,
    "PUT /admin/v1/accounts/{account_id}/kill_switch": _RISK,
    "GET /admin/v1/kill_switch": _RISK,
    "PUT /admin/v1/kill_switch": _RISK,
    "GET /admin/v1/accounts/{account_id}/keys": _OPERATION,
    "POST /admin/v1/accounts/{account_id}/keys": _OPERATION,
    "DELETE /admin/v1/keys/{key_id}": _OPERATION,
    "GET /admin/v1/people": _OPERATION,
    "POST /admin/v1/people": _OPERATION,
    "PATCH /admin/v1/people/{name}": _OPERATION,
    "DELETE /admin/v1/people/{name}": _OPERATION,
    "GET /admin/v1/people/{name}/sessions": _OPERATION,
    "DELETE /admin/v1/people/{name}/sessions": _OPERATION,
    "GET /admin/v1/instruments": _OFFICERS,
    "POST /admin/v1/instruments": _OPERATION,
    "PATCH /admin/v1/instruments/{symbol}": _OPERATION,
    "PUT /admin/v1/instruments/{symbol}/phase": _RISK,
    "GET /admin/v1/audit": _OFFICERS,
    "GET /admin/v1/topology": _OPERATION,
}


def _route(row: str) -> tuple[str, str]:
    method, _, path = row.partition(" ")
    return method, path


TABLE: Final[Table] = {_route(row): rights for row, rights in _ROWS.items()}


def may(table: Table, method: str, path: str, role: Role) -> bool:
    """``path`` is the route's template."""
    rights = table[method, path]
    return rights is None or rights[role] is not Right.NONE


def require_rows(app: FastAPI, table: Table) -> None:
    """Raises AccessError for a route without a row: better no server than one that lets anybody in somewhere."""
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if not context.path or not context.methods:
            raise AccessError(f"{route!r} has no methods: only plain HTTP routes can be guarded")
        if context.path != getattr(route, "path", None):
            raise AccessError(f"{context.path}: a router must carry its whole prefix, or its routes cannot be told")
        for method in context.methods - {"HEAD"}:
            if (method, context.path) not in table:
                raise AccessError(f"{method} {context.path} has no row in the table of who may do what")
            if not isinstance(route, APIRoute) and table[method, context.path] is not _OPEN:
                raise AccessError(f"{method} {context.path} is no route of FastAPI's: nothing would guard it")
