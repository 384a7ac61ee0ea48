"""Accounts as officers open, fund and bound them, seen by those who trade with them."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from tests.admin.office import Office

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]


def payment(amount: str, asset: str = "USD", **more: Any) -> dict[str, Any]:
    return {"reference": uuid4().hex, "asset": asset, "amount": amount, **more}


async def test_an_opened_account_is_shown_with_its_terms_and_can_trade_once_it_is_funded(office: Office) -> None:
    limits = {"order_quantity": "100", "open_orders": 5}
    trader = await office.trader(cash=None, multiplier=2, self_trade="cancel_oldest", limits=limits)
    assert (await trader.place())[0] == 403
    path = f"/accounts/{trader.account_id}"
    (status, paid), row = await office.audited("operator", "POST", f"{path}/deposits", payment("250.50"))
    assert (status, paid["amount"], paid["account_id"]) == (200, "250.5", trader.account_id)
    assert await trader.cash() == "250.50"
    assert (await trader.place())[0] == 200
    status, shown = await office.risk("GET", path)
    assert status == 200
    assert shown == {
        "account_id": trader.account_id,
        "multiplier": 2,
        "self_trade": "cancel_oldest",
        "blocked": False,
        "kill_switch": False,
        "limits": {
            "order_quantity": "100",
            "order_value": None,
            "open_orders": 5,
            "orders_per_s": None,
            "position": None,
        },
        "balances": {"USD": {"available": "240.50", "reserved": "10.00"}},
    }
    assert row["before"]["accounts"][0]["balances"] == {}
    assert row["after"]["accounts"][0]["balances"] == {"USD": {"available": "250.50", "reserved": "0.00"}}
    assert row["after"]["payment"] == paid


async def test_an_account_that_is_open_is_not_opened_again(office: Office) -> None:
    trader = await office.trader()
    (status, error), row = await office.audited("operator", "POST", "/accounts", {"account_id": trader.account_id})
    assert (status, error["code"]) == (422, 42210000)
    assert (row["outcome"], row["status"]) == ("refused", 422)
    assert row["before"]["account_id"] == trader.account_id
    assert row["after"] is None


async def test_accounts_are_listed_page_by_page(office: Office) -> None:
    opened = [(await office.trader(cash=None)).account_id for _ in range(3)]
    found, token = [], str(opened[0] - 1)
    while token:
        status, page = await office.operator("GET", f"/accounts?limit=2&page_token={token}")
        assert status == 200
        assert len(page["accounts"]) <= 2
        found += [account["account_id"] for account in page["accounts"]]
        token = page["next_page_token"]
    assert found == opened


async def test_a_withdrawal_takes_what_is_there_and_no_more(office: Office) -> None:
    trader = await office.trader(cash="100")
    path = f"/accounts/{trader.account_id}/withdrawals"
    assert (await office.operator("POST", path, payment("99.999999")))[0] == 200
    assert await trader.cash() == "0.000001"
    (status, error), row = await office.audited("operator", "POST", path, payment("0.000002"))
    assert (status, error["code"]) == (403, 40310000)
    assert row["outcome"] == "refused"
    assert row["before"]["accounts"][0]["balances"]["USD"]["available"] == "0.000001"
    assert await trader.cash() == "0.000001"


async def test_a_journal_moves_shares_from_one_account_to_another(office: Office) -> None:
    giver, taker = await office.trader(cash=None), await office.trader(cash=None)
    await office.deposit(giver.account_id, "10", "AAA")
    between = {"from_account_id": giver.account_id, "to_account_id": taker.account_id}
    (status, paid), row = await office.audited("operator", "POST", "/journals", payment("2.5", "AAA", **between))
    assert (status, paid["from_account_id"], paid["to_account_id"]) == (200, giver.account_id, taker.account_id)
    held = [(await each.ask("GET", "/v2/positions"))[1][0]["qty"] for each in (giver, taker)]
    assert held == ["7.5", "2.5"]
    balances = [[a["balances"].get("AAA") for a in row[when]["accounts"]] for when in ("before", "after")]
    assert balances[0] == [{"available": "10", "reserved": "0"}, None]
    assert balances[1] == [{"available": "7.5", "reserved": "0"}, {"available": "2.5", "reserved": "0"}]


async def test_a_payment_asked_for_again_under_its_reference_is_paid_once(office: Office) -> None:
    trader = await office.trader(cash=None)
    body, path = payment("70"), f"/accounts/{trader.account_id}/deposits"
    first = await office.operator("POST", path, body)
    answers = await asyncio.gather(*(office.operator("POST", path, body, api=n % 2) for n in range(6)))
    assert answers == [first] * 6
    assert await trader.cash() == "70.00"
    status, error = await office.operator("POST", path, {**body, "amount": "71"})
    assert (status, body["reference"] in error["message"]) == (422, True)
    assert await trader.cash() == "70.00"


async def test_a_limit_refuses_the_order_that_exceeds_it_until_it_is_lifted(office: Office) -> None:
    trader = await office.trader()
    path = f"/accounts/{trader.account_id}/limits"
    (status, shown), row = await office.audited("risk_officer", "PATCH", path, {"order_quantity": "5"})
    assert (status, shown["limits"]["order_quantity"]) == (200, "5")
    assert (row["before"]["limits"]["order_quantity"], row["after"]["limits"]["order_quantity"]) == (None, "5")
    assert (await trader.place(qty=6))[0] == 403
    assert (await trader.place(qty=5))[0] == 200
    assert (await office.risk("PATCH", path, {"order_value": "20.00"}))[1]["limits"]["order_quantity"] == "5"
    assert (await trader.place(qty=3))[0] == 403
    assert (await office.risk("PATCH", path, {"order_quantity": None, "order_value": None}))[0] == 200
    assert (await trader.place(qty=6))[0] == 200


async def test_limits_that_two_officers_set_at_once_are_both_in_force(office: Office) -> None:
    """Each reads all limits, changes one and writes all: in turns, or one would be lost."""
    trader = await office.trader()
    path = f"/accounts/{trader.account_id}/limits"
    changes = [{"order_quantity": "5"}, {"order_value": "50"}, {"open_orders": 5}, {"orders_per_s": 5}]
    answers = await asyncio.gather(*(office.risk("PATCH", path, each, api=n % 2) for n, each in enumerate(changes)))
    assert [status for status, _ in answers] == [200] * 4
    _, shown = await office.risk("GET", f"/accounts/{trader.account_id}")
    assert shown["limits"] == {
        "order_quantity": "5",
        "order_value": "50",
        "open_orders": 5,
        "orders_per_s": 5,
        "position": None,
    }


BAD_BODIES = {
    "/accounts": [
        ({}, "account_id"),
        ({"account_id": "7"}, "account_id"),
        ({"account_id": 0}, "account_id"),
        ({"account_id": 2**63}, "account_id"),
        ({"account_id": 7, "multiplier": 4}, "multiplier"),
        ({"account_id": 7, "owner": "me"}, "owner"),
        ({"account_id": 7, "limits": {"order_quantity": 5}}, "limits.order_quantity"),
    ],
    "/accounts/1/deposits": [
        (payment("0"), "amount"),
        (payment("-1"), "amount"),
        (payment("1e3"), "amount"),
        (payment("0.0000001"), "amount"),
        ({**payment("1"), "amount": 1}, "amount"),
        ({**payment("1"), "amount": True}, "amount"),
        ({**payment("1"), "reference": "a b"}, "reference"),
        ({**payment("1"), "reference": "\x00"}, "reference"),
        ({"asset": "USD", "amount": "1"}, "reference"),
        (payment("1", "usd"), "asset"),
    ],
    "/journals": [(payment("1", from_account_id=1), "to_account_id")],
}


@pytest.mark.parametrize("path", BAD_BODIES)
async def test_a_bad_body_is_refused_with_the_fields_name(office: Office, path: str) -> None:
    for body, field in BAD_BODIES[path]:
        (status, error), row = await office.audited("operator", "POST", path, body)
        assert (status, error["code"]) == (422, 40010001), body
        assert error["message"].startswith(f"{field}: "), error
        assert (row["outcome"], row["before"], row["after"]) == ("refused", None, None)


async def test_what_is_not_there_is_not_found(office: Office) -> None:
    for method, path, body in (
        ("GET", "/accounts/999", None),
        ("POST", "/accounts/999/deposits", payment("1")),
        ("POST", "/accounts/999/keys", {"name": "nobody's"}),
        ("GET", "/accounts/999/keys", None),
        ("DELETE", "/keys/PKNOBODYS", None),
        ("POST", "/journals", payment("1", from_account_id=1, to_account_id=999)),
    ):
        status, _ = await office.operator(method, path, body)
        assert status == 404, path
    status, error = await office.operator("POST", "/accounts/1/deposits", payment("1", "NOPE"))
    assert (status, "NOPE" in error["message"]) == (422, True)
