"""Exactly once also for money: a deposit, withdrawal or transfer whose reference was used before is not repeated.

The journal is asked when a payment arrives, memory when its turn comes: what the leader executed in between. A new
leader serves only once the journal holds all there ever was, so it needs no memory of what others executed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from trading.core.commands import Payment
from trading.core.orders import RejectReason
from trading.engine.lanes import Paid
from trading.infra.database import Pool
from trading.wire.engine import Denied, Done
from trading.wire.journal import decode_command

# More than can be executed between a payment's look-up and its turn: the lanes hold fewer.
_REMEMBERED: Final = 100_000

# The condition and the expression are those of the index ix_journal_reference. A payment's last field is its
# reference, or its amount if it has none.
PAID: Final = """
SELECT sequence, command FROM journal
WHERE symbol IS NULL AND command->1->>0 IN ('Deposit', 'Withdraw', 'Transfer') AND command->1->>-1 = ANY($1)
"""


class Payments:
    def __init__(self, reads: Pool) -> None:
        self._reads = reads
        self._executed: dict[str, tuple[int, Payment]] = {}  # oldest first

    async def look_up(self, payments: Sequence[Payment]) -> Paid:
        """What the journal knows of their references. Raises DatabaseError."""
        rows = await self._reads.fetch(PAID, [payment.reference for payment in payments])
        found = ((row["sequence"], decode_command(row["command"])) for row in rows)
        return {
            before.reference: (sequence, before)
            for sequence, before in found
            if isinstance(before, Payment) and before.reference
        }

    def answered_before(self, payment: Payment, paid: Paid) -> Done | Denied | None:
        """The first answer, a refusal when something else was paid under the reference, None when it is new."""
        known = self._executed.get(payment.reference) or paid.get(payment.reference)
        if known is None:
            return None
        sequence, before = known
        if type(before) is type(payment) and before[1:] == payment[1:]:  # only the time may differ
            return Done(sequence)
        message = f"reference {payment.reference!r} belongs to another payment, the journal's record {sequence}"
        return Denied(RejectReason.ALREADY_EXISTS, message)

    def remember(self, payment: Payment, sequence: int) -> None:
        self._executed[payment.reference] = sequence, payment
        if len(self._executed) > _REMEMBERED:
            del self._executed[next(iter(self._executed))]
