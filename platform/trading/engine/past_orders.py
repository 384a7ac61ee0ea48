"""What the journal knows of orders placed before: their first answers, and the terms the exchange has forgotten."""

from __future__ import annotations

from typing import Final

from trading.core.orders import AccountId, OrderId
from trading.engine.lanes import Former, OrderRequest
from trading.infra.database import DatabaseError, Pool
from trading.infra.journal import record_of
from trading.wire.engine import Done
from trading.wire.journal import decode_command
from trading.wire.orders import first_view

_ACCEPTED_BY: Final = """
SELECT o.order_id, j.sequence, j.epoch, j.at_ns, j.symbol, j.symbol_sequence, j.command, j.events
FROM orders o JOIN journal j ON j.sequence = o.sequence WHERE o.order_id = ANY($1)
"""
_FORMERLY: Final = """
SELECT o.account_id, o.client_order_id, o.order_id, j.command
FROM unnest($1::bigint[], $2::text[]) AS asked (account_id, client_order_id)
JOIN orders o USING (account_id, client_order_id) JOIN journal j ON j.sequence = o.sequence
"""


class PastOrders:
    def __init__(self, reads: Pool) -> None:
        self._reads = reads

    async def first_answers(self, order_ids: list[OrderId]) -> dict[OrderId, Done]:
        """What the orders' placements were answered the first time. Raises DatabaseError."""
        rows = await self._reads.fetch(_ACCEPTED_BY, order_ids)
        records = {row["order_id"]: record_of(row) for row in rows}
        if missing := set(order_ids) - set(records):
            raise DatabaseError(f"orders {sorted(missing)} are known and not in the journal")
        return {order_id: Done(record.sequence, first_view(record)) for order_id, record in records.items()}

    async def former_requests(self, requests: list[OrderRequest]) -> Former:
        """What was asked for before under the same client_order_ids. Raises DatabaseError."""
        account_ids = [request.account_id for request in requests]
        rows = await self._reads.fetch(_FORMERLY, account_ids, [request.client_order_id for request in requests])
        former: dict[tuple[AccountId, str], tuple[OrderId, OrderRequest]] = {}
        for row in rows:
            command = decode_command(row["command"])
            assert isinstance(command, OrderRequest)
            former[row["account_id"], row["client_order_id"]] = (row["order_id"], command)
        return former
