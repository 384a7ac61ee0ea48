"""/v2/account/configurations: what the owner of an account may choose for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Body, Response
from pydantic import BaseModel, ConfigDict, StrictBool

from trading.api.account_terms import Choices, locked_terms
from trading.api.answer import answer
from trading.api.context import Caller, ContextOf
from trading.api.errors import ApiError
from trading.core.orders import AccountTerms

router = APIRouter(prefix="/v2")

# There is nothing here that these could change: no day-trading rules, no mail, no partnerships, no options, no night.
_CONSTANTS: Final[dict[str, Any]] = {
    "dtbp_check": "entry",
    "pdt_check": "entry",
    "trade_confirm_email": "none",
    "ptp_no_exception_entry": False,
    "max_options_trading_level": 0,
    "disable_overnight_trading": False,
}

_CONFIGURATION: Final = """
SELECT a.multiplier, a.blocked AND coalesce(c.suspended, false) AS suspended,
    coalesce(c.fractional_trading, true) AS fractional_trading
FROM accounts a LEFT JOIN account_configurations c USING (account_id) WHERE a.account_id = $1
"""


class ConfigurationRequest(BaseModel):
    """Body of PATCH /v2/account/configurations. What is absent or null stays as it is."""

    model_config = ConfigDict(extra="forbid")

    suspend_trade: StrictBool | None = None
    no_shorting: StrictBool | None = None
    fractional_trading: StrictBool | None = None
    max_margin_multiplier: Literal["1", "2", "4"] | None = None
    dtbp_check: Literal["both", "entry", "exit"] | None = None
    pdt_check: Literal["both", "entry", "exit"] | None = None
    trade_confirm_email: Literal["all", "none"] | None = None
    ptp_no_exception_entry: StrictBool | None = None
    max_options_trading_level: Literal[0, 1, 2, 3] | None = None
    disable_overnight_trading: StrictBool | None = None


@router.get("/account/configurations")
async def get_configurations(account_id: Caller, shared: ContextOf) -> Response:
    rows = await shared.database.fetch(_CONFIGURATION, account_id)
    if not rows:
        raise ApiError(403, f"account {account_id} is not open")
    return answer(_shown(*rows[0]))


@router.patch("/account/configurations")
async def change_configurations(
    changes: Annotated[ConfigurationRequest, Body()], account_id: Caller, shared: ContextOf
) -> Response:
    """Takes effect with the answer: suspension and multiplier are terms that the engine itself checks.

    A multiplier of 1 makes a cash account, and only that forbids selling short: ``no_shorting`` and
    ``max_margin_multiplier`` move together, and never beyond what the account was given. Suspending stops new orders;
    it ends only a suspension of one's own, never a block or a kill switch somebody else is responsible for.
    ``fractional_trading`` is asked when an order comes in; positions may be closed whatever they are.
    """
    _check_constants(changes)
    async with locked_terms(account_id, shared) as locked:
        terms = await locked.terms()
        before = await locked.choices(terms)
        suspended = before.suspended if changes.suspend_trade is None else changes.suspend_trade
        if suspended and terms.blocked and not before.suspended:
            raise ApiError(403, "the account is blocked already, and not by its owner")
        wanted = terms._replace(
            multiplier=_multiplier(changes, terms, before),
            blocked=suspended or (terms.blocked and not before.suspended),
        )
        fractional = before.fractional_trading if changes.fractional_trading is None else changes.fractional_trading
        after = replace(before, suspended=suspended, fractional_trading=fractional)
        # Written before the engine blocks for it and until it no longer does: a block without it is another's. With it
        # is written what the account was given, which its own terms do not tell once its owner has taken less.
        during = replace(after, suspended=suspended or before.suspended)
        await locked.choose(during)
        if wanted != terms:
            await locked.change(wanted)
        if after != during:
            await locked.choose(after)
    return answer(_shown(wanted.multiplier, after.suspended, after.fractional_trading))


def _multiplier(changes: ConfigurationRequest, terms: AccountTerms, choices: Choices) -> int:
    """What the change makes of it; what is asked for as it is already is no change."""
    wanted = terms.multiplier
    if changes.max_margin_multiplier is not None and changes.max_margin_multiplier != str(terms.multiplier):
        wanted = int(changes.max_margin_multiplier)
    if changes.no_shorting is not None and changes.no_shorting != (terms.multiplier == 1):
        wanted = 1 if changes.no_shorting else 2
    if wanted > choices.granted_multiplier:
        raise ApiError(422, f"max_margin_multiplier: the account has at most {choices.granted_multiplier}")
    return wanted


def _check_constants(changes: ConfigurationRequest) -> None:
    for name, value in _CONSTANTS.items():
        if getattr(changes, name) not in (None, value):
            raise ApiError(422, f"{name}: has no meaning here and is always {value}")


def _shown(multiplier: int, suspended: bool, fractional_trading: bool) -> dict[str, Any]:
    return {
        **_CONSTANTS,
        "suspend_trade": suspended,
        "no_shorting": multiplier == 1,
        "fractional_trading": fractional_trading,
        "max_margin_multiplier": str(multiplier),
    }
