"""The audit: every call is in it, refused ones too, and nobody changes what it says."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import asyncpg
import pytest

from tests.admin.office import Office
from trading.api.access import TABLE
from trading.api.admin import ROUTERS
from trading.api.admin.audited import AuditedRoute
from trading.infra.database import connect

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]


async def calls(office: Office, **query: Any) -> Any:
    status, page = await office.operator("GET", f"/audit?{urlencode(query)}")
    assert status == 200
    return page


async def test_every_route_of_administration_is_audited() -> None:
    routes = [route for router in ROUTERS for route in router.routes]
    audited = {(method, route.path) for route in routes if isinstance(route, AuditedRoute) for method in route.methods}
    assert audited == {row for row in TABLE if row[1].startswith("/admin/")}
    assert len(audited) == len(routes)


async def test_a_call_says_who_what_when_and_from_where(office: Office) -> None:
    (status, _), row = await office.audited("risk_officer", "GET", "/accounts/1")
    assert status == 200
    assert (
        row.items()
        >= {
            "who": office.names["risk_officer"],
            "role": "risk_officer",
            "what": "GET /admin/v1/accounts/{account_id}",
            "target": "/admin/v1/accounts/1",
            "client": "127.0.0.1",
            "outcome": "done",
            "status": 200,
            "before": None,
            "after": None,
        }.items()
    )
    assert row["at"] <= row["completed_at"]


async def test_what_a_role_may_not_do_is_audited_and_has_no_effect(office: Office) -> None:
    (status, _), row = await office.audited("operator", "PUT", "/kill_switch", {"engaged": True, "reason": "curious"})
    assert (status, row["outcome"], row["status"]) == (403, "refused", 403)
    assert (await office.risk("GET", "/kill_switch"))[1]["engaged"] is False
    trader = await office.trader()
    request_id = uuid4().hex
    headers = {**trader.headers, "X-Request-ID": request_id}
    assert (await office.ask(headers, "GET", "/admin/v1/people"))[0] == 403
    row = await office.row_of(request_id)
    assert (row["role"], row["outcome"], row["who"]) == ("trader", "refused", f"key {headers['APCA-API-KEY-ID']}")


async def test_a_path_of_any_characters_is_audited(office: Office) -> None:
    for path in ("/keys/%00", "/people/%E2%80%AE%0A", f"/instruments/{'A' * 2000}"):
        (status, _), row = await office.audited("operator", "PATCH" if "instr" in path else "DELETE", path)
        assert (status, row["outcome"]) == (422, "refused")
        assert row["target"].isprintable()
        assert len(row["target"]) <= 256


async def test_the_audit_is_read_in_pages_and_by_who_what_and_when(office: Office) -> None:
    marks = [(await office.audited("risk_officer", "GET", f"/accounts/{n}"))[1] for n in (1, 2, 3)]
    who, what = office.names["risk_officer"], "GET /admin/v1/accounts/{account_id}"
    first = await calls(office, who=who, what=what, limit=2)
    second = await calls(office, who=who, what=what, limit=2, page_token=first["next_page_token"])
    assert [row["id"] for row in first["calls"]] == [marks[2]["id"], marks[1]["id"]]
    assert second["calls"][0]["id"] == marks[0]["id"]
    between = await calls(office, who=who, after=marks[0]["at"], until=marks[2]["at"])
    assert [row["id"] for row in between["calls"]] == [marks[1]["id"]]
    assert {row["what"].split()[0] for row in (await calls(office, what="GET"))["calls"]} == {"GET"}
    assert (await calls(office, who="nobody"))["calls"] == []
    assert (await calls(office, after="9999-12-31T23:59:59-23:00"))["calls"] == []
    assert (await calls(office, until="0001-01-01T00:00:00+23:00"))["calls"] == []
    for bad in ("limit=0", "page_token=x", "after=yesterday", "colour=blue"):
        status, error = await office.operator("GET", f"/audit?{bad}")
        assert (status, bad.split("=")[0] in error["message"]) == (422, True)


async def test_the_audit_cannot_be_changed_through_the_api(office: Office) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert (await office.operator(method, "/audit", {}))[0] == 405
        assert (await office.operator(method, "/audit/1", {}))[0] == 404


async def test_the_database_refuses_to_change_what_was_audited(office: Office) -> None:
    """Even to the role that owns the table."""
    (_, _), row = await office.audited("operator", "GET", "/people")
    connection = await connect(office.stack.postgres_dsn(), "test")
    try:
        audit_id = int(row["id"])
        for statement in (
            f"UPDATE audit_log SET who = 'nobody' WHERE audit_id = {audit_id}",
            f"UPDATE audit_log SET outcome = 'begun' WHERE audit_id = {audit_id}",
            f"DELETE FROM audit_log WHERE audit_id = {audit_id}",
            "TRUNCATE audit_log",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="kept as it was written"):
                await connection.execute(statement)
    finally:
        connection.terminate()
    assert await office.row_of(row["request_id"]) == row


async def test_a_begun_row_may_only_be_completed(office: Office) -> None:
    connection = await connect(office.stack.postgres_dsn(), "test")
    try:
        insert = (
            "INSERT INTO audit_log (who, role, action, target, client, request_id) VALUES ('test', '', '', '', '', '')"
        )
        audit_id = await connection.fetchval(f"{insert} RETURNING audit_id")
        for change in ("who = 'nobody', outcome = 'done'", "before = '1'"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(f"UPDATE audit_log SET {change} WHERE audit_id = $1", audit_id)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("DELETE FROM audit_log WHERE audit_id = $1", audit_id)
        complete = "UPDATE audit_log SET outcome = 'done', status = 200 WHERE audit_id = $1"
        assert await connection.execute(complete, audit_id) == "UPDATE 1"
    finally:
        connection.terminate()
