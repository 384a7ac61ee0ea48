"""/v2/account: what an account is worth and may still do."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Response

from trading.api.answer import answer
from trading.api.context import Caller, ContextOf
from trading.wire.market_data import DAY_NS
from trading.wire.orders import asset_uuid, decimal_text, rfc3339

router = APIRouter(prefix="/v2")

# What has no meaning here, as Alpaca shows it to an account that does not use it.
_CONSTANTS: Final = {
    "status": "ACTIVE",
    "crypto_status": "INACTIVE",
    "currency": "USD",
    "daytrading_buying_power": "0",
    "bod_dtbp": "0",
    "options_buying_power": "0",
    "options_approved_level": 0,
    "options_trading_level": 0,
    "pattern_day_trader": False,
    "daytrade_count": 0,
    "maintenance_margin": "0",
    "last_maintenance_margin": "0",
    "sma": "0",
    "accrued_fees": "0",
    "intraday_adjustments": "0",
    "pending_reg_taf_fees": "0",
    "transfers_blocked": False,
    "admin_configurations": {},
    "user_configurations": None,
}


@router.get("/account")
async def get_account(account_id: Caller, shared: ContextOf) -> Response:
    """The account as its own ledger has it, at the markets' last prices.

    ``last_equity`` is that of the last midnight UTC, where a day ends here. Constant are: the status and
    ``transfers_blocked`` (an account is never half open); day trading and options (there are no such rules, nor
    options); ``maintenance_margin`` and ``sma`` (nothing is ever sold by force); ``accrued_fees`` (fees are paid with
    the trade that causes them). Absent are pending transfers: money arrives at once.
    """
    account = await shared.reads.account(account_id)
    opening = await shared.yesterday.opening(account_id, account)
    values = [holding.value_micros for holding in account.holdings]
    equity, power = decimal_text(account.equity), decimal_text(max(account.buying_power, 0))
    long, short = sum(value for value in values if value > 0), sum(value for value in values if value < 0)
    return answer(
        {
            "id": account_uuid(account_id),
            "account_number": f"{account_id:09d}",
            **_CONSTANTS,
            "cash": decimal_text(account.cash),
            "buying_power": power,
            "regt_buying_power": power,
            "effective_buying_power": power,
            "non_marginable_buying_power": decimal_text(max(account.available, 0)),
            "multiplier": str(account.multiplier),
            "equity": equity,
            "last_equity": decimal_text(opening.equity),
            "portfolio_value": equity,
            "position_market_value": decimal_text(long + short),
            "long_market_value": decimal_text(long),
            "short_market_value": decimal_text(short),
            "initial_margin": decimal_text(account.exposure // account.multiplier),
            "balance_asof": rfc3339(shared.yesterday.midnight_ns - DAY_NS)[:10],
            "trading_blocked": account.blocked or account.killed,
            "account_blocked": account.blocked and not account.suspended,
            "trade_suspended_by_user": account.blocked and account.suspended,
            "shorting_enabled": account.multiplier > 1,
            "created_at": rfc3339(account.opened_at_ns),
        }
    )


def account_uuid(account_id: int) -> str:
    return str(asset_uuid(f"account {account_id}"))
