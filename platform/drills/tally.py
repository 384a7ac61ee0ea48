"""What a drill is judged by: the clients' acknowledgements against the primary's tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final

import asyncpg

_ORDERS: Final = "SELECT client_order_id, order_id FROM orders WHERE client_order_id = ANY($1)"
_DOUBLED: Final = """
SELECT count(*) FROM (
    SELECT 1 FROM journal WHERE command->1->>0 = 'PlaceOrder'
    GROUP BY command->1->>2, command->1->>3 HAVING count(*) > 1
) AS twice
"""
_OVERLAPS: Final = """
SELECT count(*) FROM (SELECT epoch, max(epoch) OVER (ORDER BY sequence) AS begun FROM journal) AS records
WHERE epoch < begun
"""
_GAPS: Final = "SELECT coalesce(max(sequence), 0) - count(*) FROM journal"
_OF_EPOCH: Final = "SELECT count(*) FROM journal WHERE epoch = $1"


@dataclass
class Tally:
    """All drills of one kind. Everything but ``outages_s`` and ``acknowledged`` has to be zero."""

    outages_s: list[float] = field(default_factory=list)
    acknowledged: int = 0
    lost: int = 0
    doubled: int = 0
    overlaps: int = 0
    gaps: int = 0
    zombie_writes: int = 0
    refused: int = 0

    @property
    def sound(self) -> bool:
        return self.acknowledged > 0 and not (
            self.lost or self.doubled or self.overlaps or self.gaps or self.zombie_writes or self.refused
        )

    def line(self) -> str:
        gaps = [f"{figure(self.outages_s) * 1e3:6.0f}" for figure in (min, median, max)]
        counts = (self.acknowledged, self.lost, self.doubled, self.overlaps, self.gaps, self.zombie_writes)
        return f"{len(self.outages_s):3} {' '.join(gaps)} " + " ".join(f"{count:12}" for count in counts)


HEADINGS: Final = "  n    min median    max ms" + "".join(
    f"{name:>13}" for name in ("acknowledged", "lost", "doubled", "overlaps", "gaps", "zombie writes")
)


async def judge(connection: asyncpg.Connection[Any], tally: Tally, acknowledged: Mapping[str, str]) -> None:
    """Adds what the tables say of these acknowledgements, and of the whole journal."""
    rows = await connection.fetch(_ORDERS, list(acknowledged))
    tally.acknowledged += len(acknowledged)
    tally.lost += len(set(acknowledged) - {row["client_order_id"] for row in rows})
    tally.doubled = await connection.fetchval(_DOUBLED)
    tally.overlaps = await connection.fetchval(_OVERLAPS)
    tally.gaps = await connection.fetchval(_GAPS)


async def written_in(connection: asyncpg.Connection[Any], epoch: int) -> int:
    written: int = await connection.fetchval(_OF_EPOCH, epoch)
    return written
