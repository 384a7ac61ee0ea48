"""Accounts and orders read for many requests at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from trading.api.errors import ApiError
from trading.api.holdings import Account, accounts_of
from trading.api.together import Together
from trading.core.orders import AccountId, OrderId
from trading.infra.database import Pool
from trading.infra.journal import order_of
from trading.wire.orders import OrderView

_ORDERS: Final = "SELECT * FROM orders WHERE order_id = ANY($1)"


class Reads:
    def __init__(self, database: Pool) -> None:
        async def accounts(account_ids: Sequence[AccountId]) -> dict[AccountId, Account]:
            return await accounts_of(account_ids, database)

        async def orders(order_ids: Sequence[OrderId]) -> dict[OrderId, OrderView]:
            found = (order_of(row) for row in await database.fetch(_ORDERS, order_ids))
            return {order.order_id: order for order in found}

        self._accounts, self._orders = Together(accounts), Together(orders)

    async def account(self, account_id: AccountId) -> Account:
        """Raises DatabaseError, and ApiError for a key whose account was never opened."""
        account = await self._accounts.get(account_id)
        if account is None:
            raise ApiError(403, f"account {account_id} is not open")
        return account

    async def order(self, order_id: OrderId, account_id: AccountId) -> OrderView | None:
        """None for one that the account does not have. Raises DatabaseError."""
        order = await self._orders.get(order_id)
        return order if order is not None and order.account_id == account_id else None
