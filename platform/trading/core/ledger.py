"""The double-entry ledger: who holds how much of which asset, free or reserved for open orders.

Every movement takes from one bucket what it gives to another, so what is held always equals what came in from
outside. The outside itself (account 0) has no balance here: it is minus the sum of everybody's. A margin account owes
what its available balance is below zero.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, TypeAlias

from trading.core.errors import InvariantError
from trading.core.events import OUTSIDE, Bucket, LedgerPosted
from trading.core.orders import MICROS_PER_SHARE, PPB, AccountId

MAX_ISSUED: Final = 9 * 10**18  # of one asset, over all accounts: keeps every balance inside PostgreSQL's bigint

# A NamedTuple's own constructor is Python code and takes twice as long; postings are half of all events.
_Posting: TypeAlias = tuple[AccountId, Bucket, AccountId, Bucket, str, int]
posted: Final[Callable[[_Posting], LedgerPosted]] = partial(tuple.__new__, LedgerPosted)

AVAILABLE: Final = Bucket.AVAILABLE
RESERVED: Final = Bucket.RESERVED


class Balance:
    """``buying`` counts the shares of covered open buy orders, ``cost`` the money the position took to come about."""

    __slots__ = ("available", "buying", "cost", "reserved")

    def __init__(self) -> None:
        self.available = 0
        self.reserved = 0
        self.buying = 0
        self.cost = 0

    def bought(self, quantity: int, value: int) -> None:
        """Accounts for the cost of a purchase; to be called before the shares arrive."""
        total = self.available + self.reserved
        if total < 0:
            covered = min(quantity, -total)
            self.cost += -self.cost * covered // -total
            value = value * (quantity - covered) // quantity
        self.cost += value

    def sold(self, quantity: int, value: int) -> None:
        """The same for a sale; to be called before the shares leave."""
        total = self.available + self.reserved
        if total > 0:
            closed = min(quantity, total)
            self.cost -= self.cost * closed // total
            value = value * (quantity - closed) // quantity
        self.cost -= value


class Ledger:
    """Movements between balances, and what was ever brought in. Amounts are positive."""

    def __init__(self) -> None:
        self.issued: dict[str, int] = {}

    def bring_in(self, account_id: AccountId, balance: Balance, asset: str, amount: int) -> LedgerPosted:
        balance.available += amount
        self.issued[asset] = self.issued.get(asset, 0) + amount
        return posted((OUTSIDE, AVAILABLE, account_id, AVAILABLE, asset, amount))

    def take_out(self, account_id: AccountId, balance: Balance, asset: str, amount: int) -> LedgerPosted:
        balance.available -= amount
        self.issued[asset] -= amount
        return posted((account_id, AVAILABLE, OUTSIDE, AVAILABLE, asset, amount))


def reserve(account_id: AccountId, balance: Balance, asset: str, amount: int) -> LedgerPosted:
    """Sets aside what an order may need; whether the account may was decided before."""
    balance.available -= amount
    balance.reserved += amount
    return posted((account_id, AVAILABLE, account_id, RESERVED, asset, amount))


def release(account_id: AccountId, balance: Balance, asset: str, amount: int) -> LedgerPosted:
    """Gives back what an order no longer needs. Raises InvariantError for more than is reserved."""
    if not 0 < amount <= balance.reserved:
        raise InvariantError(f"account {account_id} cannot release {amount} {asset} of {balance.reserved}")
    balance.reserved -= amount
    balance.available += amount
    return posted((account_id, RESERVED, account_id, AVAILABLE, asset, amount))


def value_up(quantity: int, price_micros: int) -> int:
    """What a quantity is worth, rounded up to the micro-dollar."""
    return -(-quantity * price_micros // MICROS_PER_SHARE)


def need(quantity: int, price_micros: int, fee_ppb: int) -> int:
    """The most that buying ``quantity`` at ``price_micros`` or better may cost, the fee included, in micro-dollars."""
    value = -(-quantity * price_micros // MICROS_PER_SHARE)
    return value - (-value * fee_ppb // PPB) if fee_ppb else value
