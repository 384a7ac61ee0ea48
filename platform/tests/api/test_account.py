"""What an account is worth and may still do, with worked numbers."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from tests.admin.office import Office, Trader
from tests.api.venue import Venue

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]

# Every field of alpaca-py's TradeAccount, but for pending transfers: money arrives at once.
FIELDS = {
    *("id", "account_number", "status", "crypto_status", "currency", "buying_power", "regt_buying_power"),
    *("daytrading_buying_power", "non_marginable_buying_power", "cash", "accrued_fees", "portfolio_value"),
    *("pattern_day_trader", "trading_blocked", "transfers_blocked", "account_blocked", "created_at"),
    *("trade_suspended_by_user", "multiplier", "shorting_enabled", "equity", "last_equity", "long_market_value"),
    *("short_market_value", "initial_margin", "maintenance_margin", "last_maintenance_margin", "sma"),
    *("daytrade_count", "options_buying_power", "options_approved_level", "options_trading_level"),
}
MONEY = ("cash", "equity", "long_market_value", "short_market_value", "buying_power", "initial_margin")


async def account_of(who: Trader) -> dict[str, Any]:
    status, account = await who.ask("GET", "/v2/account")
    assert status == 200
    found: dict[str, Any] = account
    return found


async def money_of(who: Trader) -> tuple[str, ...]:
    account = await account_of(who)
    return tuple(account[name] for name in MONEY)


async def test_a_new_account_has_every_field_and_what_came_in(office: Office) -> None:
    before_ns = time.time_ns()
    account = await account_of(await office.trader("2500.5"))
    assert set(account) >= FIELDS
    assert "pending_transfer_in" not in account
    opened = datetime.fromisoformat(account["created_at"][:26] + "+00:00")
    assert before_ns // 1_000_000_000 - 1 <= opened.timestamp() <= time.time() + 1
    assert (account["cash"], account["equity"], account["last_equity"]) == ("2500.50", "2500.50", "0.00")
    assert (account["status"], account["currency"], account["multiplier"]) == ("ACTIVE", "USD", "1")
    assert account["balance_asof"] < f"{datetime.now(UTC):%Y-%m-%d}"


async def test_a_cash_accounts_money_goes_into_shares_and_open_orders(office: Office) -> None:
    """Of 1,000, 10 shares at 12 take 120 and an open purchase of 5 at 8 reserves 40; then the price falls to 11."""
    venue, trader = await Venue.opened(office), await office.trader("1000")
    await venue.trade(trader, "buy", 10, "12.00")
    await venue.order(trader, "buy", 5, "8.00")
    assert await money_of(trader) == ("880.00", "1000.00", "120.00", "0.00", "840.00", "160.00")
    await venue.trade(await office.trader(), "buy", 1, "11.00")
    assert await money_of(trader) == ("880.00", "990.00", "110.00", "0.00", "840.00", "150.00")


async def test_a_margin_accounts_short_position_takes_buying_power(office: Office) -> None:
    """1,000 buy for 2,000. 20 shares sold short at 10 bring 200 of cash and owe 200: 1,800 are left to buy for.

    At 15 they owe 300: the equity is 900, and 2 * 900 - 300 = 1,500 are left.
    """
    venue, trader = await Venue.opened(office), await office.trader("1000", multiplier=2)
    await venue.trade(trader, "sell", 20, "10.00")
    assert await money_of(trader) == ("1200.00", "1000.00", "0.00", "-200.00", "1800.00", "100.00")
    await venue.trade(await office.trader(), "buy", 1, "15.00")
    assert await money_of(trader) == ("1200.00", "900.00", "0.00", "-300.00", "1500.00", "150.00")
    account = await account_of(trader)
    assert (account["shorting_enabled"], account["multiplier"]) == (True, "2")
    assert account["non_marginable_buying_power"] == "1200.00"


async def test_a_replaced_order_reserves_what_the_new_one_needs(office: Office) -> None:
    """10 at 10 reserve 100; replaced by 4 at 20 of which 1 is bought at 18, 60 stay reserved and 18 are spent."""
    venue, trader = await Venue.opened(office), await office.trader("1000")
    placed = await venue.order(trader, "buy", 10, "10.00")
    status, _ = await trader.ask("PATCH", f"/v2/orders/{placed['id']}", {"qty": "4", "limit_price": "20.00"})
    assert status == 200
    assert (await account_of(trader))["buying_power"] == "920.00"
    await venue.order(venue.maker, "sell", 1, "18.00")  # at the bid, which is 20
    assert await money_of(trader) == ("980.00", "1000.00", "20.00", "0.00", "920.00", "80.00")


async def test_history_ends_with_what_the_account_is_worth_now(office: Office) -> None:
    """1,000 came in; 10 shares at 12 are worth 110 once the price is 11: 990."""
    venue, trader = await Venue.opened(office), await office.trader("1000")
    await venue.trade(trader, "buy", 10, "12.00")
    await venue.trade(await office.trader(), "buy", 1, "11.00")
    query = "period=2D&timeframe=1D&cashflow_types=ALL"
    status, history = await trader.ask("GET", f"/v2/account/portfolio/history?{query}")
    assert (status, history["equity"], history["timeframe"]) == (200, [0.0, 990.0], "1D")
    assert history["cashflow"] == {"CSD": [0.0, 1000.0]}
    assert (history["base_value"], history["profit_loss"], history["profit_loss_pct"]) == (
        990.0,
        [0.0, 0.0],
        [None, 0.0],
    )
    assert history["equity"][-1] == float((await account_of(trader))["equity"])
    status, minutes = await trader.ask("GET", "/v2/account/portfolio/history?period=1D&timeframe=1Min")
    assert (status, minutes["equity"][-1]) == (200, 990.0)
    assert len(minutes["timestamp"]) == len(minutes["equity"]) == len(minutes["profit_loss"])
    assert {later - earlier for earlier, later in pairwise(minutes["timestamp"])} <= {60}
    for wrong in ("period=1X", "timeframe=2Min", "period=1A&timeframe=1Min", "colour=red", "cashflow_types=XX"):
        assert (await trader.ask("GET", f"/v2/account/portfolio/history?{wrong}"))[0] == 422
