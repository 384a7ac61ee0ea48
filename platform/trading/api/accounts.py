"""/v2/account, /v2/positions, /v2/clock: what an account holds, and whether the market is open."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from fastapi import APIRouter, Response

from trading.api.answer import answer
from trading.api.context import Caller, Context, ContextOf
from trading.core.events import CASH
from trading.core.orders import AccountId
from trading.wire.orders import asset_uuid, decimal_text

router = APIRouter(prefix="/v2")

# Every holding with the last trade's price and the average price paid; shares brought in cost nothing.
_HOLDINGS: Final = """
SELECT b.asset, b.available, b.reserved, last.price_micros, coalesce(paid.average_micros, 0) AS average_micros
FROM balances b
LEFT JOIN LATERAL (
    SELECT price_micros FROM fills WHERE symbol = b.asset ORDER BY trade_id DESC LIMIT 1
) last ON true
LEFT JOIN LATERAL (
    SELECT sum(price_micros * quantity::numeric)::bigint / sum(quantity)::bigint AS average_micros
    FROM fills WHERE account_id = b.account_id AND symbol = b.asset AND side = 'buy'
) paid ON true
WHERE b.account_id = $1 ORDER BY b.asset
"""


async def _holdings(account_id: AccountId, shared: Context) -> tuple[tuple[int, int], list[dict[str, Any]]]:
    """(available, reserved) cash in micro-dollars, and the positions."""
    rows = await shared.database.fetch(_HOLDINGS, account_id)
    cash = next(((row["available"], row["reserved"]) for row in rows if row["asset"] == CASH), (0, 0))
    return cash, [dict(row) for row in rows if row["asset"] != CASH and row["available"] + row["reserved"]]


def _value_micros(holding: dict[str, Any]) -> int:
    quantity: int = holding["available"] + holding["reserved"]
    return quantity * (holding["price_micros"] or 0)


@router.get("/account")
async def get_account(account_id: Caller, shared: ContextOf) -> Response:
    (available, reserved), holdings = await _holdings(account_id, shared)
    long_value = sum(_value_micros(holding) for holding in holdings)
    equity = decimal_text(available + reserved + long_value)
    power = decimal_text(available)
    return answer(
        {
            "id": str(asset_uuid(f"account {account_id}")),
            "account_number": f"{account_id:09d}",
            "status": "ACTIVE",
            "currency": "USD",
            "cash": decimal_text(available + reserved),
            "buying_power": power,
            "regt_buying_power": power,
            "daytrading_buying_power": "0",
            "non_marginable_buying_power": power,
            "multiplier": "1",
            "equity": equity,
            "last_equity": equity,
            "portfolio_value": equity,
            "long_market_value": decimal_text(long_value),
            "short_market_value": "0",
            "initial_margin": "0",
            "maintenance_margin": "0",
            "daytrade_count": 0,
            "pattern_day_trader": False,
            "trading_blocked": False,
            "transfers_blocked": False,
            "account_blocked": False,
            "trade_suspended_by_user": False,
            "shorting_enabled": False,
        }
    )


@router.get("/positions")
async def list_positions(account_id: Caller, shared: ContextOf) -> Response:
    _, holdings = await _holdings(account_id, shared)
    return answer([_position(holding) for holding in holdings])


def _position(holding: dict[str, Any]) -> dict[str, Any]:
    quantity = holding["available"] + holding["reserved"]
    value, cost = _value_micros(holding), quantity * holding["average_micros"]
    return {
        "asset_id": str(asset_uuid(holding["asset"])),
        "symbol": holding["asset"],
        "exchange": "ELSON",
        "asset_class": "us_equity",
        "asset_marginable": False,
        "side": "long",
        "qty": str(quantity),
        "qty_available": str(holding["available"]),
        "avg_entry_price": decimal_text(holding["average_micros"]),
        "cost_basis": decimal_text(cost),
        "market_value": decimal_text(value),
        "current_price": decimal_text(holding["price_micros"] or 0),
        "unrealized_pl": decimal_text(value - cost),
    }


@router.get("/clock")
async def get_clock() -> Response:
    """The market never closes by itself; a day is a UTC day."""
    now = datetime.now(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return answer(
        {
            "timestamp": now.isoformat(),
            "is_open": True,
            "next_open": midnight.isoformat(),
            "next_close": midnight.isoformat(),
        }
    )
