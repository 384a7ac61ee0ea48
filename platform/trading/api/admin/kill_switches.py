"""Kill switches, one account's or everybody's: engaged, new orders are refused and the open ones canceled at once."""

from __future__ import annotations

from typing import Any, Final

from fastapi import Response

from trading.api.admin.accounts import get_known_account
from trading.api.admin.audited import ChangeOf, router
from trading.api.admin.execution import execute
from trading.api.admin.requests import AccountPath, Body, Text
from trading.api.answer import answer
from trading.api.context import Context, ContextOf
from trading.core.commands import EVERYBODY, SetKillSwitch
from trading.core.orders import AccountId
from trading.infra.audit import Change

routes = router()

_ENGAGED: Final = "SELECT account_id FROM kill_switches WHERE engaged ORDER BY account_id"


class KillSwitchBody(Body):
    engaged: bool
    reason: Text


@routes.get("/kill_switch")
async def get_kill_switches(shared: ContextOf) -> Response:
    """Everybody's, and the accounts whose own is engaged."""
    return answer(await _switches(shared))


@routes.put("/kill_switch")
async def set_kill_switch(body: KillSwitchBody, shared: ContextOf, change: ChangeOf) -> Response:
    return await _set(EVERYBODY, body, shared, change)


@routes.put("/accounts/{account_id}/kill_switch")
async def set_account_kill_switch(
    body: KillSwitchBody, account_id: AccountPath, shared: ContextOf, change: ChangeOf
) -> Response:
    await get_known_account(account_id, shared)
    return await _set(account_id, body, shared, change)


async def _set(account_id: AccountId, body: KillSwitchBody, shared: Context, change: Change) -> Response:
    change.before = {"engaged": await _engaged(account_id, shared)}

    async def set_so() -> bool:
        return await _engaged(account_id, shared) == body.engaged

    await execute(SetKillSwitch(0, account_id, body.engaged), shared, reached=set_so)
    change.after = {"engaged": body.engaged, "reason": body.reason}
    shown: dict[str, Any] = {} if account_id == EVERYBODY else {"account_id": account_id}
    return answer({**shown, "engaged": body.engaged})


async def _switches(shared: Context) -> dict[str, Any]:
    ids = [row["account_id"] for row in await shared.database.fetch(_ENGAGED)]
    return {"engaged": EVERYBODY in ids, "accounts": [account_id for account_id in ids if account_id != EVERYBODY]}


async def _engaged(account_id: AccountId, shared: Context) -> bool:
    return account_id in {row["account_id"] for row in await shared.database.fetch(_ENGAGED)}
