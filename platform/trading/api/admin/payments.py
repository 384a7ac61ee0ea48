"""Deposits, withdrawals and journals: what comes in, goes out or changes hands, each once for its reference."""

from __future__ import annotations

from typing import Any

from fastapi import Response

from trading.api.admin.accounts import find_account, get_known_account
from trading.api.admin.audited import ChangeOf, router
from trading.api.admin.execution import execute
from trading.api.admin.requests import AccountPath, Asset, Body, Id, Positive, Reference
from trading.api.answer import answer
from trading.api.context import Context, ContextOf
from trading.api.engine_client import OutcomeUnknownError
from trading.core.commands import Deposit, Payment, Transfer, Withdraw
from trading.core.orders import AccountId
from trading.infra.audit import Change
from trading.wire.orders import shares_text

routes = router()


class PaymentBody(Body):
    """``asset`` is USD, its amount in dollars, or a symbol, its amount in shares."""

    reference: Reference
    asset: Asset
    amount: Positive


class JournalBody(PaymentBody):
    from_account_id: Id
    to_account_id: Id


@routes.post("/accounts/{account_id}/deposits")
async def deposit(body: PaymentBody, account_id: AccountPath, shared: ContextOf, change: ChangeOf) -> Response:
    return await _pay(Deposit(0, account_id, body.asset, body.amount, body.reference), shared, change)


@routes.post("/accounts/{account_id}/withdrawals")
async def withdraw(body: PaymentBody, account_id: AccountPath, shared: ContextOf, change: ChangeOf) -> Response:
    return await _pay(Withdraw(0, account_id, body.asset, body.amount, body.reference), shared, change)


@routes.post("/journals")
async def journal(body: JournalBody, shared: ContextOf, change: ChangeOf) -> Response:
    giver, taker = AccountId(body.from_account_id), AccountId(body.to_account_id)
    await get_known_account(taker, shared)
    return await _pay(Transfer(0, giver, taker, body.asset, body.amount, body.reference), shared, change)


async def _pay(payment: Payment, shared: Context, change: Change) -> Response:
    """The engine knows a repetition by its reference, so it is safe to send again while the request lasts, and after.

    ``sequence`` is that of the journal's record, the same for every repetition.
    """
    await get_known_account(payment.account_id, shared)
    change.before = await _accounts(payment, shared)
    try:
        done = await execute(payment, shared)
    except OutcomeUnknownError as error:
        advice = f"send the same again: reference {payment.reference} is paid once at most"
        raise OutcomeUnknownError(f"{error}; {advice}") from error
    assert done is not None
    paid = _shown(payment, done.sequence)
    change.after = {**await _accounts(payment, shared), "payment": paid}
    return answer(paid)


async def _accounts(payment: Payment, shared: Context) -> dict[str, Any]:
    ids = [payment.account_id, payment.to_account_id] if isinstance(payment, Transfer) else [payment.account_id]
    return {"accounts": [await find_account(account_id, shared) for account_id in ids]}


def _shown(payment: Payment, sequence: int) -> dict[str, Any]:
    shown = {
        "reference": payment.reference,
        "asset": payment.asset,
        "amount": shares_text(payment.amount),
        "sequence": sequence,
    }
    if isinstance(payment, Transfer):
        return {**shown, "from_account_id": payment.account_id, "to_account_id": payment.to_account_id}
    return {**shown, "account_id": payment.account_id}
