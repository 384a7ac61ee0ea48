"""What the owner of an account chooses takes effect, and never more than the owner may choose."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.admin.office import Office, Trader
from tests.api.venue import Venue
from tests.client import limit_order

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]

PATH = "/v2/account/configurations"
DEFAULTS = {
    "dtbp_check": "entry",
    "pdt_check": "entry",
    "trade_confirm_email": "none",
    "ptp_no_exception_entry": False,
    "max_options_trading_level": 0,
    "disable_overnight_trading": False,
    "suspend_trade": False,
    "no_shorting": False,
    "fractional_trading": True,
    "max_margin_multiplier": "2",
}


async def choose(who: Trader, **changes: Any) -> dict[str, Any]:
    status, chosen = await who.ask("PATCH", PATH, changes)
    assert status == 200, chosen
    assert await who.ask("GET", PATH, api=1) == (200, chosen)
    found: dict[str, Any] = chosen
    return found


async def refused(who: Trader, **changes: Any) -> tuple[int, str]:
    before = await who.ask("GET", PATH)
    status, error = await who.ask("PATCH", PATH, changes)
    assert await who.ask("GET", PATH) == before
    return status, error["message"]


async def test_a_new_account_has_the_defaults_and_may_say_so(office: Office) -> None:
    margin, cash = await office.trader(multiplier=2), await office.trader()
    assert await margin.ask("GET", PATH) == (200, DEFAULTS)
    assert await choose(margin, **DEFAULTS) == DEFAULTS
    assert await choose(margin, **dict.fromkeys(DEFAULTS)) == DEFAULTS
    assert await choose(cash) == {**DEFAULTS, "no_shorting": True, "max_margin_multiplier": "1"}


async def test_a_suspended_account_takes_no_order_until_its_owner_says_so(office: Office) -> None:
    trader = await office.trader()
    _, resting = await trader.place("buy", 1, "1.00", symbol="FED")
    assert (await choose(trader, suspend_trade=True))["suspend_trade"] is True
    status, error = await trader.place("buy", 1, "1.00", symbol="FED")
    assert (status, error["code"]) == (403, 40310000)
    _, account = await trader.ask("GET", "/v2/account")
    blocks = ("trade_suspended_by_user", "trading_blocked", "account_blocked")
    assert [account[name] for name in blocks] == [True, True, False]
    assert (await trader.ask("DELETE", f"/v2/orders/{resting['id']}"))[0] == 204
    await choose(trader, suspend_trade=False)
    assert (await trader.place("buy", 1, "1.00", symbol="FED"))[0] == 200


async def test_nobody_releases_a_kill_switch_by_configuring_the_account(office: Office) -> None:
    trader = await office.trader()
    switch = f"/accounts/{trader.account_id}/kill_switch"
    assert (await office.risk("PUT", switch, {"engaged": True, "reason": "a test"}))[0] == 200
    for suspended in (False, True, False):
        await choose(trader, suspend_trade=suspended)
        assert (await trader.place("buy", 1, "1.00", symbol="FED"))[0] == 403
    _, account = await trader.ask("GET", "/v2/account")
    assert (account["trading_blocked"], account["trade_suspended_by_user"]) == (True, False)
    assert (await office.risk("PUT", switch, {"engaged": False, "reason": "a test"}))[0] == 200
    assert (await trader.place("buy", 1, "1.00", symbol="FED"))[0] == 200


async def test_without_shorting_there_is_no_margin_and_both_come_back_together(office: Office) -> None:
    """1,000,000 buys for 2,000,000 on margin, for 1,000,000 without; and nothing can be sold that is not there."""
    venue, trader = await Venue.opened(office), await office.trader(multiplier=2)
    chosen = await choose(trader, no_shorting=True)
    assert (chosen["no_shorting"], chosen["max_margin_multiplier"]) == (True, "1")
    assert (await trader.ask("GET", "/v2/account"))[1]["buying_power"] == "1000000.00"
    status, error = await trader.place("sell", 1, "10.00", symbol=venue.symbol)
    assert (status, error["code"]) == (403, 40310000)
    chosen = await choose(trader, max_margin_multiplier="2")
    assert (chosen["no_shorting"], chosen["max_margin_multiplier"]) == (False, "2")
    assert (await trader.ask("GET", "/v2/account"))[1]["buying_power"] == "2000000.00"
    await venue.trade(trader, "sell", 1, "10.00")
    status, message = await refused(trader, no_shorting=True)
    assert (status, "owes" in message) == (422, True)


async def test_a_cash_account_cannot_give_itself_margin(office: Office) -> None:
    cash = await office.trader()
    for changes in ({"max_margin_multiplier": "2"}, {"no_shorting": False}, {"max_margin_multiplier": "4"}):
        assert await refused(cash, **changes) == (422, "max_margin_multiplier: the account has at most 1")


async def test_fractions_are_traded_only_while_the_owner_wants_them(office: Office) -> None:
    """What is held in fractions can still be closed."""
    venue, trader = await Venue.opened(office), await office.trader()
    await venue.trade(trader, "buy", "1.5", "10.00")
    await choose(trader, fractional_trading=False)
    plain = limit_order("buy", 1, "10.00", symbol=venue.symbol)
    for order in ({"qty": "0.5"}, {"qty": None, "notional": "10", "type": "market", "limit_price": None}):
        status, error = await trader.ask("POST", "/v2/orders", {**plain, **order})
        assert (status, "fractional" in error["message"]) == (403, True)
    resting = await venue.order(trader, "buy", 2, "9.00")
    assert (await trader.ask("PATCH", f"/v2/orders/{resting['id']}", {"qty": "2.5"}))[0] == 403
    await venue.order(venue.maker, "buy", 100, "10.00")
    status, order = await trader.ask("DELETE", f"/v2/positions/{venue.symbol}")
    assert (status, order["filled_qty"]) == (200, "1.5")
    await choose(trader, fractional_trading=True)
    await venue.trade(trader, "buy", "0.5", "11.00")


async def test_what_has_no_meaning_here_is_only_accepted_as_it_is(office: Office) -> None:
    trader = await office.trader()
    for changes in (
        *({"dtbp_check": "both"}, {"pdt_check": "exit"}, {"trade_confirm_email": "all"}),
        *({"ptp_no_exception_entry": True}, {"max_options_trading_level": 2}, {"disable_overnight_trading": True}),
    ):
        status, message = await refused(trader, **changes)
        assert (status, "no meaning here" in message) == (422, True)
    for wrong in ({"suspend_trade": "yes"}, {"colour": "red"}, {"max_margin_multiplier": 2}, {"dtbp_check": "never"}):
        assert (await refused(trader, **wrong))[0] == 422


async def test_changes_of_the_owner_and_of_a_risk_officer_at_once_both_count(office: Office) -> None:
    trader = await office.trader(multiplier=2)
    limits = f"/accounts/{trader.account_id}/limits"
    for round_ in range(1, 6):
        await asyncio.gather(
            office.risk("PATCH", limits, {"open_orders": round_}, api=0),
            trader.ask("PATCH", PATH, {"suspend_trade": round_ % 2 == 1}, api=1),
        )
        _, account = await office.risk("GET", f"/accounts/{trader.account_id}")
        assert (account["limits"]["open_orders"], account["blocked"]) == (round_, round_ % 2 == 1)
