"""Instruments in officers' hands: listed, changed, opened, halted, resumed and closed."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from tests.admin.office import Answer, Office

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]

_number = count(1)


async def listed(office: Office, **terms: Any) -> str:
    symbol = f"ADM{next(_number)}"
    body = {"symbol": symbol, "reference_price": "10.00", "collar": "1", "band": "0", **terms}
    status, shown = await office.operator("POST", "/instruments", body)
    assert (status, shown["phase"]) == (201, "closed")
    return symbol


async def moved(office: Office, symbol: str, phase: str) -> Answer:
    return await office.risk("PUT", f"/instruments/{symbol}/phase", {"phase": phase, "reason": "test"})


async def test_a_listed_instrument_is_traded_once_it_is_opened(office: Office) -> None:
    body = {"symbol": "LISTED", "reference_price": "10.00", "tick": "0.05"}
    (status, shown), row = await office.audited("operator", "POST", "/instruments", body)
    assert status == 201
    assert shown == {
        "symbol": "LISTED",
        "phase": "closed",
        "reference_price": "10.00",
        "tick": "0.05",
        "sub_dollar_tick": "0.0001",
        "lot": "1",
        "collar": "0.2",
        "band": "0.1",
        "halt_s": 5.0,
        "tradable": True,
        "shortable": False,
        "fractionable": False,
    }
    assert (row["before"], row["after"]) == (None, shown)
    assert shown in (await office.risk("GET", "/instruments"))[1]
    trader = await office.trader()
    assert (await trader.place(symbol="LISTED", time_in_force="ioc"))[0] == 422
    assert (await moved(office, "LISTED", "continuous"))[0] == 200
    assert (await trader.place(symbol="LISTED", time_in_force="ioc"))[0] == 200
    assert (await trader.place(symbol="LISTED", price="10.01"))[0] == 422
    (status, _), row = await office.audited("operator", "POST", "/instruments", body)
    assert (status, row["outcome"], row["before"]["phase"]) == (422, "refused", "continuous")


async def test_the_opening_auction_trades_what_has_gathered(office: Office) -> None:
    symbol = await listed(office)
    buyer, seller = await office.trader(), await office.trader(cash=None)
    await office.deposit(seller.account_id, "5", symbol)
    assert (await moved(office, symbol, "pre_open"))[0] == 200
    orders = [(await buyer.place(symbol=symbol))[1], (await seller.place("sell", symbol=symbol))[1]]
    assert [await buyer.status_of(orders[0]), await seller.status_of(orders[1])] == ["new", "new"]
    (status, shown), row = await office.audited(
        "risk_officer", "PUT", f"/instruments/{symbol}/phase", {"phase": "continuous", "reason": "nine thirty"}
    )
    assert (status, shown["phase"]) == (200, "continuous")
    assert row["before"] == {"phase": "pre_open"}
    assert row["after"] == {"phase": "continuous", "reason": "nine thirty"}
    assert [await buyer.status_of(orders[0]), await seller.status_of(orders[1])] == ["filled", "filled"]


async def test_in_a_halted_market_crossing_orders_wait_until_it_is_resumed(office: Office) -> None:
    symbol = await listed(office)
    buyer, seller = await office.trader(), await office.trader(cash=None)
    await office.deposit(seller.account_id, "5", symbol)
    await moved(office, symbol, "continuous")
    assert (await moved(office, symbol, "halted"))[0] == 200
    _, bought = await buyer.place(symbol=symbol)
    _, sold = await seller.place("sell", symbol=symbol)
    assert [await buyer.status_of(bought), await seller.status_of(sold)] == ["new", "new"]
    assert (await moved(office, symbol, "continuous"))[0] == 200
    assert [await buyer.status_of(bought), await seller.status_of(sold)] == ["filled", "filled"]


async def test_a_closed_market_cancels_the_days_orders(office: Office) -> None:
    symbol = await listed(office)
    trader = await office.trader()
    await moved(office, symbol, "continuous")
    _, order = await trader.place(symbol=symbol)
    assert (await moved(office, symbol, "closed"))[0] == 200
    assert await trader.status_of(order) in ("canceled", "expired")


async def test_a_phase_the_day_does_not_allow_is_refused_with_the_reason(office: Office) -> None:
    symbol = await listed(office)
    path = f"/instruments/{symbol}/phase"
    (status, error), row = await office.audited("risk_officer", "PUT", path, {"phase": "halted", "reason": "early"})
    assert (status, row["outcome"], row["before"], row["after"]) == (422, "refused", {"phase": "closed"}, None)
    assert "closed" in error["message"]
    assert (await moved(office, symbol, "closed"))[0] == 200  # it is so already
    assert (await moved(office, symbol, "lunch"))[1]["message"].startswith("phase: ")
    assert (await moved(office, "NOPE", "closed"))[0] == 404


async def test_an_instruments_terms_change_and_the_rest_stays(office: Office) -> None:
    symbol = await listed(office)
    await moved(office, symbol, "continuous")
    trader = await office.trader()
    (status, shown), row = await office.audited("operator", "PATCH", f"/instruments/{symbol}", {"tradable": False})
    assert (status, shown["tradable"], shown["collar"]) == (200, False, "1")
    assert (row["before"]["tradable"], row["after"]["tradable"]) == (True, False)
    assert (await trader.place(symbol=symbol))[0] == 422
    changes = {"tradable": True, "collar": "0.1"}
    assert (await office.operator("PATCH", f"/instruments/{symbol}", changes))[0] == 200
    assert (await trader.place(symbol=symbol, price="11.01"))[0] == 422
    assert (await trader.place(symbol=symbol, price="11.00"))[0] == 200


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"symbol": "usd"}, "symbol"),
        ({"reference_price": 10}, "reference_price"),
        ({"reference_price": "0"}, "reference_price"),
        ({"collar": "1.5"}, "collar"),
        ({"halt_s": -1}, "halt_s"),
        ({"halt_s": 10**400}, "halt_s"),
        ({"tradable": "yes"}, "tradable"),
        ({"colour": "blue"}, "colour"),
    ],
)
async def test_a_bad_listing_is_refused_with_the_fields_name(
    office: Office, terms: dict[str, object], field: str
) -> None:
    body = {"symbol": "BADLY", "reference_price": "10.00", **terms}
    (status, error), row = await office.audited("operator", "POST", "/instruments", body)
    assert (status, row["outcome"]) == (422, "refused")
    assert error["message"].startswith(f"{field}: ")
