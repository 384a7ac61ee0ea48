"""Accounts: opened, looked at, and bounded by limits."""

from __future__ import annotations

from typing import Annotated, Any, Final

from asyncpg import Record
from fastapi import Query, Response
from pydantic import Field

from trading.api.account_terms import locked_terms
from trading.api.admin.audited import ChangeOf, router
from trading.api.admin.execution import execute
from trading.api.admin.requests import AccountPath, Body, Id, Micros
from trading.api.answer import answer
from trading.api.context import Context, ContextOf
from trading.api.errors import ApiError
from trading.core.commands import OpenAccount
from trading.core.events import CASH
from trading.core.orders import AccountId, AccountTerms, Limits, SelfTrade
from trading.wire.orders import decimal_text, shares_text

routes = router()

_TERMS: Final = """
SELECT a.*, coalesce(k.engaged, false) AS killed FROM accounts a LEFT JOIN kill_switches k USING (account_id)
"""
_ONE: Final = f"{_TERMS} WHERE account_id = $1"
_MANY: Final = f"{_TERMS} WHERE account_id > $1 ORDER BY account_id LIMIT $2"
_BALANCES: Final = "SELECT asset, available, reserved FROM balances WHERE account_id = $1 ORDER BY asset"

_Bound = Annotated[int, Field(ge=0, le=10**12)]
_Amount = Annotated[Micros, Field(ge=0, le=10**18)]


class LimitsBody(Body):
    """A limit that is null is none but the exchange's; what is not given stays."""

    order_quantity: _Amount | None = None
    order_value: _Amount | None = None
    open_orders: _Bound | None = None
    orders_per_s: _Bound | None = None
    position: _Amount | None = None

    def on(self, limits: Limits) -> Limits:
        given = {_LIMITS[name]: getattr(self, name) for name in self.model_fields_set}
        return limits._replace(**given)


_LIMITS: Final = {
    "order_quantity": "order_quantity",
    "order_value": "order_value_micros",
    "open_orders": "open_orders",
    "orders_per_s": "orders_per_s",
    "position": "position",
}


class OpeningBody(Body):
    """``multiplier`` 1 is a cash account, 2 a margin account."""

    account_id: Id
    multiplier: Annotated[int, Field(ge=1, le=2)] = 1
    self_trade: Annotated[SelfTrade, Field(strict=False)] = SelfTrade.CANCEL_NEWEST
    limits: LimitsBody = LimitsBody()


@routes.get("/accounts")
async def list_accounts(
    shared: ContextOf,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    page_token: Annotated[int, Query(ge=0, le=2**63 - 1)] = 0,
) -> Response:
    rows = await shared.database.fetch(_MANY, page_token, limit)
    token = str(rows[-1]["account_id"]) if len(rows) == limit else None
    return answer({"accounts": [_shown(row) for row in rows], "next_page_token": token})


@routes.post("/accounts")
async def open_account(body: OpeningBody, shared: ContextOf, change: ChangeOf) -> Response:
    account_id = AccountId(body.account_id)
    change.before = await find_account(account_id, shared)
    terms = AccountTerms(body.multiplier, body.self_trade, limits=body.limits.on(Limits()))

    async def opened_so() -> bool:
        if change.before is not None:
            return False
        row = await _row(account_id, shared)
        return row is not None and _terms(row) == terms

    await execute(OpenAccount(0, account_id, terms), shared, reached=opened_so)
    change.after = await get_known_account(account_id, shared)
    return answer(change.after, 201)


@routes.get("/accounts/{account_id}")
async def get_account(account_id: AccountPath, shared: ContextOf) -> Response:
    return answer(await get_known_account(account_id, shared))


@routes.patch("/accounts/{account_id}/limits")
async def change_limits(body: LimitsBody, account_id: AccountPath, shared: ContextOf, change: ChangeOf) -> Response:
    async with locked_terms(account_id, shared) as locked:
        terms = await locked.terms()
        change.before = await get_known_account(account_id, shared)
        await locked.change(terms._replace(limits=body.on(terms.limits)))
        change.after = await get_known_account(account_id, shared)
    return answer(change.after)


async def get_known_account(account_id: AccountId, shared: Context) -> dict[str, Any]:
    """Raises ApiError (404)."""
    account = await find_account(account_id, shared)
    if account is None:
        raise ApiError(404, f"account {account_id} not found")
    return account


async def find_account(account_id: AccountId, shared: Context) -> dict[str, Any] | None:
    """Its terms, kill switch and balances, as officers see them."""
    row = await _row(account_id, shared)
    if row is None:
        return None
    balances = await shared.database.fetch(_BALANCES, account_id)
    return {**_shown(row), "balances": {balance["asset"]: _balance(balance) for balance in balances}}


async def _row(account_id: AccountId, shared: Context) -> Record | None:
    rows = await shared.database.fetch(_ONE, account_id)
    return rows[0] if rows else None


def _terms(row: Record) -> AccountTerms:
    limits = Limits(
        row["order_quantity_limit"],
        row["order_value_limit_micros"],
        row["open_orders_limit"],
        row["orders_per_s_limit"],
        row["position_limit"],
    )
    return AccountTerms(row["multiplier"], SelfTrade(row["self_trade"]), row["blocked"], limits)


def _shown(row: Record) -> dict[str, Any]:
    terms = _terms(row)
    limits = terms.limits
    return {
        "account_id": row["account_id"],
        "multiplier": terms.multiplier,
        "self_trade": terms.self_trade,
        "blocked": terms.blocked,
        "kill_switch": row["killed"],
        "limits": {
            "order_quantity": _text(limits.order_quantity),
            "order_value": _text(limits.order_value_micros),
            "open_orders": limits.open_orders,
            "orders_per_s": limits.orders_per_s,
            "position": _text(limits.position),
        },
    }


def _balance(row: Record) -> dict[str, str]:
    text = decimal_text if row["asset"] == CASH else shares_text
    return {name: text(row[name]) for name in ("available", "reserved")}


def _text(micros: int | None) -> str | None:
    return None if micros is None else shares_text(micros)
