"""The market order that closes a position, wholly or in part.

Its client_order_id is made of what it was asked for and of the account's newest order in that market. Whoever asks
again, or twice at once, before that order is there names the same one and gets it, not a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import ROUND_DOWN
from typing import Annotated, Any, Final
from uuid import NAMESPACE_OID, uuid5

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from trading.api.context import Context
from trading.api.errors import ANSWERED, ApiError, answer_to, refusal
from trading.api.holdings import Holding
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

# The newest order, the lot, and the shares that open orders are going to buy back.
_MARKET: Final = """
SELECT lot, fractionable, (
    SELECT order_id FROM orders WHERE account_id = $1 AND symbol = $2 ORDER BY order_id DESC LIMIT 1
) AS newest, (
    SELECT coalesce(sum(quantity - filled_quantity - reduced_quantity), 0)::bigint FROM orders
    WHERE account_id = $1 AND status IN ('new', 'partially_filled') AND symbol = $2 AND side = 'buy'
) AS buying
FROM instruments WHERE symbol = $2
"""


class CloseRequest(BaseModel):
    """Query of DELETE /v2/positions/{symbol}."""

    model_config = ConfigDict(extra="forbid")

    qty: PlainDecimal | None = None
    percentage: Annotated[PlainDecimal, Field(le=100)] | None = None


async def close(
    holding: Holding, asked: CloseRequest, account_id: AccountId, shared: Context
) -> tuple[int, dict[str, Any]]:
    """Status and body of the answer. Raises ApiError, and what executing an order raises."""
    (market,) = await shared.database.fetch(_MARKET, account_id, holding.symbol)
    step = 1 if market["fractionable"] else market["lot"]
    quantity = _quantity(asked, abs(holding.total), step)
    available = holding.available if holding.total > 0 else -holding.total - market["buying"]
    if quantity > max(available, 0):
        return 403, _insufficient(holding, quantity, max(available, 0))
    name = uuid5(NAMESPACE_OID, f"{account_id} {holding.symbol} {market['newest']} {quantity}")
    command = PlaceOrder(
        at_ns=0,
        account_id=account_id,
        client_order_id=f"close-{name}",
        symbol=Symbol(holding.symbol),
        side=SELL if holding.total > 0 else BUY,
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


async def close_all(holdings: Sequence[Holding], account_id: AccountId, shared: Context) -> list[dict[str, Any]]:
    """Each position's symbol, status and body: the order, or why there is none."""
    return list(await asyncio.gather(*(_close_one(holding, account_id, shared) for holding in holdings)))


async def _close_one(holding: Holding, account_id: AccountId, shared: Context) -> dict[str, Any]:
    try:
        status, body = await close(holding, CloseRequest(), account_id, shared)
    except ANSWERED as error:
        refused = answer_to(error)
        status, body = refused.status_code, {**msgspec.json.decode(refused.body), "symbol": holding.symbol}
    return {"symbol": holding.symbol, "status": status, "body": body}


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


def _insufficient(holding: Holding, quantity: int, available: int) -> dict[str, Any]:
    total = abs(holding.total)
    asked, free = shares_text(quantity), shares_text(available)
    return {
        "code": 40310000,
        "message": f"insufficient qty available for order (requested: {asked}, available: {free})",
        "symbol": holding.symbol,
        "existing_qty": shares_text(total),
        "held_for_orders": shares_text(total - available),
        "available": free,
    }
