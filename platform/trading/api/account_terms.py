"""An account's terms, which the engine changes as a whole: whoever changes a part of them does it under a lock."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import asyncpg

from trading.api.context import Context
from trading.api.errors import ApiError, refusal
from trading.core.commands import ChangeAccount
from trading.core.orders import AccountId, AccountTerms, Limits, RejectReason, SelfTrade
from trading.infra.database import Pool, connect, within
from trading.wire.engine import Denied

_LOCK: Final = "SELECT pg_advisory_lock(hashtextextended('terms of account ' || $1::text, 0))"
_TERMS: Final = """
SELECT multiplier, self_trade, blocked, order_quantity_limit, order_value_limit_micros, open_orders_limit,
    orders_per_s_limit, position_limit FROM accounts WHERE account_id = $1
"""
_CHOICES: Final = """
SELECT suspended, fractional_trading, granted_multiplier FROM account_configurations WHERE account_id = $1
"""
_CHOOSE: Final = """
INSERT INTO account_configurations (account_id, suspended, fractional_trading, granted_multiplier)
VALUES ($1, $2, $3, $4) ON CONFLICT (account_id) DO UPDATE SET suspended = excluded.suspended,
    fractional_trading = excluded.fractional_trading, granted_multiplier = excluded.granted_multiplier
"""
_WHOLE_SHARES_ONLY: Final = "SELECT 1 FROM account_configurations WHERE account_id = $1 AND NOT fractional_trading"


@dataclass(frozen=True, slots=True)
class Choices:
    """What the owner of an account chose for it. ``suspended``: who blocked the account is its owner."""

    suspended: bool
    fractional_trading: bool
    granted_multiplier: int  # what the account may have, whatever its owner has made of it


class LockedTerms:
    """One account's terms and its owner's choices, while nobody else changes them."""

    def __init__(self, account_id: AccountId, connection: asyncpg.Connection[Any], shared: Context) -> None:
        self._account_id = account_id
        self._connection = connection
        self._shared = shared

    async def terms(self) -> AccountTerms:
        """Raises ApiError when the account was never opened, and DatabaseError."""
        row = await self._row(_TERMS)
        if row is None:
            raise ApiError(404, f"account {self._account_id} is not open")
        multiplier, self_trade, blocked, *limits = row
        return AccountTerms(multiplier, SelfTrade(self_trade), blocked, Limits(*limits))

    async def choices(self, terms: AccountTerms) -> Choices:
        row = await self._row(_CHOICES)
        if row is None:
            return Choices(suspended=False, fractional_trading=True, granted_multiplier=terms.multiplier)
        suspended, fractional_trading, granted = row
        return Choices(suspended and terms.blocked, fractional_trading, max(granted, terms.multiplier))

    async def change(self, terms: AccountTerms) -> None:
        """Raises ApiError for a refusal, and what executing a command raises."""
        command = ChangeAccount(0, self._account_id, terms)
        outcome, _ = await self._shared.engine.execute(command, self._shared.deadline_s)
        if isinstance(outcome, Denied) and outcome.reason is not RejectReason.NOTHING_TO_CHANGE:
            raise refusal(outcome)

    async def choose(self, choices: Choices) -> None:
        row = choices.suspended, choices.fractional_trading, choices.granted_multiplier
        written = self._connection.execute(_CHOOSE, self._account_id, *row)
        await within(self._connection, written, self._shared.deadline_s)

    async def _row(self, query: str) -> asyncpg.Record | None:
        reading = self._connection.fetchrow(query, self._account_id)
        return await within(self._connection, reading, self._shared.deadline_s)


@asynccontextmanager
async def locked_terms(account_id: AccountId, shared: Context) -> AsyncIterator[LockedTerms]:
    """The lock belongs to a connection of its own, and ends with it. Raises DatabaseError."""
    connection = await connect(shared.settings.postgres_dsn.get_secret_value(), shared.settings.node)
    try:
        await within(connection, connection.execute(_LOCK, str(account_id)), shared.deadline_s)
        yield LockedTerms(account_id, connection, shared)
    finally:
        connection.terminate()


async def require_fractional_trading(account_id: AccountId, database: Pool) -> None:
    """Raises ApiError when the owner of the account chose whole shares only."""
    if await database.fetch(_WHOLE_SHARES_ONLY, account_id):
        raise ApiError(403, "fractional trading is switched off in the account's configurations")
