"""Keys and people in the operator's hands: whoever is let in and shut out again."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from tests.admin.office import Office, Trader

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]

PASSWORD = "correct horse battery"


async def refused_within_a_second(trader: Trader) -> None:
    """By both apis; each may remember the key for that long."""
    await asyncio.sleep(1.0)
    for api in (0, 1):
        assert (await trader.ask("GET", "/v2/account", api=api))[0] == 401


async def test_a_new_key_works_and_its_secret_is_shown_once(office: Office) -> None:
    trader = await office.trader()
    path = f"/accounts/{trader.account_id}/keys"
    (status, made), row = await office.audited("operator", "POST", path, {"name": "research", "role": "analyst"})
    assert status == 201
    analyst = Trader(
        office, trader.account_id, {"APCA-API-KEY-ID": made["key_id"], "APCA-API-SECRET-KEY": made["secret_key"]}
    )
    assert (await analyst.ask("GET", "/v2/account"))[0] == 200
    assert (await analyst.place())[0] == 403
    _, keys = await office.operator("GET", path)
    assert [(key["name"], key["role"], key["revoked_at"]) for key in keys] == [
        ("test", "trader", None),
        ("research", "analyst", None),
    ]
    assert row["after"]["key_id"] == made["key_id"]
    assert made["secret_key"] not in json.dumps([keys, row])


async def test_a_revoked_key_is_refused_everywhere_within_a_second(office: Office) -> None:
    trader = await office.trader()
    for api in (0, 1):
        assert (await trader.ask("GET", "/v2/account", api=api))[0] == 200
    key_id = trader.headers["APCA-API-KEY-ID"]
    (status, revoked), row = await office.audited("operator", "DELETE", f"/keys/{key_id}")
    assert (status, revoked["revoked_at"] is None) == (200, False)
    assert (row["before"]["revoked_at"], row["after"]) == (None, revoked)
    await refused_within_a_second(trader)
    assert await office.operator("DELETE", f"/keys/{key_id}") == (200, revoked)


@pytest.mark.parametrize(
    ("body", "field"),
    [({}, "name"), ({"name": "x", "role": "operator"}, "role"), ({"name": "x", "secret": "mine"}, "secret")],
)
async def test_a_bad_key_is_refused_with_the_fields_name(office: Office, body: dict[str, str], field: str) -> None:
    (status, error), row = await office.audited("operator", "POST", "/accounts/1/keys", body)
    assert (status, row["outcome"]) == (422, "refused")
    assert error["message"].startswith(f"{field}: ")


class LoggedIn:
    """A person's session."""

    def __init__(self, office: Office, name: str) -> None:
        self._office, self._name = office, name
        self.cookies: dict[str, str] = {}

    async def log_in(self, password: str) -> int:
        url = self._office.status.endpoints["api"][0] + "/auth/v1/login"
        body = {"name": self._name, "password": password}
        async with aiohttp.ClientSession() as http, http.post(url, json=body) as response:
            self.cookies = {name: cookie.value for name, cookie in response.cookies.items()}
            return response.status

    async def ask(self, path: str) -> int:
        return (await self._office.ask({}, "GET", path, cookies=self.cookies))[0]


async def person(office: Office, role: str = "risk_officer", **more: Any) -> str:
    name = f"p{uuid4().hex[:8]}"
    body = {"name": name, "role": role, "password": PASSWORD, **more}
    (status, shown), row = await office.audited("operator", "POST", "/people", body)
    assert (status, shown["name"], shown["role"]) == (201, name, role)
    assert row["after"] == shown
    assert PASSWORD not in json.dumps(row)
    assert "argon2" not in json.dumps([row, shown])
    return name


async def test_somebody_who_was_added_logs_in_and_their_sessions_can_be_ended(office: Office) -> None:
    name = await person(office)
    session = LoggedIn(office, name)
    assert await session.log_in(PASSWORD) == 200
    assert await session.ask("/admin/v1/kill_switch") == 200
    status, sessions = await office.operator("GET", f"/people/{name}/sessions")
    assert (status, len(sessions), sessions[0]["source"]) == (200, 1, "127.0.0.1")
    (status, _), row = await office.audited("operator", "DELETE", f"/people/{name}/sessions")
    assert (status, row["before"], row["after"]) == (204, {"sessions": sessions}, {"sessions": []})
    assert await session.ask("/admin/v1/kill_switch") == 401
    _, page = await office.operator("GET", f"/audit?who=person%20{name}")
    assert [(row["role"], row["what"]) for row in page["calls"]] == [("risk_officer", "GET /admin/v1/kill_switch")]


async def test_somebody_who_is_changed_has_to_log_in_again_with_the_new_password(office: Office) -> None:
    trader = await office.trader()
    name = await person(office)
    session = LoggedIn(office, name)
    await session.log_in(PASSWORD)
    change = {"role": "analyst", "account_id": trader.account_id, "password": "another horse battery"}
    (status, shown), row = await office.audited("operator", "PATCH", f"/people/{name}", change)
    assert (status, shown["role"], shown["account_id"]) == (200, "analyst", trader.account_id)
    assert (row["before"]["role"], row["after"]["password_changed"]) == ("risk_officer", True)
    assert change["password"] not in json.dumps(row)
    assert await session.ask("/v2/account") == 401
    assert await session.log_in(PASSWORD) == 401
    assert await session.log_in("another horse battery") == 200
    assert await session.ask("/v2/account") == 200
    assert await session.ask("/admin/v1/kill_switch") == 403


async def test_somebody_who_was_removed_is_shut_out(office: Office) -> None:
    name = await person(office)
    session = LoggedIn(office, name)
    await session.log_in(PASSWORD)
    (status, _), row = await office.audited("operator", "DELETE", f"/people/{name}")
    assert (status, row["before"]["name"], row["after"]) == (204, name, None)
    assert await session.ask("/admin/v1/kill_switch") == 401
    assert await session.log_in(PASSWORD) == 401
    assert name not in [each["name"] for each in (await office.operator("GET", "/people"))[1]]
    for method, path in (("DELETE", ""), ("GET", "/sessions"), ("DELETE", "/sessions")):
        assert (await office.operator(method, f"/people/{name}{path}"))[0] == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"role": "operator", "password": PASSWORD}, "name"),
        ({"name": "Ann", "role": "operator", "password": PASSWORD}, "name"),
        ({"name": "ann", "role": "king", "password": PASSWORD}, "role"),
        ({"name": "ann", "role": "operator", "password": "short"}, "password"),
        ({"name": "ann", "role": "operator", "password": PASSWORD, "account_id": 1}, "account_id"),
        ({"name": "ann", "role": "trader", "password": PASSWORD}, "account_id"),
        ({"name": "operator", "role": "operator", "password": PASSWORD}, "name"),
    ],
)
async def test_a_bad_person_is_refused_with_the_fields_name(office: Office, body: dict[str, Any], field: str) -> None:
    (status, error), row = await office.audited("operator", "POST", "/people", body)
    assert (status, row["outcome"]) == (422, "refused")
    assert error["message"].startswith(f"{field}: ")
    assert body["password"] not in json.dumps([error, row])
