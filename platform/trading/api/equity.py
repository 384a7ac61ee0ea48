"""What an account was worth at any moment: what it has now, with everything undone that happened since.

The cost is that of one pass over the account's own fills and payments since the first moment, which PostgreSQL adds up,
and of some index look-ups per moment and symbol; how many trades others made does not matter.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from trading.api.errors import ApiError
from trading.api.holdings import value_of
from trading.core.events import CASH
from trading.core.orders import AccountId
from trading.infra.columns import CHARGED, GOT, PAID, REBATED
from trading.infra.database import Pool
from trading.infra.moments import LAST_RECORD_BEFORE, last_trades_before, prices_at

MAX_PRICES: Final = 200_000
_DEADLINE_S: Final = 5.0
_POINTS_A_SLICE: Final = 200  # then others have their turn: orders go through this process, too

# What a payment is called. Account 0 is the outside.
_PAYMENT_KIND: Final = """
CASE WHEN {other}_account_id > 0 THEN CASE asset WHEN 'USD' THEN 'JNLC' ELSE 'JNLS' END
    WHEN asset = 'USD' THEN '{cash}' ELSE 'ACATS' END
"""
PAID_KIND: Final = _PAYMENT_KIND.format(other="credit", cash="CSW")
GOT_KIND: Final = _PAYMENT_KIND.format(other="debit", cash="CSD")

_SINCE: Final = "(SELECT sequence FROM since)"
_PAYMENTS: Final = "\n    UNION ALL ".join(
    f"SELECT sequence, asset, {amount} AS amount, {kind} AS kind FROM ledger"
    f" WHERE {own}_account_id = $2 AND {condition} AND sequence > {_SINCE}"
    for own, condition, amount, kind in (
        ("debit", PAID, "-amount", PAID_KIND),
        ("credit", GOT, "amount", GOT_KIND),
        ("debit", CHARGED, "-amount", "'FEE'"),
        ("credit", REBATED, "amount", "'FEE'"),
    )
)

# One statement, so that what is there and what happened before are of the same moment. Bucket 1 begins with the first
# moment of $3, and every later moment begins another.
BOOK: Final = f"""
WITH since AS MATERIALIZED ({LAST_RECORD_BEFORE}),
payments AS ({_PAYMENTS})
SELECT 0 AS bucket, 'HELD' AS kind, b.asset, available + reserved AS amount, 0 AS cash,
    coalesce(m.last_price_micros, m.reference_price_micros, 0) AS mark_micros,
    coalesce(i.reference_price_micros, 0) AS listed_micros
FROM balances b LEFT JOIN markets m ON m.symbol = b.asset LEFT JOIN instruments i ON i.symbol = b.asset
WHERE account_id = $2
UNION ALL
SELECT width_bucket(at_ns, $3::bigint[]), 'FILL', symbol,
    sum(CASE side WHEN 'buy' THEN quantity ELSE -quantity END)::bigint,
    sum(div(quantity::numeric * price_micros, 1000000) * CASE side WHEN 'buy' THEN -1 ELSE 1 END)::bigint, 0, 0
FROM fills WHERE account_id = $2 AND sequence > {_SINCE} GROUP BY 1, symbol
UNION ALL
SELECT width_bucket(at_ns, $3::bigint[]), kind, asset, sum(amount)::bigint, 0, 0, 0
FROM payments JOIN journal USING (sequence) GROUP BY 1, kind, asset
"""


class Movement(NamedTuple):
    """All of one kind and asset in one bucket: ``amount`` came in; a fill's shares came for ``cash``."""

    bucket: int
    kind: str
    asset: str
    amount: int
    cash: int


@dataclass(slots=True)
class Book:
    """What an account has now, and what has moved since the first of some moments.

    ``marks``: the prices of now; ``listed``: those the symbols had before anybody traded them.
    """

    cash: int
    quantities: dict[str, int]
    marks: dict[str, int]
    listed: dict[str, int]
    movements: list[Movement]

    def rolled_back(self, count: int) -> Iterator[tuple[int, bool, int, dict[str, int]]]:
        """Each of ``count`` moments, the last first: whether anything differs from the one after, cash and shares."""
        cash, quantities = self.cash, dict(self.quantities)
        left = sorted(self.movements)
        for moment in reversed(range(count)):
            changed = False
            while left and left[-1].bucket > moment:
                movement, changed = left.pop(), True
                if movement.asset == CASH:
                    cash -= movement.amount
                else:
                    quantities[movement.asset] = quantities.get(movement.asset, 0) - movement.amount
                    cash -= movement.cash
            yield moment, changed, cash, quantities


async def read_book(account_id: AccountId, moments_ns: Sequence[int], database: Pool) -> Book:
    """``moments_ns`` ascend. Raises DatabaseError."""
    arguments = moments_ns[0], account_id, moments_ns
    rows = await database.fetch(BOOK, *arguments, deadline_s=_DEADLINE_S)
    held = [row for row in rows if row["kind"] == "HELD"]
    return Book(
        cash=sum(row["amount"] for row in held if row["asset"] == CASH),
        quantities={row["asset"]: row["amount"] for row in held if row["asset"] != CASH},
        marks={row["asset"]: row["mark_micros"] for row in held},
        listed={row["asset"]: row["listed_micros"] for row in held},
        movements=[Movement(*row[:5]) for row in rows if row["kind"] != "HELD"],
    )


async def equities(book: Book, moments_ns: Sequence[int], now_ns: int, database: Pool) -> list[int]:
    """In micro-dollars at each of the moments the book was read for; one that is not past is taken for the present.

    Raises DatabaseError, and ApiError for more prices than one answer is worth.
    """
    past = [moment_ns for moment_ns in moments_ns if moment_ns < now_ns]
    trades = await last_trades_before(past, database)
    symbols, trade_ids = sorted(book.quantities), sorted(set(trades.values()) - {0})
    if len(symbols) * len(trade_ids) > MAX_PRICES:
        raise ApiError(
            422, f"{len(trade_ids)} points of {len(symbols)} symbols: ask for a shorter time or longer steps"
        )
    prices = await prices_at(symbols, trade_ids, database)
    found, trade_id, value = [0] * len(moments_ns), -1, 0
    for moment, changed, cash, quantities in book.rolled_back(len(moments_ns)):
        before = trades.get(moments_ns[moment])
        if changed or before != trade_id or moment == len(moments_ns) - 1:
            at = book.marks if before is None else {s: prices.get((s, before), book.listed[s]) for s in symbols}
            value = sum(value_of(quantity, at[symbol]) for symbol, quantity in quantities.items() if quantity)
            trade_id = -1 if before is None else before
        found[moment] = cash + value
        if moment % _POINTS_A_SLICE == 0:
            await asyncio.sleep(0)
    return found
