"""What officers are told while parts of the platform are down, and that no money is paid twice for it."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import aiohttp
import pytest

from stack.embedded import EmbeddedStack
from tests.admin.office import Office
from trading.infra.database import connect

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]


async def whole(office: Office) -> None:
    """Returns once both engines are there again."""
    async with asyncio.timeout(30):
        while True:
            status, seen = await office.operator("GET", "/topology")
            if status == 200 and {engine["role"] for engine in seen["engines"]} == {"active", "standby"}:
                return
            await asyncio.sleep(0.1)


async def active(stack: EmbeddedStack) -> str:
    (node,) = await stack.resolve("engine:active")
    return node.name


async def test_a_deposit_whose_answer_is_lost_with_the_engine_is_paid_once(office: Office) -> None:
    trader = await office.trader(cash=None)
    path = f"/accounts/{trader.account_id}/deposits"
    bodies = [{"reference": uuid4().hex, "asset": "USD", "amount": "1"} for _ in range(20)]
    paying = [asyncio.create_task(office.operator("POST", path, body, api=n % 2)) for n, body in enumerate(bodies * 2)]
    killed = await active(office.stack)
    while await trader.cash() == "0.00":  # some are paid, others under way
        pass
    await office.stack.kill(killed)
    answers = await asyncio.gather(*paying)
    assert [status for status, _ in answers] == [200] * 40
    assert answers[:20] == answers[20:]
    assert await trader.cash() == "20.00"
    assert [await office.operator("POST", path, body) for body in bodies] == answers[:20]
    assert await trader.cash() == "20.00"
    await office.stack.restart(killed)
    await whole(office)


async def test_a_deposit_nobody_answers_is_unknown_and_paid_once_when_it_is_asked_for_again(office: Office) -> None:
    trader = await office.trader(cash=None)
    path = f"/admin/v1/accounts/{trader.account_id}/deposits"
    body = {"reference": uuid4().hex, "asset": "USD", "amount": "1"}
    request_id = uuid4().hex
    headers = {**office.headers["operator"], "X-Request-ID": request_id, "X-Request-Timeout": "1"}
    for engine in ("engine:1", "engine:2"):
        await office.stack.freeze(engine)
    try:
        status, error = await office.ask(headers, "POST", path, body)
    finally:
        for engine in ("engine:1", "engine:2"):
            await office.stack.resume(engine)
    assert (status, error["code"]) == (504, 50410000)
    assert body["reference"] in error["message"]
    row = await office.row_of(request_id)
    assert (row["outcome"], row["status"], row["after"]) == ("unknown", 504, None)
    async with asyncio.timeout(20):
        while (await office.ask(office.headers["operator"], "POST", path, body))[0] != 200:
            await asyncio.sleep(0.1)
    assert await trader.cash() == "1.00"
    await whole(office)


async def test_the_row_of_a_call_whose_api_died_stays_begun(office: Office) -> None:
    request_id = uuid4().hex
    trader = await office.trader(cash=None)
    headers = {**office.headers["operator"], "X-Request-ID": request_id}
    body = {"reference": uuid4().hex, "asset": "USD", "amount": "1"}
    observer = await connect(office.stack.postgres_dsn(), "test")
    for engine in ("engine:1", "engine:2"):
        await office.stack.freeze(engine)
    try:
        path = f"/admin/v1/accounts/{trader.account_id}/deposits"
        paying = asyncio.create_task(office.ask(headers, "POST", path, body))
        while not await observer.fetch("SELECT 1 FROM audit_log WHERE request_id = $1", request_id):
            await asyncio.sleep(0.01)
        await office.stack.kill("api:1")
    finally:
        for engine in ("engine:1", "engine:2"):
            await office.stack.resume(engine)
    with pytest.raises(aiohttp.ClientError):
        await paying
    observer.terminate()
    await office.stack.restart("api:1")
    await whole(office)
    row = await office.row_of(request_id)
    assert (row["outcome"], row["status"], row["completed_at"]) == ("begun", None, None)
    assert row["target"] == path


async def test_the_topology_shows_who_leads_and_does_not_wait_for_the_frozen(office: Office) -> None:
    status, seen = await office.operator("GET", "/topology", api=1)
    assert (status, seen["seen_by"]) == (200, "api:2")
    assert sorted(engine["role"] for engine in seen["engines"]) == ["active", "standby"]
    assert all(engine["epoch"] >= 1 for engine in seen["engines"] if engine["role"] == "active")
    assert seen["database"]["role"] == "primary"
    standbys = seen["database"]["standbys"]
    assert sorted(standby["sync_state"] for standby in standbys) == ["async", "potential", "sync"]
    assert all(standby["state"] == "streaming" and standby["lag_bytes"] >= 0 for standby in standbys)
    assert (seen["redis"]["role"], seen["redis"]["replicas"]) == ("master", 1)
    assert {"api:1", "api:2"} <= {node["node"] for node in seen["nodes"]}
    frozen = [
        office.stack.node("redis:primary").name,
        next(e["node"] for e in seen["engines"] if e["role"] == "standby"),
    ]
    for node in frozen:
        await office.stack.freeze(node)
    try:
        status, seen = await office.operator("GET", "/topology")
    finally:
        for node in frozen:
            await office.stack.resume(node)
    await whole(office)
    assert status == 200
    assert sorted(engine["role"] for engine in seen["engines"]) == ["active", "unreachable"]
    assert "error" in seen["redis"]
    assert seen["database"]["role"] == "primary"


async def test_without_a_database_to_write_the_audit_to_nothing_is_done(office: Office) -> None:
    """A commit without a second copy is no row of the audit."""
    trader = await office.trader()
    copies = [office.stack.node("postgres:standby").name, "wal:1"]
    for copy in copies:
        await office.stack.kill(copy)
    try:
        status, error = await office.risk(
            "PUT", f"/accounts/{trader.account_id}/kill_switch", {"engaged": True, "reason": "unaudited"}
        )
    finally:
        for copy in copies:
            await office.stack.restart(copy)
    assert (status, error["code"]) == (503, 50310000)
    assert (await office.risk("GET", f"/accounts/{trader.account_id}"))[1]["kill_switch"] is False
    assert (await trader.place())[0] == 200
