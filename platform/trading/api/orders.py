"""/v2/orders: place, look up, list, cancel."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Final, Literal
from uuid import uuid4

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from trading.api.answer import answer
from trading.api.context import Caller, Context, ContextOf
from trading.api.engine_client import OutcomeUnknownError
from trading.api.errors import ApiError, refusal
from trading.core.commands import CancelOrder, PlaceOrder
from trading.core.orders import (
    MAX_CLIENT_ORDER_ID_LENGTH,
    MICROS_PER_DOLLAR,
    AccountId,
    OrderId,
    OrderStatus,
    OrderType,
    RejectReason,
    Side,
    Symbol,
    TimeInForce,
)
from trading.infra.database import DatabaseError
from trading.infra.journal import order_of
from trading.wire.engine import Denied
from trading.wire.orders import OrderView, order_id_of, public_order

router = APIRouter(prefix="/v2")

_CLIENT_ORDER_ID: Final = r"^[A-Za-z0-9_.:\-]+$"
_PLAIN_DECIMAL: Final = re.compile(r"[+-]?[0-9.]+([eE][+-]?[0-9]+)?", re.ASCII)
_MAX_NS: Final = 2**63 - 1

_BY_ID: Final = "SELECT * FROM orders WHERE order_id = $1 AND account_id = $2"

# The row lock makes this read a write: it returns only when the row it saw is on the synchronous standby too,
# so what a client is told here survives the primary.
_BY_CLIENT_ORDER_ID: Final = "SELECT * FROM orders WHERE account_id = $1 AND client_order_id = $2 FOR KEY SHARE"

_LIST: Final = """
SELECT * FROM orders WHERE account_id = $1 AND ($2::text[] IS NULL OR status = ANY($2))
AND ($3::text[] IS NULL OR symbol = ANY($3)) AND ($4::text IS NULL OR side = $4)
AND ($5::bigint IS NULL OR submitted_at_ns > $5) AND ($6::bigint IS NULL OR submitted_at_ns < $6)
ORDER BY order_id {direction} LIMIT $7
"""


def _plain(value: object) -> object:
    """Python reads more as a number than a client can have meant: other alphabets' digits, spaces, underscores."""
    if isinstance(value, str) and not _PLAIN_DECIMAL.fullmatch(value):
        raise ValueError("expected a plain decimal, as in 101.50")
    return value


_PlainDecimal = Annotated[Decimal, BeforeValidator(_plain)]


class OrderRequest(BaseModel):
    """Body of POST /v2/orders. ``qty`` and prices are decimals, as strings or JSON numbers."""

    model_config = ConfigDict(extra="forbid")

    symbol: Annotated[str, Field(min_length=1, max_length=16, pattern=r"^[A-Z][A-Z0-9.]*$")]
    qty: Annotated[_PlainDecimal, Field(gt=0, max_digits=18, decimal_places=9)]
    side: Side
    type: OrderType
    time_in_force: TimeInForce
    limit_price: Annotated[_PlainDecimal | None, Field(gt=0, max_digits=18, decimal_places=9)] = None
    client_order_id: Annotated[
        str | None, Field(min_length=1, max_length=MAX_CLIENT_ORDER_ID_LENGTH, pattern=_CLIENT_ORDER_ID)
    ] = None
    order_class: Literal["simple", ""] | None = None
    extended_hours: Literal[False] = False

    def command(self, account_id: AccountId) -> PlaceOrder:
        """Raises ApiError for a combination no order can have."""
        if (self.type is OrderType.LIMIT) != (self.limit_price is not None):
            needs = "requires" if self.type is OrderType.LIMIT else "takes no"
            raise ApiError(422, f"{self.type} orders {needs} limit_price")
        return PlaceOrder(
            at_ns=0,
            account_id=account_id,
            client_order_id=self.client_order_id or str(uuid4()),
            symbol=Symbol(self.symbol),
            side=self.side,
            order_type=self.type,
            time_in_force=self.time_in_force,
            quantity=_whole(self.qty, "qty", "fractional shares are not traded"),
            limit_price_micros=None
            if self.limit_price is None
            else _whole(self.limit_price * MICROS_PER_DOLLAR, "limit_price", "finer than a micro-dollar"),
        )


def _whole(value: Decimal, name: str, why: str) -> int:
    if value != value.to_integral_value():
        raise ApiError(422, f"{name}: {why}")
    return int(value)


class StatusFilter(StrEnum):
    OPEN = "open"
    CLOSED = "closed"
    ALL = "all"


_STATUSES: Final = {
    StatusFilter.OPEN: [OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED],
    StatusFilter.CLOSED: [OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.EXPIRED],
    StatusFilter.ALL: None,
}


class ListRequest(BaseModel):
    """Query of GET /v2/orders. ``after`` and ``until`` bound the time of submission, exclusively."""

    model_config = ConfigDict(extra="forbid")

    status: StatusFilter = StatusFilter.OPEN
    limit: Annotated[int, Field(ge=1, le=500)] = 50
    after: datetime | None = None
    until: datetime | None = None
    direction: Literal["asc", "desc"] = "desc"
    symbols: Annotated[str | None, Field(pattern=r"^[A-Z0-9.,]*$")] = None
    side: Side | None = None
    nested: bool = False


@router.post("/orders")
async def place_order(order: OrderRequest, account_id: Caller, shared: ContextOf) -> Response:
    command = order.command(account_id)
    try:
        outcome, _ = await shared.engine.execute(command, shared.deadline_s)
    except OutcomeUnknownError as error:
        raise OutcomeUnknownError(f"{error}; look the order up by client_order_id {command.client_order_id}") from error
    if isinstance(outcome, Denied):
        raise refusal(outcome)
    assert outcome.order is not None
    return answer(public_order(outcome.order))


@router.get("/orders")
async def list_orders(query: Annotated[ListRequest, Query()], account_id: Caller, shared: ContextOf) -> Response:
    rows = await shared.database.fetch(
        _LIST.format(direction=query.direction),
        account_id,
        _STATUSES[query.status],
        query.symbols.split(",") if query.symbols else None,
        query.side,
        _ns(query.after),
        _ns(query.until),
        query.limit,
    )
    return answer([public_order(order_of(row)) for row in rows])


@router.get("/orders:by_client_order_id")
async def get_order_by_client_order_id(
    client_order_id: Annotated[str, Query(max_length=128, pattern=_CLIENT_ORDER_ID)],
    account_id: Caller,
    shared: ContextOf,
) -> Response:
    rows = await shared.database.fetch(_BY_CLIENT_ORDER_ID, account_id, client_order_id)
    if not rows:
        raise ApiError(404, f"order not found for {client_order_id}")
    return answer(public_order(order_of(rows[0])))


@router.get("/orders/{order_id}")
async def get_order(order_id: str, account_id: Caller, shared: ContextOf) -> Response:
    return answer(public_order(await _own_order(order_id, account_id, shared)))


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


async def _own_order(order_id: str, account_id: AccountId, shared: Context) -> OrderView:
    rows = await shared.database.fetch(_BY_ID, _number(order_id), account_id)
    if not rows:
        raise ApiError(404, f"order not found for {order_id}")
    return order_of(rows[0])


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
