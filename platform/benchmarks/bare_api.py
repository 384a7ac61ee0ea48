"""The least a FastAPI service can do with an order: parse and validate the body, answer. The peer of the order path."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()


class Order(BaseModel):
    symbol: str
    qty: str
    side: str
    type: str
    time_in_force: str
    limit_price: str
    client_order_id: str


@app.post("/v2/orders")
async def place(order: Order) -> dict[str, Any]:
    return order.model_dump()
