"""The double-entry ledger: who holds how much of which asset, free or reserved for open orders.

Every movement takes from one bucket what it gives to another, so what is held always equals what came in from
outside. The outside itself (account 0) has no balance here: it is minus the sum of everybody's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from trading.core.errors import InvariantError
from trading.core.events import OUTSIDE, Bucket, LedgerPosted
from trading.core.orders import AccountId

MAX_ISSUED = 9 * 10**18  # of one asset, over all accounts: keeps every balance inside PostgreSQL's bigint

# A NamedTuple's own constructor is Python code and takes twice as long; postings are half of all events.
_posted: Callable[[tuple[AccountId, Bucket, AccountId, Bucket, str, int]], LedgerPosted]
_posted = partial(tuple.__new__, LedgerPosted)

_AVAILABLE, _RESERVED = Bucket.AVAILABLE, Bucket.RESERVED


class Balance:
    __slots__ = ("available", "reserved")

    def __init__(self) -> None:
        self.available = 0
        self.reserved = 0


class Ledger:
    """Balances by account and asset. Amounts are positive; a movement that is not covered is a broken invariant."""

    def __init__(self) -> None:
        self._accounts: dict[AccountId, dict[str, Balance]] = {}
        self._issued: dict[str, int] = {}

    def open(self, account_id: AccountId) -> None:
        self._accounts[account_id] = {}

    def has(self, account_id: AccountId) -> bool:
        return account_id in self._accounts

    def account_ids(self) -> list[AccountId]:
        return sorted(self._accounts)

    def issued(self, asset: str) -> int:
        """How much of the asset came in from outside: at any moment the sum of all balances."""
        return self._issued.get(asset, 0)

    def available(self, account_id: AccountId, asset: str) -> int:
        balance = self._accounts[account_id].get(asset)
        return 0 if balance is None else balance.available

    def balances(self) -> Iterator[tuple[AccountId, str, int, int]]:
        """(account, asset, available, reserved) of every balance that is not zero, sorted."""
        for account_id, assets in sorted(self._accounts.items()):
            for asset, balance in sorted(assets.items()):
                if balance.available or balance.reserved:
                    yield account_id, asset, balance.available, balance.reserved

    def balance(self, account_id: AccountId, asset: str) -> tuple[int, int]:
        """(available, reserved); an account that does not exist holds nothing."""
        balance = self._accounts.get(account_id, {}).get(asset)
        return (0, 0) if balance is None else (balance.available, balance.reserved)

    def deposit(self, account_id: AccountId, asset: str, amount: int) -> LedgerPosted:
        self._held(account_id, asset).available += amount
        self._issued[asset] = self.issued(asset) + amount
        return _posted((OUTSIDE, _AVAILABLE, account_id, _AVAILABLE, asset, amount))

    def reserve(self, account_id: AccountId, asset: str, amount: int) -> LedgerPosted:
        """Sets aside what an order may need."""
        balance = self._accounts[account_id][asset]
        if not 0 < amount <= balance.available:
            raise InvariantError(f"account {account_id} cannot reserve {amount} {asset} of {balance.available}")
        balance.available -= amount
        balance.reserved += amount
        return _posted((account_id, _AVAILABLE, account_id, _RESERVED, asset, amount))

    def release(self, account_id: AccountId, asset: str, amount: int) -> LedgerPosted:
        """Gives back what an order no longer needs."""
        balance = self._accounts[account_id][asset]
        if not 0 < amount <= balance.reserved:
            raise InvariantError(f"account {account_id} cannot release {amount} {asset} of {balance.reserved}")
        balance.reserved -= amount
        balance.available += amount
        return _posted((account_id, _RESERVED, account_id, _AVAILABLE, asset, amount))

    def pay(self, payer_id: AccountId, payee_id: AccountId, asset: str, amount: int) -> LedgerPosted:
        """Settles one side of a trade: from what the payer had reserved to what the payee has free."""
        balance = self._accounts[payer_id][asset]
        if not 0 < amount <= balance.reserved:
            raise InvariantError(f"account {payer_id} cannot pay {amount} {asset} of {balance.reserved} reserved")
        balance.reserved -= amount
        self._held(payee_id, asset).available += amount
        return _posted((payer_id, _RESERVED, payee_id, _AVAILABLE, asset, amount))

    def _held(self, account_id: AccountId, asset: str) -> Balance:
        assets = self._accounts[account_id]
        balance = assets.get(asset)
        if balance is None:
            balance = assets[asset] = Balance()
        return balance
