"""/v2/account, /v2/positions: what an account holds and may still do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from fastapi import APIRouter, Response

from trading.api.answer import answer
from trading.api.context import Caller, ContextOf
from trading.core.events import CASH
from trading.core.orders import MICROS_PER_SHARE, AccountId
from trading.infra.database import Pool
from trading.wire.orders import EXCHANGE, asset_uuid, decimal_text, shares_text

router = APIRouter(prefix="/v2")

# Every holding with its mark: the last trade's price, or the reference price while none has happened.
_HOLDINGS: Final = """
SELECT b.asset, b.available, b.reserved, b.cost_micros,
    coalesce(m.last_price_micros, m.reference_price_micros, 0) AS mark_micros
FROM balances b LEFT JOIN markets m ON m.symbol = b.asset WHERE b.account_id = $1 ORDER BY b.asset
"""

_TERMS: Final = """
SELECT a.multiplier, a.blocked, coalesce(own.engaged, false) AS killed, coalesce(everybody.engaged, false) AS all_killed
FROM accounts a
LEFT JOIN kill_switches own ON own.account_id = a.account_id
LEFT JOIN kill_switches everybody ON everybody.account_id = 0
WHERE a.account_id = $1
"""


@dataclass(frozen=True, slots=True)
class Holding:
    """Shares of one symbol in micro-shares, below zero for what was sold short, and what the position cost."""

    symbol: str
    available: int
    reserved: int
    cost_micros: int
    mark_micros: int

    @property
    def total(self) -> int:
        return self.available + self.reserved

    @property
    def value_micros(self) -> int:
        """Rounded against the account: down for what it has, and what it owes up."""
        return self.total * self.mark_micros // MICROS_PER_SHARE

    @property
    def exposure_micros(self) -> int:
        """What the buying power must carry: what is held, and what is sold or may be sold short."""
        short_micros = min(self.available, 0) * self.mark_micros // MICROS_PER_SHARE
        return max(self.value_micros, 0) - short_micros


@dataclass(frozen=True, slots=True)
class Funds:
    """All an account holds, valued by the exchange's rules."""

    available: int
    reserved: int
    holdings: list[Holding]

    @property
    def equity(self) -> int:
        return self.available + self.reserved + sum(holding.value_micros for holding in self.holdings)

    @property
    def exposure(self) -> int:
        return sum(holding.exposure_micros for holding in self.holdings) + self.reserved

    def buying_power(self, multiplier: int) -> int:
        """A cash account's is its free cash."""
        return self.available if multiplier == 1 else multiplier * self.equity - self.exposure


async def _funds(account_id: AccountId, database: Pool) -> Funds:
    rows = await database.fetch(_HOLDINGS, account_id)
    available, reserved = next(((row["available"], row["reserved"]) for row in rows if row["asset"] == CASH), (0, 0))
    return Funds(available, reserved, [Holding(*row) for row in rows if row["asset"] != CASH])


@router.get("/account")
async def get_account(account_id: Caller, shared: ContextOf) -> Response:
    funds = await _funds(account_id, shared.database)
    (terms,) = await shared.database.fetch(_TERMS, account_id)
    multiplier = terms["multiplier"]
    equity, power = decimal_text(funds.equity), decimal_text(funds.buying_power(multiplier))
    values = [holding.value_micros for holding in funds.holdings]
    return answer(
        {
            "id": str(asset_uuid(f"account {account_id}")),
            "account_number": f"{account_id:09d}",
            "status": "ACTIVE",
            "currency": "USD",
            "cash": decimal_text(funds.available + funds.reserved),
            "buying_power": power,
            "regt_buying_power": power,
            "daytrading_buying_power": "0",
            "non_marginable_buying_power": decimal_text(max(funds.available, 0)),
            "multiplier": str(multiplier),
            "equity": equity,
            "last_equity": equity,
            "portfolio_value": equity,
            "long_market_value": decimal_text(sum(value for value in values if value > 0)),
            "short_market_value": decimal_text(sum(value for value in values if value < 0)),
            "initial_margin": decimal_text(funds.exposure // multiplier) if multiplier > 1 else "0",
            "maintenance_margin": "0",
            "daytrade_count": 0,
            "pattern_day_trader": False,
            "trading_blocked": terms["blocked"] or terms["killed"] or terms["all_killed"],
            "transfers_blocked": False,
            "account_blocked": terms["blocked"],
            "trade_suspended_by_user": terms["killed"],
            "shorting_enabled": multiplier > 1,
        }
    )


@router.get("/positions")
async def list_positions(account_id: Caller, shared: ContextOf) -> Response:
    funds = await _funds(account_id, shared.database)
    return answer([_position(holding) for holding in funds.holdings if holding.total])


def _position(holding: Holding) -> dict[str, Any]:
    value, cost = holding.value_micros, holding.cost_micros
    return {
        "asset_id": str(asset_uuid(holding.symbol)),
        "symbol": holding.symbol,
        "exchange": EXCHANGE,
        "asset_class": "us_equity",
        "asset_marginable": False,
        "side": "long" if holding.total > 0 else "short",
        "qty": shares_text(holding.total),
        "qty_available": shares_text(holding.available),
        "avg_entry_price": decimal_text(cost * MICROS_PER_SHARE // holding.total),
        "cost_basis": decimal_text(cost),
        "market_value": decimal_text(value),
        "current_price": decimal_text(holding.mark_micros),
        "unrealized_pl": decimal_text(value - cost),
    }
