"""The least a FastAPI service can do: validate an order and answer, or read nothing and answer. The platform's peer."""

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


@app.get("/v2/account")
async def read() -> dict[str, Any]:
    return {"id": "1", "status": "ACTIVE", "currency": "USD", "cash": "1.00", "equity": "1.00", "buying_power": "1.00"}
