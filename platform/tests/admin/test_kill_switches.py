"""The kill switch in officers' hands: open orders are canceled and new ones refused until it is released."""

from __future__ import annotations

import pytest

from tests.admin.office import Office

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]


async def test_an_accounts_switch_stops_that_account_alone(office: Office) -> None:
    stopped, other = await office.trader(), await office.trader()
    orders = [(await trader.place())[1] for trader in (stopped, other)]
    path = f"/accounts/{stopped.account_id}/kill_switch"
    engage = {"engaged": True, "reason": "erroneous orders"}
    (status, shown), row = await office.audited("risk_officer", "PUT", path, engage)
    assert (status, shown) == (200, {"account_id": stopped.account_id, "engaged": True})
    assert (row["before"], row["after"]) == ({"engaged": False}, engage)
    assert await stopped.status_of(orders[0]) == "canceled"
    assert await other.status_of(orders[1]) == "new"
    assert [(await trader.place())[0] for trader in (stopped, other)] == [403, 200]
    _, switches = await office.risk("GET", "/kill_switch")
    assert switches == {"engaged": False, "accounts": [stopped.account_id]}
    assert (await office.risk("PUT", path, {"engaged": False, "reason": "talked to them"}))[0] == 200
    assert (await stopped.place())[0] == 200


async def test_everybodys_switch_stops_everybody(office: Office) -> None:
    traders = [await office.trader() for _ in range(2)]
    orders = [(await trader.place())[1] for trader in traders]
    engage = {"engaged": True, "reason": "drill"}
    (status, shown), row = await office.audited("risk_officer", "PUT", "/kill_switch", engage)
    try:
        assert (status, shown) == (200, {"engaged": True})
        assert (row["before"], row["after"]) == ({"engaged": False}, engage)
        for trader, order in zip(traders, orders, strict=True):
            assert await trader.status_of(order) == "canceled"
            assert (await trader.place())[0] == 403
        assert (await office.risk("GET", "/kill_switch"))[1]["engaged"]
    finally:
        released = await office.risk("PUT", "/kill_switch", {"engaged": False, "reason": "drill over"})
    assert released[0] == 200
    assert [(await trader.place())[0] for trader in traders] == [200, 200]


async def test_a_switch_that_is_in_that_position_stays_there(office: Office) -> None:
    """Who repeats a lost call is told that it is as asked."""
    trader = await office.trader()
    path, engage = f"/accounts/{trader.account_id}/kill_switch", {"engaged": True, "reason": "twice"}
    assert [await office.risk("PUT", path, engage) for _ in range(2)] == [
        (200, {"account_id": trader.account_id, "engaged": True})
    ] * 2


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"engaged": True}, "reason"),
        ({"engaged": True, "reason": ""}, "reason"),
        ({"engaged": "yes", "reason": "because"}, "engaged"),
        ({"engaged": 1, "reason": "because"}, "engaged"),
        ({"engaged": True, "reason": "line\nfeed"}, "reason"),
        ({"engaged": True, "reason": "because", "until": "noon"}, "until"),
    ],
)
async def test_a_switch_is_moved_only_by_a_plain_word_with_a_reason(
    office: Office, body: dict[str, object], field: str
) -> None:
    (status, error), row = await office.audited("risk_officer", "PUT", "/kill_switch", body)
    assert (status, row["outcome"]) == (422, "refused")
    assert error["message"].startswith(f"{field}: ")
    assert (await office.risk("GET", "/kill_switch"))[1]["engaged"] is False
