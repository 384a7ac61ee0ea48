"""The market order that closes a position, wholly or in part.

Its client_order_id is made of what it was asked for and of the account's newest order in that market. Whoever asks
again, or twice at once, before that order is there names the same one and gets it, not a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from decimal import ROUND_DOWN
from typing import Annotated, Any, Final
from uuid import NAMESPACE_OID, uuid5

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from trading.api.context import Context
from trading.api.errors import ANSWERED, ApiError, answer_to, refusal
from trading.api.order_requests import PlainDecimal
from trading.api.orders import execute
from trading.core.commands import PlaceOrder
from trading.core.orders import (
    BUY,
    MICROS_PER_SHARE,
    SELL,
    AccountId,
    OrderType,
    Symbol,
    TimeInForce,
)
from trading.wire.engine import Denied
from trading.wire.orders import public_order, shares_text

# The position, the newest order, and the shares that open orders are going to buy back: all of one moment, so that the
# position is what all orders up to the newest have made of it.
_POSITION: Final = """
SELECT available, reserved, lot, fractionable, (
    SELECT order_id FROM orders WHERE account_id = $1 AND symbol = $2 ORDER BY order_id DESC LIMIT 1
) AS newest, (
    SELECT coalesce(sum(quantity - filled_quantity - reduced_quantity), 0)::bigint FROM orders
    WHERE account_id = $1 AND status IN ('new', 'partially_filled') AND symbol = $2 AND side = 'buy'
) AS buying
FROM instruments JOIN balances ON asset = symbol AND account_id = $1 WHERE symbol = $2
"""


class CloseRequest(BaseModel):
    """Query of DELETE /v2/positions/{symbol}."""

    model_config = ConfigDict(extra="forbid")

    qty: PlainDecimal | None = None
    percentage: Annotated[PlainDecimal, Field(le=100)] | None = None


async def close(symbol: str, asked: CloseRequest, account_id: AccountId, shared: Context) -> tuple[int, dict[str, Any]]:
    """Status and body of the answer. Raises ApiError, and what executing an order raises."""
    (held,) = await shared.database.fetch(_POSITION, account_id, symbol)
    total = held["available"] + held["reserved"]
    if not total:
        raise ApiError(404, "position does not exist")
    quantity = _quantity(asked, abs(total), 1 if held["fractionable"] else held["lot"])
    available = max(0, held["available"] if total > 0 else -total - held["buying"])
    if quantity > available:
        return 403, _insufficient(symbol, quantity, available, abs(total))
    name = uuid5(NAMESPACE_OID, f"{account_id} {symbol} {held['newest']} {quantity}")
    command = PlaceOrder(
        at_ns=0,
        account_id=account_id,
        client_order_id=f"close-{name}",
        symbol=Symbol(symbol),
        side=SELL if total > 0 else BUY,
        order_type=OrderType.MARKET,
        time_in_force=TimeInForce.DAY,
        quantity=quantity,
        limit_price_micros=None,
    )
    outcome = await execute(command, shared)
    if isinstance(outcome, Denied):
        raise refusal(outcome)
    assert outcome.order is not None
    return 200, public_order(outcome.order)


async def close_all(symbols: Iterable[str], account_id: AccountId, shared: Context) -> list[dict[str, Any]]:
    """Each position's symbol, status and body: the order, or why there is none."""
    return list(await asyncio.gather(*(_close_one(symbol, account_id, shared) for symbol in symbols)))


async def _close_one(symbol: str, account_id: AccountId, shared: Context) -> dict[str, Any]:
    try:
        status, body = await close(symbol, CloseRequest(), account_id, shared)
    except ANSWERED as error:
        refused = answer_to(error)
        status, body = refused.status_code, {**msgspec.json.decode(refused.body), "symbol": symbol}
    return {"symbol": symbol, "status": status, "body": body}


def _quantity(asked: CloseRequest, held: int, step: int) -> int:
    """In micro-shares. A percentage is rounded down to what can be traded."""
    if asked.qty is not None and asked.percentage is not None:
        raise ApiError(422, "close either a qty or a percentage of the position")
    if asked.percentage is not None:
        part = int((held * asked.percentage / 100).to_integral_value(ROUND_DOWN)) // step * step
        if not part:
            raise ApiError(422, f"{asked.percentage} % of the position is less than can be traded")
        return part
    if asked.qty is None:
        return held
    quantity = asked.qty * MICROS_PER_SHARE
    if quantity != quantity.to_integral_value():
        raise ApiError(422, "qty: finer than a millionth of a share")
    return int(quantity)


def _insufficient(symbol: str, quantity: int, available: int, held: int) -> dict[str, Any]:
    asked, free = shares_text(quantity), shares_text(available)
    return {
        "code": 40310000,
        "message": f"insufficient qty available for order (requested: {asked}, available: {free})",
        "symbol": symbol,
        "existing_qty": shares_text(held),
        "held_for_orders": shares_text(held - available),
        "available": free,
    }
