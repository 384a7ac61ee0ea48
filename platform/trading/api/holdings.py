"""What an account holds, owes and may still do, valued by the exchange's rules: one query for all of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import asyncpg

from trading.core.events import CASH
from trading.core.orders import MICROS_PER_SHARE, AccountId
from trading.infra.database import Pool

# A row per asset, with the account's terms in each. The mark is the last trade's price, or the reference price while
# none has happened.
_ACCOUNTS: Final = """
SELECT a.account_id, a.multiplier, a.blocked, a.opened_at_ns, coalesce(c.suspended, false) AS suspended,
    coalesce(own.engaged, false) OR coalesce(everybody.engaged, false) AS killed,
    b.asset, b.available, b.reserved, b.cost_micros,
    coalesce(m.last_price_micros, m.reference_price_micros, 0) AS mark_micros, i.reference_price_micros AS listed_micros
FROM accounts a
LEFT JOIN account_configurations c ON c.account_id = a.account_id
LEFT JOIN kill_switches own ON own.account_id = a.account_id
LEFT JOIN kill_switches everybody ON everybody.account_id = 0
LEFT JOIN balances b ON b.account_id = a.account_id
LEFT JOIN markets m ON m.symbol = b.asset
LEFT JOIN instruments i ON i.symbol = b.asset
WHERE a.account_id = ANY($1) ORDER BY b.asset
"""


@dataclass(frozen=True, slots=True)
class Holding:
    """Shares of one symbol in micro-shares, below zero for what was sold short, and what the position cost.

    ``listed_micros``: the price the symbol was listed with.
    """

    symbol: str
    available: int
    reserved: int
    cost_micros: int
    mark_micros: int
    listed_micros: int

    @property
    def total(self) -> int:
        return self.available + self.reserved

    @property
    def value_micros(self) -> int:
        return value_of(self.total, self.mark_micros)

    @property
    def exposure_micros(self) -> int:
        """What the buying power must carry: what is held, and what is sold or may be sold short."""
        return max(self.value_micros, 0) - value_of(min(self.available, 0), self.mark_micros)


@dataclass(frozen=True, slots=True)
class Account:
    """``available`` and ``reserved`` are cash. ``killed``: by its own kill switch or everybody's."""

    multiplier: int
    blocked: bool
    suspended: bool
    killed: bool
    opened_at_ns: int
    available: int
    reserved: int
    holdings: list[Holding]

    @property
    def cash(self) -> int:
        return self.available + self.reserved

    @property
    def equity(self) -> int:
        return self.cash + sum(holding.value_micros for holding in self.holdings)

    @property
    def exposure(self) -> int:
        return sum(holding.exposure_micros for holding in self.holdings) + self.reserved

    @property
    def buying_power(self) -> int:
        """A cash account's is its free cash. Below zero when the market has moved against a margin account."""
        return self.available if self.multiplier == 1 else self.multiplier * self.equity - self.exposure


def value_of(quantity: int, price_micros: int) -> int:
    """Rounded against the account: down for what it has, and what it owes up."""
    return quantity * price_micros // MICROS_PER_SHARE


async def accounts_of(account_ids: Sequence[AccountId], database: Pool) -> dict[AccountId, Account]:
    """Those that are open. Raises DatabaseError."""
    rows: dict[AccountId, list[asyncpg.Record]] = {}
    for row in await database.fetch(_ACCOUNTS, account_ids):
        rows.setdefault(row["account_id"], []).append(row)
    return {account_id: _account(found) for account_id, found in rows.items()}


def _account(rows: Sequence[asyncpg.Record]) -> Account:
    available, reserved, holdings = 0, 0, []
    for row in rows:
        if row["asset"] == CASH:
            available, reserved = row["available"], row["reserved"]
        elif row["asset"] is not None:
            holdings.append(Holding(*row[6:]))
    terms = rows[0]
    return Account(
        multiplier=terms["multiplier"],
        blocked=terms["blocked"],
        suspended=terms["suspended"],
        killed=terms["killed"],
        opened_at_ns=terms["opened_at_ns"],
        available=available,
        reserved=reserved,
        holdings=holdings,
    )
