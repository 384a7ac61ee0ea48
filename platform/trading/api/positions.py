"""/v2/positions: what an account holds, at which profit, and the orders that close it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Response

from trading.api.answer import answer
from trading.api.closing import CloseRequest, close, close_all
from trading.api.context import Caller, Context, ContextOf
from trading.api.errors import ApiError
from trading.api.holdings import Account, Holding, value_of
from trading.api.orders import cancel_all_orders
from trading.core.orders import MICROS_PER_SHARE, AccountId
from trading.wire.orders import EXCHANGE, asset_uuid, decimal_text, shares_text

router = APIRouter(prefix="/v2")

_RATIO: Final = Decimal("1e-10")

# What an account traded today, by symbol: shares and money, bought and sold.
_TODAY: Final = """
SELECT symbol, sum(quantity) FILTER (WHERE side = 'buy') AS bought, sum(quantity) FILTER (WHERE side = 'sell') AS sold,
    sum(div(quantity::numeric * price_micros, 1000000)) FILTER (WHERE side = 'buy')::bigint AS paid,
    sum(div(quantity::numeric * price_micros, 1000000)) FILTER (WHERE side = 'sell')::bigint AS got
FROM fills WHERE account_id = $1 AND sequence > $2 AND symbol = ANY($3) GROUP BY symbol
"""


@dataclass(frozen=True, slots=True)
class Day:
    """Of one symbol: its price at midnight, and what the position has cost by today's reckoning.

    A position that was opened today has cost what it has cost. One that was there at midnight came in at the price of
    then, and what was added to it today at its own price: together they have an average price, and what is left of them
    costs so much. 100 shares from yesterday's close at 10 and 100 bought today at 12 cost 11 each; if 150 are left,
    their basis is 1,650.
    """

    close_micros: int
    basis_micros: int


@router.get("/positions")
async def list_positions(account_id: Caller, shared: ContextOf) -> Response:
    account = await shared.reads.account(account_id)
    held = [holding for holding in account.holdings if holding.total]
    return answer(await _shown(held, account, account_id, shared))


@router.delete("/positions", status_code=207)
async def close_all_positions(account_id: Caller, shared: ContextOf, cancel_orders: bool = False) -> Response:
    """One closing order a position; 207 with each one's own status."""
    if cancel_orders:
        await cancel_all_orders(account_id, shared)
    account = await shared.reads.account(account_id)
    return answer(await close_all([h.symbol for h in account.holdings if h.total], account_id, shared), 207)


@router.get("/positions/{symbol}")
async def get_position(symbol: str, account_id: Caller, shared: ContextOf) -> Response:
    """By symbol or asset id."""
    account = await shared.reads.account(account_id)
    (position,) = await _shown([_held(account, symbol)], account, account_id, shared)
    return answer(position)


@router.delete("/positions/{symbol}")
async def close_position(
    symbol: str, query: Annotated[CloseRequest, Query()], account_id: Caller, shared: ContextOf
) -> Response:
    """A market order for all of it, a quantity or a percentage; what was sold short is bought back."""
    holding = _held(await shared.reads.account(account_id), symbol)
    status, body = await close(holding.symbol, query, account_id, shared)
    return answer(body, status)


def _held(account: Account, symbol: str) -> Holding:
    """Raises ApiError when the account has none of it."""
    wanted = symbol.lower()
    for holding in account.holdings:
        if holding.total and (holding.symbol == symbol or str(asset_uuid(holding.symbol)) == wanted):
            return holding
    raise ApiError(404, "position does not exist")


async def _shown(
    holdings: Sequence[Holding], account: Account, account_id: AccountId, shared: Context
) -> list[dict[str, Any]]:
    days = await _days(holdings, account, account_id, shared)
    return [public_position(holding, days[holding.symbol]) for holding in holdings]


async def _days(
    holdings: Sequence[Holding], account: Account, account_id: AccountId, shared: Context
) -> Mapping[str, Day]:
    closes = await shared.yesterday.closes([holding.symbol for holding in holdings])
    opening = await shared.yesterday.opening(account_id, account)
    since = {h.symbol: opening.quantities.get(h.symbol, 0) for h in holdings}
    older = [holding.symbol for holding in holdings if since[holding.symbol] * holding.total > 0]
    rows = await shared.database.fetch(_TODAY, account_id, opening.sequence, older) if older else []
    today = {row["symbol"]: row for row in rows}
    days = {}
    for holding in holdings:
        close_micros, basis = closes.get(holding.symbol, holding.listed_micros), holding.cost_micros
        if holding.symbol in older:
            row = today.get(holding.symbol)
            added = ("bought", "paid") if holding.total > 0 else ("sold", "got")
            more, cost = (0, 0) if row is None else (int(row[added[0]] or 0), int(row[added[1]] or 0))
            before = abs(since[holding.symbol])
            basis = holding.total * (value_of(before, close_micros) + cost) // (before + more)
        days[holding.symbol] = Day(close_micros, basis)
    return days


def public_position(holding: Holding, day: Day) -> dict[str, Any]:
    """A short position's quantity, value and cost are below zero. Ratios are fractions, 0.05 for five percent."""
    value, cost, total = holding.value_micros, holding.cost_micros, holding.total
    gain, gain_today = value - cost, value - day.basis_micros
    return {
        "asset_id": str(asset_uuid(holding.symbol)),
        "symbol": holding.symbol,
        "exchange": EXCHANGE,
        "asset_class": "us_equity",
        "asset_marginable": True,
        "side": "long" if total > 0 else "short",
        "qty": shares_text(total),
        "qty_available": shares_text(holding.available if total > 0 else total),
        "avg_entry_price": decimal_text(cost * MICROS_PER_SHARE // total),
        "cost_basis": decimal_text(cost),
        "market_value": decimal_text(value),
        "current_price": decimal_text(holding.mark_micros),
        "unrealized_pl": decimal_text(gain),
        "unrealized_plpc": ratio_text(gain, abs(cost)),
        "unrealized_intraday_pl": decimal_text(gain_today),
        "unrealized_intraday_plpc": ratio_text(gain_today, abs(day.basis_micros)),
        "lastday_price": decimal_text(day.close_micros),
        "change_today": ratio_text(holding.mark_micros - day.close_micros, day.close_micros),
    }


def ratio_text(part: int, whole: int) -> str:
    """Ten decimals at most; 0 of nothing."""
    ratio = (Decimal(part) / whole).quantize(_RATIO) if whole else Decimal()
    return f"{ratio.normalize():f}"
