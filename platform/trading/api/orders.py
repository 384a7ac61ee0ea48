"""/v2/orders: place, look up, list, replace, cancel."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from copy import copy
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Response

from trading.api.account_terms import require_fractional_trading
from trading.api.answer import answer
from trading.api.context import Caller, Context, ContextOf
from trading.api.engine_client import OutcomeUnknownError
from trading.api.errors import ApiError, refusal
from trading.api.order_requests import CLIENT_ORDER_ID, STATUSES, ListRequest, OrderRequest, ReplaceRequest
from trading.core.commands import CancelAll, CancelOrder, PlaceOrder, ReplaceOrder
from trading.core.orders import OPEN_STATUSES, AccountId, OrderId, OrderStatus, RejectReason, Symbol
from trading.infra.database import DatabaseError
from trading.infra.journal import order_of
from trading.wire.engine import Answer, Denied, Done
from trading.wire.orders import OrderView, order_id_of, public_order

router = APIRouter(prefix="/v2")

_MAX_NS: Final = 2**63 - 1

# The row lock makes this read a write: it returns only when the row it saw is on the synchronous standby too,
# so what a client is told here survives the primary.
_BY_CLIENT_ORDER_ID: Final = "SELECT * FROM orders WHERE account_id = $1 AND client_order_id = $2 FOR KEY SHARE"

_LIST: Final = """
SELECT * FROM orders WHERE account_id = $1 AND ($2::text[] IS NULL OR status = ANY($2))
AND ($3::text[] IS NULL OR symbol = ANY($3)) AND ($4::text IS NULL OR side = $4)
AND ($5::bigint IS NULL OR submitted_at_ns > $5) AND ($6::bigint IS NULL OR submitted_at_ns < $6)
ORDER BY order_id {direction} LIMIT $7
"""


_OPEN_ORDERS: Final = "SELECT order_id, symbol FROM orders WHERE account_id = $1 AND status = ANY($2) ORDER BY order_id"

_BY_IDS: Final = "SELECT * FROM orders WHERE account_id = $1 AND order_id = ANY($2) ORDER BY order_id"

_LEGS: Final = """
SELECT * FROM orders WHERE account_id = $1 AND parent_id = ANY($2) AND status <> 'replaced' ORDER BY order_id
"""


@router.post("/orders")
async def place_order(order: OrderRequest, account_id: Caller, shared: ContextOf) -> Response:
    command = order.command(account_id)
    if order.in_fractions:
        await require_fractional_trading(account_id, shared.database)
    outcome = await execute(command, shared)
    if isinstance(outcome, Denied):
        raise refusal(outcome)
    return _accepted(outcome)


@router.get("/orders")
async def list_orders(query: Annotated[ListRequest, Query()], account_id: Caller, shared: ContextOf) -> Response:
    rows = await shared.database.fetch(
        _LIST.format(direction=query.direction),
        account_id,
        STATUSES[query.status],
        query.symbols.split(",") if query.symbols else None,
        query.side,
        _ns(query.after),
        _ns(query.until),
        query.limit,
    )
    orders = [order_of(row) for row in rows]
    if query.nested:
        listed = await _add_legs(orders, account_id, shared)
        orders = [order for order in orders if order.parent_id not in listed]
    return answer([public_order(order) for order in orders])


@router.get("/orders:by_client_order_id")
async def get_order_by_client_order_id(
    client_order_id: Annotated[str, Query(max_length=128, pattern=CLIENT_ORDER_ID)],
    account_id: Caller,
    shared: ContextOf,
) -> Response:
    rows = await shared.database.fetch(_BY_CLIENT_ORDER_ID, account_id, client_order_id)
    if not rows:
        raise ApiError(404, f"order not found for {client_order_id}")
    return answer(public_order(order_of(rows[0])))


@router.get("/orders/{order_id}")
async def get_order(order_id: str, account_id: Caller, shared: ContextOf, nested: bool = False) -> Response:
    order = await _own_order(order_id, account_id, shared)
    if nested:
        order = copy(order)  # others may have been given the same
        await _add_legs([order], account_id, shared)
    return answer(public_order(order))


@router.patch("/orders/{order_id}")
async def replace_order(order_id: str, changes: ReplaceRequest, account_id: Caller, shared: ContextOf) -> Response:
    """The answer is the new order; the old one ends as replaced."""
    order = await _own_order(order_id, account_id, shared)
    if changes.in_fractions:
        await require_fractional_trading(account_id, shared.database)
    outcome = await execute(changes.command(account_id, order), shared)
    if isinstance(outcome, Denied):
        if outcome.reason is RejectReason.NOT_REPLACEABLE:
            await _require_open(order_id, account_id, shared)
        raise refusal(outcome)
    return _accepted(outcome)


@router.delete("/orders")
async def cancel_all_orders(account_id: Caller, shared: ContextOf) -> Response:
    """Cancels all that was open when it was asked; 207 with each order's own status, 422 for one that ended before."""
    rows = await shared.database.fetch(_OPEN_ORDERS, account_id, sorted(OPEN_STATUSES))
    commands = [CancelAll(0, account_id, Symbol(symbol)) for symbol in sorted({row["symbol"] for row in rows})]
    for outcome, _ in await asyncio.gather(*(shared.engine.execute(c, shared.deadline_s) for c in commands)):
        if isinstance(outcome, Denied) and outcome.reason is not RejectReason.NOT_CANCELABLE:
            raise refusal(outcome)
    ended = await shared.database.fetch(_BY_IDS, account_id, [row["order_id"] for row in rows])
    return answer([_cancellation(order_of(row)) for row in ended], 207)


def _cancellation(order: OrderView) -> dict[str, Any]:
    shown = public_order(order)
    return {"id": shown["id"], "status": 200 if order.status is OrderStatus.CANCELED else 422, "body": shown}


@router.delete("/orders/{order_id}", status_code=204, response_class=Response)
async def cancel_order(order_id: str, account_id: Caller, shared: ContextOf) -> None:
    number = _number(order_id)
    outcome, repeated = await shared.engine.execute(CancelOrder(0, account_id, number), shared.deadline_s)
    if not isinstance(outcome, Denied):
        return
    try:
        order = await _own_order(order_id, account_id, shared)
    except DatabaseError as error:
        if repeated:
            raise OutcomeUnknownError(str(error)) from error
        raise
    if repeated and order.status is OrderStatus.CANCELED:
        return  # an earlier attempt, whose answer was lost, did it
    if outcome.reason is RejectReason.NOT_CANCELABLE:
        raise ApiError(422, f'order is already in "{order.status}" state')
    raise refusal(outcome)


async def execute(command: PlaceOrder | ReplaceOrder, shared: Context) -> Answer:
    try:
        outcome, _ = await shared.engine.execute(command, shared.deadline_s)
    except OutcomeUnknownError as error:
        raise OutcomeUnknownError(f"{error}; look the order up by client_order_id {command.client_order_id}") from error
    return outcome


def _accepted(outcome: Done) -> Response:
    assert outcome.order is not None
    return answer(public_order(outcome.order))


async def _add_legs(orders: Sequence[OrderView], account_id: AccountId, shared: Context) -> set[OrderId]:
    """Puts the legs below their parents; returns the ids of all that were asked about."""
    ids = {order.order_id for order in orders}
    legs: dict[OrderId | None, list[OrderView]] = defaultdict(list)
    for row in await shared.database.fetch(_LEGS, account_id, list(ids)):
        leg = order_of(row)
        legs[leg.parent_id].append(leg)
    for order in orders:
        order.legs = tuple(legs[order.order_id])
    return ids


async def _require_open(order_id: str, account_id: AccountId, shared: Context) -> None:
    """Raises ApiError for an order that has ended: nothing can be done with it any more."""
    order = await _own_order(order_id, account_id, shared)
    if order.status not in OPEN_STATUSES:
        raise ApiError(422, f'order is already in "{order.status}" state')


async def _own_order(order_id: str, account_id: AccountId, shared: Context) -> OrderView:
    order = await shared.reads.order(_number(order_id), account_id)
    if order is None:
        raise ApiError(404, f"order not found for {order_id}")
    return order


def _number(order_id: str) -> OrderId:
    number = order_id_of(order_id)
    if number is None:
        raise ApiError(404, f"order not found for {order_id[:64]}")
    return number


def _ns(moment: datetime | None) -> int | None:
    """Without an offset it is UTC; what the column cannot hold bounds as well as its last value."""
    if moment is None:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(-_MAX_NS, min(_MAX_NS, int(aware.timestamp() * 1e9)))
