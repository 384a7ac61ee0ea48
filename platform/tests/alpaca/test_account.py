"""The account, its configuration and its positions through alpaca-py's TradingClient."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import (
    AccountStatus,
    ActivityType,
    AssetClass,
    AssetExchange,
    OrderStatus,
    PositionSide,
    TradeActivityType,
)
from alpaca.trading.models import (
    AccountConfiguration,
    ClosePositionResponse,
    FailedClosePositionDetails,
    NonTradeActivity,
    Order,
    PortfolioHistory,
    Position,
    TradeAccount,
    TradeActivity,
)
from alpaca.trading.requests import ClosePositionRequest, GetPortfolioHistoryRequest

from stack.embedded import EmbeddedStack
from tests.alpaca.asking import BUY, SELL, limit, market, placed, refusal
from tests.alpaca.conftest import trading_client
from tests.conftest import ALPACA, ALPACA_ACCOUNTS

pytestmark = pytest.mark.stack


@pytest.fixture
def holder(platform: EmbeddedStack, other: TradingClient) -> Iterator[TradingClient]:
    """A margin account that owns nothing, before and after."""
    client = trading_client(platform, ALPACA_ACCOUNTS[2])
    yield client
    client.cancel_orders()
    other.cancel_orders()
    for held in client.get("/positions"):
        side, quantity = (SELL, -float(held["qty"])) if held["side"] == "short" else (BUY, float(held["qty"]))
        placed(other, limit(side, quantity, 100))
        client.close_position(ALPACA)
    assert client.get_all_positions() == []


def account(client: TradingClient) -> TradeAccount:
    found = client.get_account()
    assert isinstance(found, TradeAccount)
    return found


def position(client: TradingClient) -> Position:
    found = client.get_open_position(ALPACA)
    assert isinstance(found, Position)
    return found


def dollars(text: str | None) -> float:
    assert text is not None
    return float(text)


# -- the account -----------------------------------------------------------------------------------


def test_an_account_has_what_it_was_given_and_may_buy_for_twice_as_much(holder: TradingClient) -> None:
    before = account(holder)
    assert (before.status, before.currency, before.multiplier) == (AccountStatus.ACTIVE, "USD", "2")
    assert (before.shorting_enabled, before.trading_blocked, before.account_blocked) == (True, False, False)
    assert (before.trade_suspended_by_user, before.transfers_blocked) == (False, False)
    cash = dollars(before.cash)
    assert (dollars(before.equity), dollars(before.portfolio_value)) == (cash, cash)
    assert dollars(before.buying_power) == dollars(before.regt_buying_power) == 2 * cash
    assert (before.long_market_value, before.short_market_value) == ("0.00", "0.00")
    assert before.created_at is not None
    assert before.created_at < datetime.now(UTC)


def test_what_is_bought_and_what_is_asked_for_takes_buying_power(holder: TradingClient, other: TradingClient) -> None:
    before = account(holder)
    placed(other, limit(SELL, 3, 100))
    placed(holder, market(BUY, qty=3))
    placed(holder, limit(BUY, 2, 50))
    after = account(holder)
    assert dollars(after.cash) == dollars(before.cash) - 300
    assert dollars(after.equity) == dollars(before.equity)
    assert (after.long_market_value, dollars(after.initial_margin)) == ("300.00", 200)
    assert dollars(after.buying_power) == dollars(before.buying_power) - 400


# -- configurations --------------------------------------------------------------------------------


def test_an_owner_suspends_trading_and_takes_it_up_again(holder: TradingClient) -> None:
    before = holder.get_account_configurations()
    assert isinstance(before, AccountConfiguration)
    assert (before.suspend_trade, before.no_shorting, before.fractional_trading) == (False, False, True)
    assert before.max_margin_multiplier == "2"
    suspended = holder.set_account_configurations(before.model_copy(update={"suspend_trade": True}))
    assert isinstance(suspended, AccountConfiguration)
    assert suspended.suspend_trade
    assert account(holder).trade_suspended_by_user
    assert refusal(holder.submit_order, limit(BUY, 1, 50))[:2] == (403, 40310000)
    assert holder.set_account_configurations(before) == before
    assert holder.get_account_configurations() == before
    assert placed(holder, limit(BUY, 1, 50)).status is OrderStatus.NEW


def test_an_owner_gives_margin_and_short_sales_up_and_takes_them_back(holder: TradingClient) -> None:
    before = holder.get_account_configurations()
    assert isinstance(before, AccountConfiguration)
    cash_only = before.model_copy(update={"no_shorting": True, "max_margin_multiplier": "1"})
    assert holder.set_account_configurations(cash_only) == cash_only
    assert account(holder).multiplier == "1"
    assert refusal(holder.submit_order, limit(SELL, 1, 100))[:2] == (403, 40310000)
    assert holder.set_account_configurations(before) == before
    assert account(holder).shorting_enabled


# -- positions -------------------------------------------------------------------------------------


def test_a_position_says_what_it_cost_and_what_it_brings(holder: TradingClient, other: TradingClient) -> None:
    placed(other, limit(SELL, 4, 100))
    placed(holder, market(BUY, qty=4))
    placed(other, limit(SELL, 1, 110))
    placed(holder, limit(BUY, 1, 110))
    held = position(holder)
    assert (held.symbol, held.asset_class, held.exchange) == (ALPACA, AssetClass.US_EQUITY, AssetExchange.NASDAQ)
    assert (held.side, held.qty, held.qty_available) == (PositionSide.LONG, "5", "5")
    assert (held.avg_entry_price, held.cost_basis) == ("102.00", "510.00")
    assert (held.current_price, held.market_value, held.unrealized_pl) == ("110.00", "550.00", "40.00")
    assert dollars(held.unrealized_plpc) == pytest.approx(40 / 510)
    assert (held.lastday_price, held.change_today) == ("100.00", "0.1")
    assert holder.get_open_position(held.asset_id) == held
    assert holder.get_all_positions() == [held]
    placed(holder, limit(SELL, 2, 150))
    assert (position(holder).qty, position(holder).qty_available) == ("5", "3")


def test_a_short_position_is_below_zero(holder: TradingClient, other: TradingClient) -> None:
    placed(other, limit(BUY, 2, 100))
    placed(holder, market(SELL, qty=2))
    held = position(holder)
    assert (held.side, held.qty, held.avg_entry_price) == (PositionSide.SHORT, "-2", "100.00")
    assert (held.cost_basis, held.market_value, held.unrealized_pl) == ("-200.00", "-200.00", "0.00")
    assert account(holder).short_market_value == "-200.00"


def test_a_position_is_closed_by_quantity_by_percentage_and_whole(holder: TradingClient, other: TradingClient) -> None:
    placed(other, limit(SELL, 8, 100))
    placed(holder, market(BUY, qty=8))
    placed(other, limit(BUY, 8, 99))
    closed = holder.close_position(ALPACA, ClosePositionRequest(qty="2"))
    assert isinstance(closed, Order)
    assert (closed.side, closed.qty, closed.status, closed.filled_avg_price) == (SELL, "2", OrderStatus.FILLED, "99.00")
    half = holder.close_position(position(holder).asset_id, ClosePositionRequest(percentage="50"))
    assert isinstance(half, Order)
    assert (half.filled_qty, position(holder).qty) == ("3", "3")
    holder.close_position(ALPACA)
    assert refusal(holder.get_open_position, ALPACA)[:2] == (404, 40410000)


def test_all_positions_are_closed_and_each_is_told(holder: TradingClient, other: TradingClient) -> None:
    placed(other, limit(SELL, 2, 100))
    placed(holder, market(BUY, qty=2))
    placed(other, limit(BUY, 2, 100))
    placed(holder, limit(SELL, 1, 150))
    (held_back,) = holder.close_all_positions()
    assert isinstance(held_back, ClosePositionResponse)
    assert isinstance(held_back.body, FailedClosePositionDetails)
    assert (held_back.status, held_back.body.code, held_back.body.available) == (403, 40310000, 1)
    (closed,) = holder.close_all_positions(cancel_orders=True)
    assert isinstance(closed, ClosePositionResponse)
    assert isinstance(closed.body, Order)
    assert (closed.symbol, closed.status, closed.body.filled_qty) == (ALPACA, 200, "2")
    assert holder.get_all_positions() == []


def test_there_is_no_position_where_nothing_is_held(holder: TradingClient) -> None:
    for symbol in (ALPACA, "NONE", uuid4()):
        assert refusal(holder.get_open_position, symbol)[:2] == (404, 40410000)
        assert refusal(holder.close_position, symbol)[:2] == (404, 40410000)
    assert holder.close_all_positions() == []


# -- the past --------------------------------------------------------------------------------------


def test_the_history_ends_with_what_the_account_is_worth(holder: TradingClient, other: TradingClient) -> None:
    placed(other, limit(SELL, 2, 100))
    placed(holder, market(BUY, qty=2))
    placed(other, limit(SELL, 1, 105))
    placed(holder, limit(BUY, 1, 105))
    request = GetPortfolioHistoryRequest(period="1D", timeframe="1H", pnl_reset="no_reset", cashflow_types="ALL")
    history = holder.get_portfolio_history(request)
    assert isinstance(history, PortfolioHistory)
    equity = dollars(account(holder).equity)
    assert (history.timeframe, history.equity[-1]) == ("1H", equity)
    assert history.base_value is not None
    assert history.profit_loss[-1] == pytest.approx(equity - history.base_value)
    assert len(history.timestamp) == len(history.equity) == len(history.profit_loss_pct)
    assert sum(history.cashflow[ActivityType.CSD]) == 100_000
    daily = holder.get_portfolio_history(GetPortfolioHistoryRequest(period="1W", timeframe="1D"))
    assert isinstance(daily, PortfolioHistory)
    assert daily.equity[-1] == equity


def test_activities_are_the_fills_and_what_was_paid_in(holder: TradingClient, other: TradingClient) -> None:
    placed(other, limit(SELL, 1, 101))
    placed(other, limit(SELL, 1, 102))
    order = placed(holder, limit(BUY, 3, 102))
    newest, before = (
        TradeActivity(**activity) for activity in holder.get("/account/activities/FILL", {"page_size": 2})
    )
    assert [(one.order_id, one.symbol, one.side) for one in (newest, before)] == [(order.id, ALPACA, BUY)] * 2
    assert (before.price, before.qty, before.cum_qty, before.leaves_qty) == (101, 1, 1, 2)
    assert (newest.price, newest.qty, newest.cum_qty, newest.leaves_qty) == (102, 1, 2, 1)
    assert (newest.type, newest.order_status) == (TradeActivityType.PARTIAL_FILL, OrderStatus.PARTIALLY_FILLED)
    (paid_in,) = (NonTradeActivity(**activity) for activity in holder.get("/account/activities/CSD"))
    assert (paid_in.net_amount, paid_in.account_id) == (100_000, account(holder).id)
