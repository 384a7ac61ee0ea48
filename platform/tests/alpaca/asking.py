"""How the tests of Alpaca's clients place, read and count."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide, TimeInForce
from alpaca.trading.models import Order
from alpaca.trading.requests import GetOrderByIdRequest, LimitOrderRequest, MarketOrderRequest, OrderRequest

from tests.conftest import ALPACA

BUY, SELL = OrderSide.BUY, OrderSide.SELL
DAY = TimeInForce.DAY


def limit(side: OrderSide, qty: float, price: float, **more: Any) -> LimitOrderRequest:
    terms = {"symbol": ALPACA, "side": side, "qty": qty, "limit_price": price, "time_in_force": DAY, **more}
    return LimitOrderRequest(**terms)


def market(side: OrderSide, **more: Any) -> MarketOrderRequest:
    return MarketOrderRequest(**{"symbol": ALPACA, "side": side, "time_in_force": DAY, **more})


def placed(client: TradingClient, request: OrderRequest) -> Order:
    order = client.submit_order(request)
    assert isinstance(order, Order)
    return order


def read(client: TradingClient, order: Order, *, nested: bool = False) -> Order:
    found = client.get_order_by_id(order.id, GetOrderByIdRequest(nested=nested))
    assert isinstance(found, Order)
    return found


def refusal(call: Callable[..., object], *arguments: object) -> tuple[int, int, str]:
    """Status, code and message of the error that the call raises."""
    with pytest.raises(APIError) as caught:
        call(*arguments)
    return caught.value.status_code, caught.value.code, caught.value.message
