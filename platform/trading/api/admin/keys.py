"""An account's API keys: made, listed, revoked. A secret is shown once, to who made it, and to no row of the audit."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Path, Response
from pydantic import AfterValidator, Field

from trading.api.admin.accounts import get_known_account
from trading.api.admin.audited import ChangeOf, router
from trading.api.admin.execution import written
from trading.api.admin.requests import AccountPath, Body, Text
from trading.api.answer import answer
from trading.api.context import ContextOf
from trading.api.errors import ApiError
from trading.infra.identity import OFFICERS, Role
from trading.infra.keys import MAX_KEY_LENGTH, ApiKey, create_key, get_key, list_keys, revoke_key

routes = router()

_ADVICE: Final = "the account's list of keys tells; a key whose secret was not received can only be revoked"


def _holds_account(role: Role) -> Role:
    if role in OFFICERS:
        raise ValueError(f"a {role} has no account, and so no key of one")
    return role


class KeyBody(Body):
    name: Text
    role: Annotated[Role, Field(strict=False), AfterValidator(_holds_account)] = Role.TRADER


@routes.get("/accounts/{account_id}/keys")
async def list_account_keys(account_id: AccountPath, shared: ContextOf) -> Response:
    await get_known_account(account_id, shared)
    return answer([shown(key) for key in await list_keys(shared.database, account_id)])


@routes.post("/accounts/{account_id}/keys")
async def make_key(body: KeyBody, account_id: AccountPath, shared: ContextOf, change: ChangeOf) -> Response:
    await get_known_account(account_id, shared)
    pepper = shared.settings.key_pepper.get_secret_value()
    async with written(_ADVICE):
        key_id, secret = await create_key(shared.database, pepper, account_id, body.role, body.name)
    change.after = {"key_id": key_id, "account_id": account_id, "role": body.role, "name": body.name}
    return answer({**change.after, "secret_key": secret}, 201)


@routes.delete("/keys/{key_id}")
async def revoke(
    key_id: Annotated[str, Path(max_length=MAX_KEY_LENGTH, pattern=r"^[A-Za-z0-9]+$")],
    shared: ContextOf,
    change: ChangeOf,
) -> Response:
    """Again changes nothing."""
    before = await get_key(shared.database, key_id)
    if before is None:
        raise ApiError(404, f"key {key_id} not found")
    change.before = shown(before)
    async with written("revoking it again is safe"):
        revoked = await revoke_key(shared.database, key_id)
    assert revoked is not None  # no key is ever deleted
    change.after = shown(revoked)
    return answer(change.after)


def shown(key: ApiKey) -> dict[str, Any]:
    return {
        "key_id": key.key_id,
        "account_id": key.account_id,
        "role": key.role,
        "name": key.name,
        "created_at": key.created_at.isoformat(),
        "revoked_at": key.revoked_at and key.revoked_at.isoformat(),
    }
