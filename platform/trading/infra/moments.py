"""Where in the journal and among the trades a moment lies, and what the markets' prices were then.

Neither has an index on time, nor needs one: records and trades are numbered without a gap, and later numbers are never
earlier. Halving finds a moment in as many steps as the number has bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from trading.infra.database import Pool

# The last record before the moment $1, 0 when there is none.
LAST_RECORD_BEFORE: Final = """
WITH RECURSIVE halves(low, high) AS (
    SELECT 0::bigint, coalesce(max(sequence), 0) FROM journal
    UNION ALL
    SELECT CASE WHEN journal.at_ns < $1 THEN middle ELSE low END,
        CASE WHEN journal.at_ns < $1 THEN high ELSE middle - 1 END
    FROM (SELECT low, high, (low + high + 1) / 2 AS middle FROM halves WHERE low < high) AS half
    JOIN journal ON journal.sequence = middle
)
SELECT low AS sequence FROM halves WHERE low = high
"""

_LAST_TRADES_BEFORE: Final = """
WITH RECURSIVE halves(moment, low, high) AS (
    SELECT moment, 0::bigint, (SELECT coalesce(max(trade_id), 0) FROM fills) FROM unnest($1::bigint[]) AS moment
    UNION ALL
    SELECT moment, CASE WHEN trade.at_ns < moment THEN middle ELSE low END,
        CASE WHEN trade.at_ns < moment THEN high ELSE middle - 1 END
    FROM (SELECT moment, low, high, (low + high + 1) / 2 AS middle FROM halves WHERE low < high) AS half
    CROSS JOIN LATERAL (SELECT at_ns FROM fills WHERE trade_id = middle LIMIT 1) AS trade
)
SELECT moment, low AS trade_id FROM halves WHERE low = high
"""

_PRICES_AT: Final = """
SELECT symbol, last.trade_id, price_micros
FROM unnest($1::text[]) AS symbol CROSS JOIN unnest($2::bigint[]) AS last(trade_id)
CROSS JOIN LATERAL (
    SELECT price_micros FROM fills WHERE fills.symbol = symbol.symbol AND fills.trade_id <= last.trade_id
    ORDER BY fills.trade_id DESC LIMIT 1
) AS trade
"""


async def last_record_before(moment_ns: int, database: Pool) -> int:
    """Its sequence number; 0 when all records are later. Raises DatabaseError."""
    ((sequence,),) = await database.fetch(LAST_RECORD_BEFORE, moment_ns)
    return int(sequence)


async def last_trades_before(moments_ns: Iterable[int], database: Pool) -> dict[int, int]:
    """The id of the last trade in any market before each moment; 0 when there is none. Raises DatabaseError."""
    rows = await database.fetch(_LAST_TRADES_BEFORE, list(moments_ns))
    return {row["moment"]: row["trade_id"] for row in rows}


async def prices_at(symbols: Sequence[str], trade_ids: Sequence[int], database: Pool) -> dict[tuple[str, int], int]:
    """Each symbol's last price up to each trade; nothing for one that had not been traded. Raises DatabaseError."""
    rows = await database.fetch(_PRICES_AT, symbols, trade_ids)
    return {(row["symbol"], row["trade_id"]): row["price_micros"] for row in rows}
