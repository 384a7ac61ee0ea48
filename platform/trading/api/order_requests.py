"""What clients may ask of /v2/orders, and the commands it becomes.

One field is not Alpaca's: ``post_only: true`` on a limit order refuses it rather than let it take liquidity, as the
venues that have it call it. ``position_intent`` must fit the side and says nothing else: what an order may do to a
position, the account's kind decides.
"""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Final, Literal
from uuid import uuid4

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from trading.api.errors import WRONG_PARAMETER, ApiError
from trading.core.commands import PlaceOrder, ReplaceOrder
from trading.core.orders import (
    MAX_CLIENT_ORDER_ID_LENGTH,
    MICROS_PER_DOLLAR,
    MICROS_PER_SHARE,
    OPEN_STATUSES,
    PLAIN,
    PPM,
    AccountId,
    OrderClass,
    OrderStatus,
    OrderType,
    Side,
    SpecialTerms,
    Symbol,
    TimeInForce,
)
from trading.wire.orders import OrderView

CLIENT_ORDER_ID: Final = r"^[A-Za-z0-9_.:\-]+$"
_PLAIN_DECIMAL: Final = re.compile(r"[+-]?[0-9.]+([eE][+-]?[0-9]+)?", re.ASCII)


def _plain(value: object) -> object:
    """Python reads more as a number than a client can have meant: other alphabets' digits, spaces, underscores."""
    if isinstance(value, str) and not _PLAIN_DECIMAL.fullmatch(value):
        raise ValueError("expected a plain decimal, as in 101.50")
    return value


# More than any order may have, and little enough to be counted in millionths on the wire.
_MOST: Final = 10**12
PlainDecimal = Annotated[Decimal, BeforeValidator(_plain), Field(gt=0, le=_MOST, max_digits=18, decimal_places=9)]
_ClientOrderId = Annotated[str, Field(min_length=1, max_length=MAX_CLIENT_ORDER_ID_LENGTH, pattern=CLIENT_ORDER_ID)]

_Intent = Literal["buy_to_open", "buy_to_close", "sell_to_open", "sell_to_close"]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class TakeProfit(_Body):
    limit_price: PlainDecimal


class StopLoss(_Body):
    stop_price: PlainDecimal
    limit_price: PlainDecimal | None = None


class OrderRequest(_Body):
    """Body of POST /v2/orders. ``qty``, ``notional`` and prices are decimals, as strings or JSON numbers."""

    symbol: Annotated[str, Field(min_length=1, max_length=16, pattern=r"^[A-Z][A-Z0-9.]*$")]
    qty: PlainDecimal | None = None
    notional: PlainDecimal | None = None
    side: Side
    type: OrderType
    time_in_force: TimeInForce
    limit_price: PlainDecimal | None = None
    stop_price: PlainDecimal | None = None
    trail_price: PlainDecimal | None = None
    trail_percent: PlainDecimal | None = None
    client_order_id: _ClientOrderId | None = None
    order_class: OrderClass | Literal[""] | None = None
    take_profit: TakeProfit | None = None
    stop_loss: StopLoss | None = None
    position_intent: _Intent | None = None
    post_only: bool = False
    extended_hours: Literal[False] = False

    @property
    def in_fractions(self) -> bool:
        """For a sum, or for a part of a share."""
        return self.qty is None or self.qty % 1 != 0

    def command(self, account_id: AccountId) -> PlaceOrder:
        """Raises ApiError for what no command can say; what no order may say, the exchange refuses."""
        if (self.qty is None) == (self.notional is None):
            raise ApiError(422, "an order has either qty or notional", code=WRONG_PARAMETER)
        if self.position_intent is not None and not self.position_intent.startswith(self.side):
            raise ApiError(422, f"to {self.side} is no {self.position_intent}", code=WRONG_PARAMETER)
        limit_price = self.limit_price
        if self.order_class is OrderClass.OCO and limit_price is None and self.take_profit:
            limit_price = self.take_profit.limit_price
        special = self._special()
        return PlaceOrder(
            at_ns=0,
            account_id=account_id,
            client_order_id=self.client_order_id or str(uuid4()),
            symbol=Symbol(self.symbol),
            side=self.side,
            order_type=self.type,
            time_in_force=self.time_in_force,
            quantity=_shares(self.qty) or 0,
            limit_price_micros=_dollars(limit_price, "limit_price"),
            special=None if special == PLAIN else special,
        )

    def _special(self) -> SpecialTerms:
        exit_, stop = self.take_profit, self.stop_loss
        return SpecialTerms(
            stop_price_micros=_dollars(self.stop_price, "stop_price"),
            trail_micros=_dollars(self.trail_price, "trail_price"),
            trail_ppm=_ppm(self.trail_percent, "trail_percent"),
            notional_micros=_dollars(self.notional, "notional"),
            post_only=self.post_only,
            order_class=self.order_class or OrderClass.SIMPLE,
            take_profit_micros=_dollars(exit_.limit_price if exit_ else None, "take_profit.limit_price"),
            stop_loss_micros=_dollars(stop.stop_price if stop else None, "stop_loss.stop_price"),
            stop_loss_limit_micros=_dollars(stop.limit_price if stop else None, "stop_loss.limit_price"),
        )


class ReplaceRequest(_Body):
    """Body of PATCH /v2/orders/{id}. ``trail`` is in dollars or percent, as the order's own trail is."""

    qty: PlainDecimal | None = None
    time_in_force: TimeInForce | None = None
    limit_price: PlainDecimal | None = None
    stop_price: PlainDecimal | None = None
    trail: PlainDecimal | None = None
    client_order_id: _ClientOrderId | None = None

    @property
    def in_fractions(self) -> bool:
        return self.qty is not None and self.qty % 1 != 0

    def command(self, account_id: AccountId, order: OrderView) -> ReplaceOrder:
        by_percent = order.special is not None and order.special.trail_ppm is not None
        return ReplaceOrder(
            at_ns=0,
            account_id=account_id,
            order_id=order.order_id,
            client_order_id=self.client_order_id or str(uuid4()),
            quantity=_shares(self.qty),
            limit_price_micros=_dollars(self.limit_price, "limit_price"),
            stop_price_micros=_dollars(self.stop_price, "stop_price"),
            trail=_ppm(self.trail, "trail") if by_percent else _dollars(self.trail, "trail"),
            time_in_force=self.time_in_force,
        )


def _shares(value: Decimal | None) -> int | None:
    return _whole(value, MICROS_PER_SHARE, "qty: finer than a millionth of a share")


def _dollars(value: Decimal | None, name: str) -> int | None:
    return _whole(value, MICROS_PER_DOLLAR, f"{name}: finer than a micro-dollar")


def _ppm(percent: Decimal | None, name: str) -> int | None:
    return _whole(percent, PPM // 100, f"{name}: finer than a ten-thousandth of a percent")


def _whole(value: Decimal | None, units: int, complaint: str) -> int | None:
    if value is None:
        return None
    scaled = value * units
    if scaled != scaled.to_integral_value():
        raise ApiError(422, complaint, code=WRONG_PARAMETER)
    return int(scaled)


class StatusFilter(StrEnum):
    OPEN = "open"
    CLOSED = "closed"
    ALL = "all"


STATUSES: Final = {
    StatusFilter.OPEN: sorted(OPEN_STATUSES),
    StatusFilter.CLOSED: sorted(set(OrderStatus) - OPEN_STATUSES),
    StatusFilter.ALL: None,
}


class ListRequest(BaseModel):
    """Query of GET /v2/orders. ``after`` and ``until`` bound the time of submission, exclusively.

    ``nested`` puts legs below their parent; a leg whose parent is not listed stays on its own.
    """

    model_config = ConfigDict(extra="forbid")

    status: StatusFilter = StatusFilter.OPEN
    limit: Annotated[int, Field(ge=1, le=500)] = 50
    after: datetime | None = None
    until: datetime | None = None
    direction: Literal["asc", "desc"] = "desc"
    symbols: Annotated[str | None, Field(pattern=r"^[A-Z0-9.,]*$")] = None
    side: Side | None = None
    nested: bool = False
